"""OpenTelemetry's own variables as options of the OTLP exporter (opentelemetry-specification 1.60, protocol/exporter).

They hold for an exporter whose endpoint the file does not tell: a header for one backend must not reach another. What
the file tells goes before them. An empty variable is one that is not set; a value that cannot be is told and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

PREFIX: Final = "OTEL_EXPORTER_OTLP_"
SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
ENDPOINTS: Final = ("endpoint", *(f"{signal.lower()}_endpoint" for signal in SIGNALS))


CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
WITH_DETAILS: Final = ["evaluation", "exception", "details"]
CAPTURE_MODES: Final[dict[str, dict[str, Any]]] = {
    "no_content": {"content": "off"},
    "span_only": {"content": "redacted", "content_in": "spans"},
    "event_only": {"content": "redacted", "content_in": "events", "events": WITH_DETAILS},
    "span_and_event": {"content": "redacted", "content_in": "both", "events": WITH_DETAILS},
    "false": {"content": "off"},
    "true": {"content": "redacted", "content_in": "spans"},  # as older instrumentations have it
}


class Told(NamedTuple):
    """Options by name, and what could not be read: never a value, which may be a secret."""

    options: dict[str, Any]
    problems: list[str]

    @property
    def names_a_backend(self) -> bool:
        """Is there an endpoint among them?"""
        return any(name in self.options for name in ENDPOINTS)


NOTHING_TOLD: Final = Told({}, [])


def told_by(environment: Mapping[str, str]) -> Told:
    """What these variables say."""
    told = Told({}, [])
    for variable, (option, read) in VARIABLES.items():
        if value := environment.get(variable, "").strip():
            try:
                told.options[option] = read(value)
            except ValueError as error:
                told.problems.append(f"{variable}: {error}; it is ignored")
    if mode := environment.get(CAPTURE, "").strip().lower():
        told.options.update(CAPTURE_MODES.get(mode, {}))
        if mode not in CAPTURE_MODES:
            told.problems.append(f"{CAPTURE}: is none of {', '.join(CAPTURE_MODES)}; it is ignored")
    told.problems.extend(
        f"{variable} is not read: what differs by signal needs an otlp exporter of its own"
        for signal in SIGNALS
        for variable in environment
        if variable.startswith(f"{PREFIX}{signal}_") and environment[variable].strip() and variable not in VARIABLES
    )
    return told


def with_environment(exporters: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """The section with what the environment says of each OTLP exporter that has no endpoint of its own."""
    return {name: completed(name, options, told.options) for name, options in exporters.items()}


def completed(name: str, options: Any, told: Mapping[str, Any]) -> Any:
    is_otlp = name.partition("/")[0] == "otlp" and (options is None or isinstance(options, Mapping))
    if not is_otlp or any(endpoint in (options or {}) for endpoint in ENDPOINTS):
        return options
    return {**told, **(options or {})}


def one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return value.lower()

    return read


def milliseconds(value: str) -> float:
    """As the specification has it; seconds of ours."""
    if not value.isascii() or not value.isdigit() or not int(value):
        raise ValueError("is no number of milliseconds")
    return int(value) / 1000


def temporality(value: str) -> str:
    """`lowmemory` is `delta` but for counters that are read from elsewhere, of which there are few here."""
    preference = one_of("cumulative", "delta", "lowmemory")(value)
    return "delta" if preference == "lowmemory" else preference


def histograms(value: str) -> str:
    """Without the words that both share."""
    return one_of("explicit_bucket_histogram", "base2_exponential_bucket_histogram")(value).split("_")[-3]


def boolean(value: str) -> bool:
    """Only `true` is true."""
    return value.lower() == "true"


def headers(value: str) -> dict[str, str]:
    """`key=value,…`, values percent-encoded."""
    pairs = [member.partition("=") for member in value.split(",") if member.strip()]
    if not pairs or any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ValueError("is no list of name=value")
    return {name.strip(): unquote(said.strip()) for name, _, said in pairs}


def with_path(value: str) -> str:
    """A signal's own URL, used as it is; one without a path means the root."""
    parts = urlsplit(value)
    return value if parts.path else parts._replace(path="/").geturl()


VARIABLES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    f"{PREFIX}ENDPOINT": ("endpoint", str),
    **{f"{PREFIX}{signal}_ENDPOINT": (f"{signal.lower()}_endpoint", with_path) for signal in SIGNALS},
    f"{PREFIX}PROTOCOL": ("protocol", one_of("grpc", "http/protobuf", "http/json")),
    f"{PREFIX}HEADERS": ("headers", headers),
    f"{PREFIX}COMPRESSION": ("compression", one_of("gzip", "zstd", "none")),
    f"{PREFIX}TIMEOUT": ("timeout", milliseconds),
    f"{PREFIX}CERTIFICATE": ("certificate", str),
    f"{PREFIX}CLIENT_KEY": ("client_key", str),
    f"{PREFIX}CLIENT_CERTIFICATE": ("client_certificate", str),
    f"{PREFIX}INSECURE": ("insecure", boolean),
    f"{PREFIX}METRICS_TEMPORALITY_PREFERENCE": ("temporality", temporality),
    f"{PREFIX}METRICS_DEFAULT_HISTOGRAM_AGGREGATION": ("histograms", histograms),
    "OTEL_METRIC_EXPORT_INTERVAL": ("metrics_interval", milliseconds),
}

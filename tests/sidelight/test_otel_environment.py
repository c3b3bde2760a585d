"""OpenTelemetry's variables mean what its specification says, and reach only whom they are meant for."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import settings_from
from exporters.otlp import Otlp, urls_of
from sidelight.components import build_components, with_defaults
from sidelight.otel_environment import told_by

PROXY = {"upstreams": {"one": {"url": "http://host"}}}
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
SECRET = "canary-77ab"


def exporters(environment: dict[str, str], **section: Any) -> dict[str, Any]:
    """Those that a file with this section, if any, gets."""
    tree = {"proxy": PROXY} | ({"exporters": section} if section else {})
    return dict(build_components(settings_from(with_defaults(tree, told_by(environment)))).exporters)


def otlp(environment: dict[str, str]) -> Otlp:
    exporter = exporters(environment)["otlp"]
    assert isinstance(exporter, Otlp)
    return exporter


@pytest.mark.parametrize(
    ("variable", "value", "option", "expected"),
    [
        ("PROTOCOL", "http/json", "protocol", "http/json"),
        ("PROTOCOL", "GRPC", "protocol", "grpc"),
        ("HEADERS", "a=1,b = x%20y%3D ,", "headers", {"a": "1", "b": "x y="}),
        ("COMPRESSION", "none", "compression", "none"),
        ("TIMEOUT", "2500", "timeout", 2.5),
        ("INSECURE", "TRUE", "insecure", True),
        ("INSECURE", "1", "insecure", False),
        ("METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram", "histograms", "exponential"),
        ("METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", "histograms", "explicit"),
        ("METRICS_TEMPORALITY_PREFERENCE", "delta", "temporality", "delta"),
        ("METRICS_TEMPORALITY_PREFERENCE", "LowMemory", "temporality", "delta"),
    ],
)
def test_a_variable_is_an_option(variable: str, value: str, option: str, expected: Any) -> None:
    exporter = otlp(COLLECTOR | {f"OTEL_EXPORTER_OTLP_{variable}": value})
    assert getattr(exporter, option) == expected
    assert exporter.endpoint == "http://collector:4318"


CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("mode", "content", "place", "details"),
    [
        ("NO_CONTENT", "off", "both", False),
        ("span_only", "redacted", "spans", False),
        ("EVENT_ONLY", "redacted", "events", True),
        ("SPAN_AND_EVENT", "redacted", "both", True),
        ("true", "redacted", "spans", False),
        ("False", "off", "both", False),
    ],
)
def test_the_capture_of_content_is_where_instrumentations_would_have_it(
    mode: str, content: str, place: str, details: bool
) -> None:
    exporter = otlp(COLLECTOR | {CAPTURE: mode})
    assert (exporter.content, exporter.content_in, "details" in exporter.events) == (content, place, details)


def test_a_capture_mode_that_is_none_is_told_and_ignored() -> None:
    told = told_by(COLLECTOR | {CAPTURE: "everything"})
    assert "content" not in told.options
    assert [problem for problem in told.problems if CAPTURE in problem]


def test_the_interval_of_metrics_is_in_milliseconds_too() -> None:
    assert otlp(COLLECTOR | {"OTEL_METRIC_EXPORT_INTERVAL": "60000"}).metrics_interval == 60.0


def test_a_signals_own_endpoint_is_its_whole_url() -> None:
    told = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://jaeger:4318",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l/x",
    }
    assert urls_of(otlp(COLLECTOR | told)) == {
        "traces": "http://jaeger:4318/",
        "metrics": "http://collector:4318/v1/metrics",
        "logs": "http://l/x",
    }


def test_certificates_are_files(tmp_path: Any) -> None:
    for name in ("ca", "key", "cert"):
        (tmp_path / name).write_text("")
    told = {"CERTIFICATE": "ca", "CLIENT_KEY": "key", "CLIENT_CERTIFICATE": "cert"}
    exporter = otlp(COLLECTOR | {f"OTEL_EXPORTER_OTLP_{name}": str(tmp_path / file) for name, file in told.items()})
    assert [exporter.certificate, exporter.client_key, exporter.client_certificate] == [
        str(tmp_path / name) for name in ("ca", "key", "cert")
    ]


@pytest.mark.parametrize("environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {"OTEL_EXPORTER_OTLP_ENDPOINT": " "}])
def test_without_an_endpoint_there_are_readable_lines(environment: dict[str, str]) -> None:
    assert list(exporters(environment)) == ["debug"]


def test_what_the_file_tells_goes_before() -> None:
    told = COLLECTOR | {"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    (exporter,) = exporters(told, otlp={"timeout": "7s"}).values()
    assert (exporter.endpoint, exporter.compression, exporter.timeout) == ("http://collector:4318", "none", 7.0)


@pytest.mark.parametrize("option", ["endpoint", "traces_endpoint"])
def test_a_header_for_one_backend_does_not_reach_another(option: str) -> None:
    told = COLLECTOR | {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}"}
    mine, other = exporters(told, **{"otlp": None, "otlp/other": {option: "http://other:4318"}}).values()
    assert (mine.headers, other.headers) == ({"authorization": SECRET}, {})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", SECRET),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"={SECRET}"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "²"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
    ],
)
def test_what_cannot_be_is_told_without_its_value_and_left_out(variable: str, value: str) -> None:
    told = told_by({variable: value})
    (problem,) = told.problems
    assert problem.startswith(f"{variable}: is n")
    assert problem.endswith("; it is ignored")
    assert value not in problem
    assert told.options == {}


def test_a_variable_for_one_signal_that_cannot_be_heeded_is_told() -> None:
    told = told_by({"OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"a={SECRET}", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": ""})
    (problem,) = told.problems
    assert problem.startswith("OTEL_EXPORTER_OTLP_LOGS_HEADERS is not read")
    assert SECRET not in problem


@pytest.mark.parametrize("section", [{"debug": {}, "otlpish": None}, {"otlp": "nonsense"}, "nonsense"])
def test_other_exporters_and_broken_sections_stay_as_they_are(section: Any) -> None:
    assert with_defaults({"proxy": PROXY, "exporters": section}, told_by(COLLECTOR))["exporters"] == section

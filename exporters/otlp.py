"""OTLP to any collector or backend: spans, evaluation events and metrics, over HTTP or gRPC.

    export(batch) ─▶ encode ─▶ requests of at most 3 MiB: traces…, logs… ─▶ send one after the other
                                  ▲                                            │ Retryable: stop, keep the rest
                                  └── the same batch again: only the rest ◀────┘

A request that was taken is never sent again: when traces got through and logs did not, the next try of the same
batch sends the logs alone.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, NamedTuple, Self, get_args
from urllib.parse import SplitResult, urlsplit

from config.settings import Duration
from exporters.content import Content
from exporters.otlp_coding import Json, Protobuf
from exporters.otlp_encoding import LOG_SCOPES, SPAN_SCOPES, Encoded, encode, request, resource_field
from exporters.otlp_http import Compression, HttpSender
from exporters.otlp_metrics import Histograms, metrics_request
from exporters.otlp_sender import Sender, Signal, TooLarge
from exporters.otlp_span import ContentIn, DialectName, EvaluationSpans, Event, Telling
from exporters.resource import product_version
from exporters.semconv import Scope
from exporters.temporality import Deltas, Temporality
from exporters.vocabulary import Vocabulary
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import EvaluatedExchange
from pipeline.telemetry import Snapshot

# Below the 4 MiB that gRPC servers take by default, and far below the protocol's 64 MiB.
LARGEST_REQUEST = 3 * 2**20
SCOPES: dict[Signal, Sequence[Scope]] = {"traces": SPAN_SCOPES, "logs": LOG_SCOPES}


@dataclass(frozen=True)
class Otlp:
    """Sends spans, evaluation events and metrics over OTLP, by HTTP or gRPC.

    Open it with `async with` before the first export.
    """

    durable: ClassVar[bool] = True  # what a backend that is away does not take is kept on disk for it

    endpoint: str | None = None  # None: http://127.0.0.1 at 4318, or 4317 for grpc
    protocol: Literal["http/protobuf", "http/json", "grpc"] = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # values are secrets
    compression: Compression = "gzip"
    timeout: Duration = 10.0  # each request
    signals: tuple[Signal, ...] = ("traces", "metrics", "logs")  # leave out what the backend does not take
    content: Content = "off"  # texts on spans; never more than processors.redact leaves
    content_in: ContentIn = "both"  # texts on spans, in events (see events: details), or both
    max_value: int = 65536  # characters of one attribute
    evaluation_spans: EvaluationSpans = "child"  # below the call's span, in traces of their own linked to it, or none
    events: tuple[Event, ...] = ("evaluation", "exception")  # and details: all that spans say, where none are taken
    dialect: DialectName = "genai"  # openinference, langfuse: the words of backends that do not read the conventions
    metrics: Vocabulary = "both"  # names of the GenAI metrics
    metrics_interval: Duration = 15.0
    temporality: Temporality = "cumulative"  # delta: for backends that add up themselves
    histograms: Histograms = "explicit"  # exponential: buckets that fit themselves to what is measured
    certificate: str | None = None  # PEM file with the authorities to trust; None: the system's
    client_certificate: str | None = None  # PEM file
    client_key: str | None = None  # PEM file
    insecure: bool = False  # grpc and an endpoint without a scheme: no TLS
    traces_endpoint: str | None = None  # HTTP: the whole URL of one signal, as it is; None: endpoint and /v1/traces
    metrics_endpoint: str | None = None
    logs_endpoint: str | None = None
    # Set by the application, see exporters.resource.
    resource: Mapping[str, str] = field(default_factory=dict, metadata={"option": False})

    def __post_init__(self) -> None:
        check("endpoint", self.endpoint, address(self))
        for signal in get_args(Signal):
            if own := getattr(self, f"{signal}_endpoint"):
                check(f"{signal}_endpoint", own, urlsplit(own))
                if self.protocol == "grpc":
                    raise ValueError(f"{signal}_endpoint: gRPC has one address for all signals; set endpoint")
        if self.protocol == "grpc" and self.compression == "zstd":
            raise ValueError("compression: zstd is for HTTP; gRPC knows gzip and none")
        for option in ("certificate", "client_certificate", "client_key"):
            file = getattr(self, option)
            if file is not None and not Path(file).is_file():
                raise ValueError(f"{option}: there is no file {file}")

    @cached_property
    def _open(self) -> Open:
        return Open(self)

    async def __aenter__(self) -> Self:
        await self._open.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.leave()

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        """Deliver spans and events; raises Permanent, PartialSuccess, or Retryable.

        After Retryable call again with the same list object: only what was not taken yet is sent.
        """
        await self._open.export(batch)

    async def export_metrics(self, *snapshots: Snapshot) -> None:
        """Deliver metrics; raises as `export` does. Nothing needs a second try: the next snapshot says it all."""
        deltas = self._open.deltas
        told = deltas.since_last(snapshots) if self.temporality == "delta" else snapshots
        body = metrics_request(self.resource, told, self.metrics, self.temporality, self.histograms)
        if "metrics" not in self.signals or not body:
            return
        rejected, message = await self._open.sender.send("metrics", body)
        deltas.taken()
        if rejected:
            raise PartialSuccess(f"metrics: {message}", rejected)


Numbered = tuple[int, Encoded]  # which exchange of the batch, and what is told of it


class Request(NamedTuple):
    """Some exchanges' worth of one signal."""

    signal: Signal
    items: Sequence[Numbered]

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.items]

    def halves(self) -> tuple[Request, Request]:
        middle = len(self.items) // 2
        return self._replace(items=self.items[:middle]), self._replace(items=self.items[middle:])


class Progress(NamedTuple):
    """How far one batch has got."""

    batch: Sequence[EvaluatedExchange]
    waiting: deque[Request]
    refusals: list[str]
    lost: set[int]  # the exchanges of which something was refused for good
    rejections: list[tuple[int, str]]

    def refuse(self, reason: str, *numbers: int) -> None:
        self.refusals.append(reason)
        self.lost.update(numbers)


class Open:
    """The connection of an exporter, and the batch it is busy with."""

    def __init__(self, options: Otlp) -> None:
        self._options = options
        self._stack = AsyncExitStack()
        self._telling = Telling(
            options.content,
            options.max_value,
            options.evaluation_spans,
            options.events,
            options.dialect,
            options.content_in,
        )
        self._resource = resource_field(options.resource)
        self._progress: Progress | None = None
        self.deltas = Deltas()
        self.sender: Sender

    async def enter(self) -> None:
        sender = await asyncio.to_thread(sender_for, self._options)  # it reads certificates
        self.sender = await self._stack.enter_async_context(sender)

    async def leave(self) -> None:
        await self._stack.aclose()

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        progress = self._progress
        if progress is None or progress.batch is not batch:
            progress = self._progress = self._begin(batch)
        while progress.waiting:
            await self._send(progress.waiting[0], progress)
        self._progress = None
        conclude(progress)

    def _begin(self, batch: Sequence[EvaluatedExchange]) -> Progress:
        progress = Progress(batch, deque(), [], set(), [])
        encoded = [
            (number, *pair) for number, each in enumerate(batch) if (pair := self._encode(number, each, progress))
        ]
        parts: dict[Signal, list[Numbered]] = {
            "traces": [(number, spans) for number, spans, _ in encoded],
            "logs": [(number, records) for number, _, records in encoded if any(records)],
        }
        progress.waiting.extend(
            Request(signal, items)
            for signal in SCOPES
            if signal in self._options.signals
            for items in by_size(parts[signal])
        )
        return progress

    def _encode(self, number: int, evaluated: EvaluatedExchange, progress: Progress) -> tuple[Encoded, Encoded] | None:
        """One exchange that cannot be told must not take the rest of its batch with it."""
        try:
            return encode(evaluated, self._telling)
        except Exception as error:
            progress.refuse(f"exchange {evaluated.exchange.id}: {type(error).__name__} while encoding", number)
            return None

    async def _send(self, part: Request, progress: Progress) -> None:
        """Send the first waiting request; whatever does not raise has dealt with it."""
        told = [encoded for _, encoded in part.items]
        try:
            outcome = await self.sender.send(part.signal, request(self._resource, SCOPES[part.signal], told))
        except Retryable:
            raise
        except TooLarge as error:
            progress.waiting.popleft()
            if len(part.items) > 1:
                progress.waiting.extendleft(reversed(part.halves()))
            else:
                progress.refuse(str(error), *part.numbers)
        except Permanent as error:
            progress.waiting.popleft()
            progress.refuse(str(error), *part.numbers)
        else:
            progress.waiting.popleft()
            progress.rejections.append(outcome)


def conclude(progress: Progress) -> None:
    """Nothing is left to send: say what was not taken."""
    if progress.refusals:
        raise Permanent("; ".join(dict.fromkeys(progress.refusals)), len(progress.lost))
    if rejected := sum(count for count, _ in progress.rejections):
        messages = dict.fromkeys(message for count, message in progress.rejections if count)
        raise PartialSuccess("; ".join(messages), rejected)


def by_size(items: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    """The items in runs of at most LARGEST_REQUEST bytes; one that is larger goes alone."""
    start = 0
    size = 0
    for position, (_, encoded) in enumerate(items):
        own = sum(map(len, encoded))
        if position > start and size + own > LARGEST_REQUEST:
            yield items[start:position]
            start, size = position, 0
        size += own
    if start < len(items):
        yield items[start:]


def check(option: str, given: str | None, parts: SplitResult) -> None:
    """ValueError for a URL that cannot work, or would leak."""
    if not parts.hostname:
        raise ValueError(f"{option}: {given!r} has no host; write http://host:4318")
    if parts.username or parts.password:
        raise ValueError(f"{option}: a user or password in a URL would leak; set a header instead")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{option}: {parts.scheme!r} is not http or https")


def urls_of(options: Otlp) -> dict[Signal, str]:
    """Where each signal is posted."""
    base = address(options).geturl().rstrip("/")
    return {
        "traces": options.traces_endpoint or f"{base}/v1/traces",
        "metrics": options.metrics_endpoint or f"{base}/v1/metrics",
        "logs": options.logs_endpoint or f"{base}/v1/logs",
    }


def address(options: Otlp) -> SplitResult:
    """The endpoint with its scheme and port filled in."""
    default = "http://127.0.0.1:4317" if options.protocol == "grpc" else "http://127.0.0.1:4318"
    endpoint = options.endpoint or default
    if options.protocol == "grpc" and "://" not in endpoint:
        endpoint = f"{'http' if options.insecure else 'https'}://{endpoint}"
    return urlsplit(endpoint)


def user_agent() -> str:
    """Our product token first, then the one the protocol asks of every Python exporter."""
    return f"sidelight/{product_version()} OTel-OTLP-Exporter-Python/{version('opentelemetry-sdk')}"


def sender_for(options: Otlp) -> Sender:
    """The transport that the options ask for, not yet open."""
    if options.protocol == "grpc":
        return grpc_sender(options, address(options), options.compression == "gzip")
    urls = urls_of(options)
    return HttpSender(
        urls,
        {**options.headers, "User-Agent": user_agent()},
        coding=Json() if options.protocol == "http/json" else Protobuf(),
        compression=options.compression,
        timeout=options.timeout,
        tls=tls_context(options) if any(url.startswith("https:") for url in urls.values()) else None,
    )


def grpc_sender(options: Otlp, parts: SplitResult, compress: bool) -> Sender:
    # A child of ours is another program at once, so gRPC need neither prepare for a fork nor log that it did not.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # noqa: TID251 - gRPC reads it nowhere else
    from exporters.otlp_grpc import GrpcSender, credentials  # loading gRPC takes 10 MB that HTTP users need not pay

    return GrpcSender(
        parts.netloc,
        options.headers,
        user_agent=user_agent(),
        compress=compress,
        timeout=options.timeout,
        credentials=credentials(options.certificate, options.client_certificate, options.client_key)
        if parts.scheme == "https"
        else None,
    )


def tls_context(options: Otlp) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.certificate)
    if options.client_certificate:
        context.load_cert_chain(options.client_certificate, options.client_key)
    return context

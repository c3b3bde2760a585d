"""An OTLP span as bytes, and what all CLIENT spans say."""

from __future__ import annotations

from typing import Literal, NamedTuple

from exporters import semconv
from exporters.content import Content
from exporters.outcome import was_cancelled
from exporters.protobuf import (
    common_attribute,
    double_attribute,
    flag_attribute,
    int_attribute,
    pack_fixed32,
    pack_fixed64,
    repeated,
    sized,
    text_attribute,
    texts_attribute,
    utf8,
)
from pipeline.records import EvaluatedExchange, Exchange

INTERNAL, SERVER, CLIENT = b"\x30\x01", b"\x30\x02", b"\x30\x03"
STATUS_ERROR = b"\x7a\x02\x18\x02"
HAS_IS_REMOTE, IS_REMOTE = 0x100, 0x200
LONGEST_NAME = 256
LONGEST_MESSAGE = 1024


EvaluationSpans = Literal["child", "linked", "none"]
Event = Literal["evaluation", "exception", "details"]
ContentIn = Literal["spans", "events", "both"]
DialectName = Literal["genai", "openinference", "langfuse"]


class Telling(NamedTuple):
    """What an exporter tells, and in which words."""

    content: Content = "off"
    value: int = 65536  # characters
    evaluation_spans: EvaluationSpans = "child"
    events: tuple[Event, ...] = ("evaluation", "exception")
    dialect: DialectName = "genai"
    content_in: ContentIn = "both"

    @property
    def on_spans(self) -> Content:
        """Which texts spans may tell."""
        return "off" if self.content_in == "events" else self.content

    @property
    def on_events(self) -> Content:
        """Which texts events may tell."""
        return "off" if self.content_in == "spans" else self.content


def span(
    exchange: Exchange,
    span_id: bytes,
    parent: str | None,
    name: str,
    kind: bytes,
    times: tuple[int, int],
    attributes: list[bytes],
    status: bytes = b"",
    remote: int = 0,
    own_trace: bytes | None = None,
) -> bytes:
    """A length-prefixed Span; `times` are start and end in ns since the epoch.

    With `own_trace` it is the root of that trace, and linked to the exchange's CLIENT span.
    """
    trace = exchange.trace
    link = b""
    if own_trace is not None:
        link, parent = b"\x6a" + sized(link_to(exchange)), None
    state = b"" if own_trace else state_of(exchange)
    above = b"\x22\x08" + bytes.fromhex(parent) if parent else b""
    return sized(
        b"".join(
            (
                b"\x0a\x10",
                own_trace or bytes.fromhex(trace.trace_id),
                b"\x12\x08",
                span_id,
                state,
                above,
                b"\x2a",
                sized(utf8(name[:LONGEST_NAME])),
                kind,
                b"\x39",
                pack_fixed64(times[0]),
                b"\x41",
                pack_fixed64(times[1]),
                repeated(b"\x4a", attributes),
                link,
                status,
                b"\x85\x01",
                pack_fixed32(trace.sampled | HAS_IS_REMOTE | remote),
            )
        )
    )


def link_to(exchange: Exchange) -> bytes:
    """A Span.Link to the span of the call."""
    trace = exchange.trace
    ids = b"\x0a\x10" + bytes.fromhex(trace.trace_id) + b"\x12\x08" + bytes.fromhex(trace.client_span_id)
    return ids + state_of(exchange) + b"\x35" + pack_fixed32(trace.sampled | HAS_IS_REMOTE)


def state_of(exchange: Exchange) -> bytes:
    """The tracestate, under the number that spans and links both have for it."""
    state = exchange.trace.tracestate
    return b"\x1a" + sized(utf8(state)) if state else b""


def times_of(exchange: Exchange) -> tuple[int, int]:
    start = exchange.timing.started_at
    return start, start + max(exchange.timing.ended_at, 0)


def failed(attributes: list[bytes], error_type: str | None, message: str | None = None) -> bytes:
    """Adds `error.type` and gives the status, both only if there was an error."""
    if error_type is None:
        return b""
    attributes.append(common_attribute(semconv.ERROR_TYPE, error_type[:LONGEST_NAME]))
    if not message:
        return STATUS_ERROR
    return b"\x7a" + sized(b"\x12" + sized(utf8(message[:LONGEST_MESSAGE])) + b"\x18\x02")


def client_span(exchange: Exchange, name: str, times: tuple[int, int], attributes: list[bytes], status: bytes) -> bytes:
    trace = exchange.trace
    own_id = bytes.fromhex(trace.client_span_id)
    return span(exchange, own_id, trace.server_span_id, name, CLIENT, times, attributes, status)


def upstream_attributes(evaluated: EvaluatedExchange) -> list[bytes]:
    """What every CLIENT span says: where it went, and what became of the exchange."""
    exchange = evaluated.exchange
    attributes = [
        common_attribute(semconv.SERVER_ADDRESS, exchange.http.server_address),
        int_attribute(semconv.SERVER_PORT, exchange.http.server_port),
        text_attribute(semconv.EXCHANGE_ID, exchange.id),
        common_attribute(semconv.UPSTREAM, exchange.upstream),
        common_attribute(semconv.WIRE, exchange.wire),
        double_attribute(semconv.SAMPLING_WEIGHT, evaluated.weight),
        common_attribute(semconv.SAMPLING_KEPT, evaluated.kept),
    ]
    if exchange.decode_error:
        attributes.append(common_attribute(semconv.DECODE_ERROR, exchange.decode_error))
    if not exchange.complete:
        attributes.append(flag_attribute(semconv.EXCHANGE_COMPLETE, False))
    if was_cancelled(exchange):
        attributes.append(flag_attribute(semconv.EXCHANGE_CANCELLED, True))
    if failures := [entry.evaluator for entry in evaluated.entries if entry.outcome == "fail"]:
        attributes.append(texts_attribute(semconv.FAILED, failures))
        attributes += [flag_attribute(semconv.FAILED_BY + evaluator, True) for evaluator in failures]
    return attributes

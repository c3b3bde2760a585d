"""The two ways in which OTLP over HTTP writes its messages: protobuf, and JSON with ids in hex and enums as numbers.

Requests are built as protobuf in any case; JSON is made of that (OTLP 1.11, "JSON Protobuf Encoding").
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar, Final, Protocol

import orjson
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporters.otlp_sender import RESPONSES, Signal, partial_success

REQUESTS: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
IDS: Final = frozenset(("traceId", "spanId", "parentSpanId"))


class Coding(Protocol):
    """How requests are written and answers read."""

    content_type: ClassVar[str]

    def written(self, signal: Signal, request: bytes) -> bytes:
        """A protobuf request as it is sent."""
        ...

    def refused_items(self, signal: Signal, answer: bytes) -> tuple[int, str]:
        """Partial success; an answer that is none means that everything was taken."""
        ...

    def message_in(self, answer: bytes) -> str:
        """What the Status in an error's body says."""
        ...


class Protobuf:
    """application/x-protobuf."""

    content_type: ClassVar[str] = "application/x-protobuf"

    def written(self, signal: Signal, request: bytes) -> bytes:
        return request

    def refused_items(self, signal: Signal, answer: bytes) -> tuple[int, str]:
        try:
            return partial_success(signal, RESPONSES[signal].FromString(answer))
        except DecodeError:
            return 0, ""

    def message_in(self, answer: bytes) -> str:
        try:
            return str(Status.FromString(answer).message)
        except DecodeError:
            return ""


class Json:
    """application/json."""

    content_type: ClassVar[str] = "application/json"

    def written(self, signal: Signal, request: bytes) -> bytes:
        message = REQUESTS[signal].FromString(request)
        return orjson.dumps(with_hex_ids(json_format.MessageToDict(message, use_integers_for_enums=True)))

    def refused_items(self, signal: Signal, answer: bytes) -> tuple[int, str]:
        try:
            response = json_format.Parse(answer, RESPONSES[signal](), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError):
            return 0, ""
        return partial_success(signal, response)

    def message_in(self, answer: bytes) -> str:
        try:
            status = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return ""
        message = status.get("message") if isinstance(status, dict) else None
        return message if isinstance(message, str) else ""


def with_hex_ids(value: Any) -> Any:
    """Every id in hex, where protobuf's own JSON has base64. Only field names are keys here, so nothing else is hit."""
    if isinstance(value, dict):
        return {key: hex_of(each) if key in IDS else with_hex_ids(each) for key, each in value.items()}
    return [with_hex_ids(each) for each in value] if isinstance(value, list) else value


def hex_of(text: str) -> str:
    return base64.b64decode(text).hex()

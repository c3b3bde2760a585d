"""What a transport does for the OTLP exporter: send one request, and say what became of it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Protocol, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from pipeline.errors import Permanent

Signal = Literal["traces", "metrics", "logs"]


class TooLarge(Permanent):
    """The destination does not take requests of this size: send it in parts."""


class Sender(Protocol):
    """An open connection to one destination."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def send(self, signal: Signal, request: bytes) -> tuple[int, str]:
        """Deliver one request; returns how many items were refused and the destination's message.

        Raises Retryable, Permanent or TooLarge.
        """
        ...


RESPONSES: dict[Signal, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
REJECTED: dict[Signal, str] = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}


def partial_success(signal: Signal, response: Any) -> tuple[int, str]:
    """Items refused, and the message of a response."""
    partial = response.partial_success
    return getattr(partial, REJECTED[signal]), partial.error_message

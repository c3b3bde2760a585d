"""OTLP over gRPC, with the protocol's rules for every code; requests are bytes already, so no stub is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from exporters.otlp_sender import RESPONSES, Signal, TooLarge, partial_success
from pipeline.errors import Permanent, Retryable

SERVICES: dict[Signal, str] = {"traces": "trace.v1.Trace", "metrics": "metrics.v1.Metrics", "logs": "logs.v1.Logs"}
RETRYABLE = frozenset(
    (
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
LONGEST_MESSAGE = 200


class GrpcSender:
    """Calls the three Export methods over one channel. Never tells a header's value."""

    def __init__(
        self,
        target: str,
        headers: Mapping[str, str],
        *,
        user_agent: str,
        compress: bool,
        timeout: float,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._target = target
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._options = (("grpc.primary_user_agent", user_agent),)
        self._compression = grpc.Compression.Gzip if compress else grpc.Compression.NoCompression
        self._timeout = timeout
        self._credentials = credentials

    async def __aenter__(self) -> Self:
        common = {"options": self._options, "compression": self._compression}
        if self._credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target, **common)
        else:
            self._channel = grpc.aio.secure_channel(self._target, self._credentials, **common)
        self._methods = {signal: self._channel.unary_unary(method_path(signal)) for signal in SERVICES}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def send(self, signal: Signal, request: bytes) -> tuple[int, str]:
        """Call one Export; see Sender.send."""
        try:
            answer = await self._methods[signal](request, metadata=self._metadata, timeout=self._timeout)
            return partial_success(signal, RESPONSES[signal].FromString(answer))
        except grpc.aio.AioRpcError as error:
            raise refusal(signal, error) from error
        except DecodeError:
            return 0, ""


def method_path(signal: Signal) -> str:
    return f"/opentelemetry.proto.collector.{SERVICES[signal]}Service/Export"


def refusal(signal: Signal, error: Any) -> Exception:
    """The error whose type is the protocol's decision for this code; RESOURCE_EXHAUSTED needs a RetryInfo."""
    code, after = error.code(), retry_delay(error)
    message = f"{signal}: gRPC {code.name} {(error.details() or '')[:LONGEST_MESSAGE]}".rstrip()
    if code in RETRYABLE:
        return Retryable(message, after)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(message) if after is None else Retryable(message, after)
    return Permanent(message)


def retry_delay(error: Any) -> float | None:
    """The seconds of the RetryInfo attached to an error."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if details is None:
        return None
    try:
        return next(map(seconds_in, filter(is_retry_info, Status.FromString(details).details)), None)
    except DecodeError:
        return None


def is_retry_info(detail: Any) -> bool:
    return bool(detail.Is(RetryInfo.DESCRIPTOR))


def seconds_in(detail: Any) -> float:
    delay = RetryInfo.FromString(detail.value).retry_delay
    return float(delay.seconds + delay.nanos / 1e9)


def credentials(authorities: str | None, certificate: str | None, key: str | None) -> grpc.ChannelCredentials:
    """TLS from PEM files; None: the system's authorities, and no client certificate."""
    contents = [Path(name).read_bytes() if name else None for name in (authorities, key, certificate)]
    return grpc.ssl_channel_credentials(*contents)

"""An OTLP backend in the test's own process, over HTTP and gRPC: keeps what it is sent, and fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
from aiohttp import web
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

# Otherwise gRPC stops its thread, and waits for it, whenever the collector finds the last server of a past test.
grpc.aio.init_grpc_aio()

REQUESTS = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
}
RESPONSES = {
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
    "logs": logs_service_pb2.ExportLogsServiceResponse,
}
ID_SIZES = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}


@dataclass
class Reply:
    """What to answer instead of success; `hang` never answers, `reset` breaks the connection (HTTP)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    rejected: int = 0
    hang: bool = False
    reset: bool = False
    body: bytes | None = None
    code: Any = None  # gRPC
    metadata: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Received:
    """One request as it came: signal, headers or metadata, and the size and form of its body."""

    signal: str
    headers: dict[str, str]
    compressed: bool
    accepted: bool
    path: str = ""  # HTTP


class Tls(NamedTuple):
    """A server's certificate with its key, and the authority that its clients' must come from, if they need one."""

    key: bytes
    certificate: bytes
    clients: bytes | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with NamedTemporaryFile() as file:
            file.write(self.key + self.certificate)
            file.flush()
            context.load_cert_chain(file.name)
        if self.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.clients.decode())
        return context

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.certificate)], self.clients, self.clients is not None)


class OtlpReceiver:
    """`script` holds the next replies, first come first served; without one everything is taken."""

    def __init__(self, tls: Tls | None = None) -> None:
        self.tls = tls
        self.script: deque[Reply] = deque()
        self.always: Callable[[str], Reply | None] = lambda signal: None
        self.requests: list[Received] = []
        self.spans: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.asked = asyncio.Event()
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=128 * 2**20)
        application.router.add_post("/{base:.*}v1/{signal}", self._http)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        tls, scheme = self.tls, "https" if self.tls else "http"
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls and tls.context())
        await site.start()
        self.endpoint = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}"
        self._grpc = grpc.aio.server()
        self._add_services()
        here = "127.0.0.1:0"
        port = self._grpc.add_secure_port(here, tls.credentials()) if tls else self._grpc.add_insecure_port(here)
        self.grpc_endpoint = f"{scheme}://127.0.0.1:{port}"
        await self._grpc.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._released.set()
        await self._runner.cleanup()
        await self._grpc.stop(0)

    def _reply(self, signal: str) -> Reply:
        if self.script:
            return self.script.popleft()
        return self.always(signal) or Reply()

    def _keep(self, signal: str, message: Any) -> None:
        if signal == "traces":
            self.spans += list(spans_in(message))
        elif signal == "logs":
            self.logs += list(logs_in(message))
        else:
            self.metrics += list(metrics_in(message))

    async def _http(self, request: web.Request) -> web.Response:
        signal = request.match_info["signal"]
        reply = self._reply(signal)
        body = await request.read()  # aiohttp has undone the content encoding
        accepted = 200 <= reply.status < 300 and not reply.hang and not reply.reset
        compressed = request.headers.get("Content-Encoding") in ("gzip", "zstd")
        self.requests.append(Received(signal, dict(request.headers), compressed, accepted, request.path))
        as_json = request.content_type == "application/json"
        self.asked.set()
        if reply.hang:
            await self._released.wait()
        if reply.reset and request.transport is not None:
            request.transport.abort()
        if accepted:
            self._keep(signal, from_json(signal, body) if as_json else REQUESTS[signal].FromString(gunzipped(body)))
        said = answer(signal, reply)
        if as_json and reply.body is None:
            said = in_json(signal, reply, said)
        return web.Response(status=reply.status, headers=reply.headers, body=said)

    def _add_services(self) -> None:
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self._servicer("traces"), self._grpc)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self._servicer("metrics"), self._grpc)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(self._servicer("logs"), self._grpc)

    def _servicer(self, signal: str) -> Any:
        receiver = self

        class Servicer:
            async def Export(self, request: Any, context: Any) -> Any:
                return await receiver._call(signal, request, context)

        return Servicer()

    async def _call(self, signal: str, request: Any, context: Any) -> Any:
        reply = self._reply(signal)
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        accepted = reply.code is None and not reply.hang
        compressed = headers.get("grpc-encoding", "identity") == "gzip"
        self.requests.append(Received(signal, headers, compressed, accepted))
        self.asked.set()
        if reply.hang:
            await self._released.wait()
        if reply.code is not None:
            await context.abort(reply.code, reply.message, trailing_metadata=reply.metadata)
        self._keep(signal, request)
        return RESPONSES[signal].FromString(answer(signal, reply))


def from_json(signal: str, body: bytes) -> Any:
    """A request in OTLP's JSON, read strictly: ids are hex of the right length, and no field is unknown."""
    return json_format.ParseDict(with_base64_ids(json.loads(body)), REQUESTS[signal]())


def with_base64_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_base64(key, each) if key in ID_SIZES else with_base64_ids(each) for key, each in value.items()}
    return [with_base64_ids(each) for each in value] if isinstance(value, list) else value


def in_base64(key: str, text: str) -> str:
    assert len(text) == ID_SIZES[key] * 2, f"{key}: {text}"
    return base64.b64encode(bytes.fromhex(text)).decode()


def in_json(signal: str, reply: Reply, said: bytes) -> bytes:
    kind = RESPONSES[signal] if 200 <= reply.status < 300 else Status
    return json_format.MessageToJson(kind.FromString(said)).encode()


def gunzipped(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def answer(signal: str, reply: Reply) -> bytes:
    if reply.body is not None:
        return reply.body
    if not 200 <= reply.status < 300:
        return bytes(Status(message=reply.message).SerializeToString())
    partial = {REJECTED[signal]: reply.rejected, "error_message": reply.message}
    response = RESPONSES[signal]()
    if reply.rejected or reply.message:
        for name, value in partial.items():
            setattr(response.partial_success, name, value)
    return bytes(response.SerializeToString())


def spans_in(message: Any) -> Any:
    """Every span as a plain dict."""
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name,
                    "kind": span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "trace_state": span.trace_state,
                    "flags": span.flags,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "attributes": plain(span.attributes),
                    "status": span.status.code,
                    "status_message": span.status.message,
                    "scope": scope.scope.name,
                    "schema_url": scope.schema_url,
                    "resource": plain(resource.resource.attributes),
                }


def logs_in(message: Any) -> Any:
    """Every log record as a plain dict."""
    for resource in message.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield {
                    "event_name": record.event_name,
                    "time": record.time_unix_nano,
                    "observed": record.observed_time_unix_nano,
                    "severity": record.severity_number,
                    "trace_id": record.trace_id.hex(),
                    "span_id": record.span_id.hex(),
                    "flags": record.flags,
                    "attributes": plain(record.attributes),
                    "scope": scope.scope.name,
                    "resource": plain(resource.resource.attributes),
                }


def metrics_in(message: Any) -> Any:
    """Every metric as a plain dict; points as their attributes, value or (count, sum), and exemplars' trace ids."""
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                yield {
                    "name": metric.name,
                    "unit": metric.unit,
                    "kind": kind,
                    "temporality": temporality_of(getattr(metric, kind)),
                    "points": [point_in(kind, point) for point in getattr(metric, kind).data_points],
                    "scope": scope.scope.name,
                    "schema_url": scope.schema_url,
                    "resource": plain(resource.resource.attributes),
                }


def temporality_of(data: Any) -> str | None:
    if not hasattr(data, "aggregation_temporality"):
        return None
    return str(AggregationTemporality.Name(data.aggregation_temporality)).removeprefix("AGGREGATION_TEMPORALITY_")


def point_in(kind: str, point: Any) -> dict[str, Any]:
    common = {"attributes": plain(point.attributes), "exemplars": [each.trace_id.hex() for each in point.exemplars]}
    if kind == "histogram":
        counts, bounds = list(point.bucket_counts), list(point.explicit_bounds)
        return common | {"count": point.count, "sum": point.sum, "bucket_counts": counts, "bounds": bounds}
    return common | {"value": getattr(point, point.WhichOneof("value"))}


def plain(attributes: Any) -> dict[str, Any]:
    """KeyValues as a dict of Python values."""
    return {attribute.key: value_in(attribute.value) for attribute in attributes}


def value_in(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_in(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None

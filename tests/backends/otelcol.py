"""A real OpenTelemetry Collector on free ports, and what it wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight.demo import free_addresses
from sidelight.demo.children import stop
from tests.support.running import until

OTELCOL = str(Path(__file__).parents[2] / ".backends" / "otelcol")
REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
READY = b"Everything is ready"


class Collector:
    """Takes OTLP over HTTP and gRPC; may be stopped and started again on the same ports and files."""

    def __init__(self, folder: Path, traces_to: str | None = None) -> None:
        """`traces_to` is the host:port of a backend that gets the traces as well, over gRPC."""
        self.folder = folder
        http, grpc = free_addresses(2)
        self.endpoints = {"http/protobuf": f"http://{http}", "http/json": f"http://{http}", "grpc": f"http://{grpc}"}
        self.config = folder / "otelcol.yaml"
        self.log = folder / "otelcol.log"
        self.config.write_text(yaml.safe_dump(self._tree(http, grpc, traces_to)))

    def _tree(self, http: str, grpc: str, traces_to: str | None) -> dict[str, Any]:
        receiver = {"protocols": {"http": {"endpoint": http}, "grpc": {"endpoint": grpc}}}
        files: dict[str, Any] = {
            f"file/{name}": {"path": str(self.folder / name), "format": "proto", "append": True} for name in REQUESTS
        }
        pipelines = {name: {"receivers": ["otlp"], "exporters": [f"file/{name}"]} for name in REQUESTS}
        if traces_to:
            files["otlp_grpc"] = {"endpoint": traces_to, "tls": {"insecure": True}}
            pipelines["traces"]["exporters"].append("otlp_grpc")
        service = {"telemetry": {"metrics": {"level": "none"}}, "pipelines": pipelines}
        return {"receivers": {"otlp": receiver}, "exporters": files, "service": service}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started, and after the block stopped in order: everything it took is then in its files."""
        async with collecting(self.config, self.log):
            yield

    def received(self, signal: str) -> list[Any]:
        """Every request of this signal as its message, in the order of arrival."""
        return [REQUESTS[signal].FromString(each) for each in frames(self.written(signal))]

    def written(self, signal: str) -> bytes:
        file = self.folder / signal
        return file.read_bytes() if file.exists() else b""


@asynccontextmanager
async def collecting(config: Path, log: Path) -> AsyncIterator[None]:
    """A Collector with this file, ready; stopped in order after the block."""
    with await asyncio.to_thread(log.open, "wb") as written:
        process = await asyncio.create_subprocess_exec(
            OTELCOL, "--config", str(config), stdout=written, stderr=written, start_new_session=True
        )
    try:
        await until(lambda: READY in log.read_bytes() or process.returncode is not None)
        assert process.returncode is None, await asyncio.to_thread(log.read_text)
        yield
    finally:
        await stop(process)


def frames(content: bytes) -> Iterator[bytes]:
    """The messages of a file, each after its length in four bytes."""
    start = 0
    while start < len(content):
        end = start + 4 + int.from_bytes(content[start : start + 4], "big")
        yield content[start + 4 : end]
        start = end

"""A real Jaeger on free ports, and what it answers when it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml

from sidelight.demo import free_addresses
from sidelight.demo.children import ready, stop

JAEGER = str(Path(__file__).parents[2] / ".backends" / "jaeger")
PATIENCE = 30.0  # seconds
MOST_TRACES = 10_000
NO_TAGS: Mapping[str, str] = {}


class Span(NamedTuple):
    """As Jaeger shows it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    tags: dict[str, Any]


class Jaeger:
    """Its query API."""

    def __init__(self, url: str, endpoint: str, session: aiohttp.ClientSession) -> None:
        self.endpoint = endpoint  # OTLP over gRPC
        self._url, self._session = url, session

    async def _get(self, what: str, **parameters: str) -> Any:
        async with self._session.get(f"{self._url}/api/{what}", params=parameters) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer["data"]

    async def services(self) -> set[str]:
        """The names of those that it has traces of."""
        return set(await self._get("services") or ())

    async def search(self, service: str, tags: Mapping[str, str] = NO_TAGS) -> dict[str, list[Span]]:
        """Traces that have a span with all of these tags, by their ids."""
        found = json.dumps(dict(tags))
        data = await self._get("traces", service=service, tags=found, limit=str(MOST_TRACES), lookback="1h")
        return {trace["traceID"]: [read(span) for span in trace["spans"]] for trace in data}


def read(span: dict[str, Any]) -> Span:
    parents = [each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF"]
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    return Span(span["traceID"], span["spanID"], parents[0] if parents else None, span["operationName"], tags)


@asynccontextmanager
async def jaeger(folder: Path) -> AsyncIterator[Jaeger]:
    """Started with nothing in its memory."""
    http, grpc, query, query_grpc = free_addresses(4)
    config = folder / "jaeger.yaml"
    config.write_text(yaml.safe_dump(tree(http, grpc, query, query_grpc)))
    with await asyncio.to_thread((folder / "jaeger.log").open, "wb") as log:
        process = await asyncio.create_subprocess_exec(
            JAEGER, "--config", str(config), stdout=log, stderr=log, start_new_session=True
        )
    try:
        await ready(process, f"http://{query}/api/services", PATIENCE)
        async with aiohttp.ClientSession() as session:
            yield Jaeger(f"http://{query}", grpc, session)
    finally:
        await stop(process)


def tree(http: str, grpc: str, query: str, query_grpc: str) -> dict[str, Any]:
    """Its configuration: OTLP in, traces in memory, the query API."""
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": http}, "grpc": {"endpoint": grpc}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": MOST_TRACES}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": query},
                "grpc": {"endpoint": query_grpc},
            },
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
        },
    }

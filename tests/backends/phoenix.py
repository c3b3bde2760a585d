"""A real Arize Phoenix on free ports, and what it answers when it is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sidelight.demo import free_addresses
from sidelight.demo.children import ready, stop

PHOENIX = str(Path(__file__).parents[2] / ".backends" / "phoenix" / "bin" / "phoenix")
PATIENCE = 120.0  # seconds; it loads half a gigabyte
PAGE = 1000


class Phoenix:
    """Its REST API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.endpoint = url  # OTLP over HTTP too
        self._session = session

    async def spans(self, project: str) -> list[dict[str, Any]]:
        """Every span of a project, as it stores them; none of one that it does not know."""
        url = f"{self.endpoint}/v1/projects/{project}/spans"
        async with self._session.get(url, params={"limit": str(PAGE)}) as response:
            if response.status == 404:
                return []
            assert response.status == 200, await response.text()
            return list((await response.json())["data"])

    async def annotations(self, project: str, span_id: str) -> list[dict[str, Any]]:
        """Of one span."""
        url = f"{self.endpoint}/v1/projects/{project}/span_annotations"
        async with self._session.get(url, params={"span_ids": span_id}) as response:
            assert response.status == 200, await response.text()
            return list((await response.json())["data"])


@asynccontextmanager
async def phoenix(folder: Path) -> AsyncIterator[Phoenix]:
    """Started on an empty database."""
    http, grpc = free_addresses(2)
    environment = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": http.rpartition(":")[2],
        "PHOENIX_GRPC_PORT": grpc.rpartition(":")[2],
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with await asyncio.to_thread((folder / "phoenix.log").open, "wb") as log:
        process = await asyncio.create_subprocess_exec(
            PHOENIX, "serve", env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        await ready(process, f"http://{http}/v1/projects", PATIENCE)
        async with aiohttp.ClientSession() as session:
            yield Phoenix(f"http://{http}", session)
    finally:
        await stop(process)

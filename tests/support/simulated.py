"""The demo's simulated endpoint on a free port of this process, two hundred times faster than life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from sidelight.demo.simulator import create_app

SPEED = 200.0


@asynccontextmanager
async def simulated_endpoint() -> AsyncIterator[str]:
    """Its base URL, as long as the block runs."""
    runner = web.AppRunner(create_app(SPEED), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()

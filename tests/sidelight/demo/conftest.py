"""The simulated endpoint on a free port, two hundred times faster than life."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sidelight.demo.simulator import create_app

SPEED = 200.0


@pytest.fixture
async def simulated() -> AsyncIterator[str]:
    """Its base URL."""
    runner = web.AppRunner(create_app(SPEED), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()

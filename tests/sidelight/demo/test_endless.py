"""Traffic without end: it goes on beyond any failure, and stops when it is told."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from sidelight.demo import free_addresses
from sidelight.demo.children import python_child
from sidelight.demo.simulator import create_app
from tests.support.running import until

MANY = 70  # more than it takes to see every scenario


@asynccontextmanager
async def counting_endpoint(address: str, answered: Counter[str]) -> AsyncIterator[None]:
    """The simulated endpoint, which counts by path what it was asked."""

    async def count(request: web.Request, _: web.StreamResponse) -> None:
        answered[request.path] += 1

    app = create_app(speed=200)
    app.on_response_prepare.append(count)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        host, _, port = address.partition(":")
        await web.TCPSite(runner, host, int(port)).start()
        yield
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_waits_for_an_endpoint_sends_on_and_on_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    (address,) = free_addresses(1)
    answered: Counter[str] = Counter()
    command = ("sidelight.demo.endless", f"http://{address}", "--clients", "8", "--rest", "0.01")
    async with python_child(*command, log=tmp_path / "log", piped=True) as traffic:
        async with counting_endpoint(address, answered):
            await until(lambda: answered.total() >= MANY)
        before = answered.total()
        async with counting_endpoint(address, answered):
            await until(lambda: answered.total() >= before + MANY)
        assert traffic.returncode is None
        traffic.send_signal(number)
        assert await asyncio.wait_for(traffic.wait(), 10) == 0
    assert (tmp_path / "log").read_text() == ""
    assert set(answered) == {"/v1/chat/completions", "/v1/messages"}

"""Upstreams for whole runs: the simulator, and one whose answers never differ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sidelight.demo.simulator import create_app
from tests.support.raw_http import response_bytes
from tests.support.upstream import ScriptedUpstream, answering

SPEED = 200.0
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}'
)


@pytest.fixture
async def simulator() -> AsyncIterator[str]:
    """The base URL of the simulated endpoint."""
    runner = web.AppRunner(create_app(SPEED), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.fixture
async def constant() -> AsyncIterator[ScriptedUpstream]:
    """An upstream that gives ANSWER to everyone, and remembers what it was asked."""
    response = response_bytes(200, [("Content-Type", "application/json")], ANSWER)
    async with ScriptedUpstream(answering(response)) as upstream:
        yield upstream

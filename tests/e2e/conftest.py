"""Upstreams for whole runs: the simulator, and one whose answers never differ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.raw_http import response_bytes
from tests.support.simulated import simulated_endpoint
from tests.support.upstream import ScriptedUpstream, answering

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}'
)


@pytest.fixture
async def simulator() -> AsyncIterator[str]:
    """The base URL of the simulated endpoint."""
    async with simulated_endpoint() as url:
        yield url


@pytest.fixture
async def constant() -> AsyncIterator[ScriptedUpstream]:
    """An upstream that gives ANSWER to everyone, and remembers what it was asked."""
    response = response_bytes(200, [("Content-Type", "application/json")], ANSWER)
    async with ScriptedUpstream(answering(response)) as upstream:
        yield upstream

"""The official SDKs cannot tell Sidelight from the endpoint, and what they did is in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.support.running import running

pytestmark = pytest.mark.e2e

Call = Callable[[str], Awaitable[Any]]  # a base URL → what the SDK's user gets

QUESTION: Any = [{"role": "user", "content": "How do I fix a bicycle chain?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI: dict[str, Any] = {"model": "gpt-4o", "messages": QUESTION}
OPENAI_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
ANTHROPIC: dict[str, Any] = {"model": "claude-simulated", "messages": QUESTION, "max_tokens": 500}
ANTHROPIC_TOOLS: Any = [{"name": "weather", "input_schema": PARAMETERS}]
CHANGES = {"id", "created", "call_id", "x-request-id", "_request_id"}  # new with every answer of the simulator


def essence(value: Any) -> Any:
    """A result without what differs from answer to answer."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: essence(each) for key, each in value.items() if key not in CHANGES}
    return [essence(each) for each in value] if isinstance(value, list) else value


def openai_sync(stream: bool, **extra: Any) -> Call:
    def call(base: str) -> Any:
        with openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
            if stream:
                chunks = client.chat.completions.create(**OPENAI, **extra, stream=True)
                return [essence(chunk) for chunk in chunks]
            return essence(client.chat.completions.create(**OPENAI, **extra))

    return lambda base: asyncio.to_thread(call, base)


def openai_async(stream: bool, **extra: Any) -> Call:
    async def call(base: str) -> Any:
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
            if stream:
                chunks = await client.chat.completions.create(**OPENAI, **extra, stream=True)
                return [essence(chunk) async for chunk in chunks]
            return essence(await client.chat.completions.create(**OPENAI, **extra))

    return call


def anthropic_sync(stream: bool, **extra: Any) -> Call:
    def call(base: str) -> Any:
        with anthropic.Anthropic(base_url=base, api_key="k", max_retries=0) as client:
            if stream:
                return [essence(event) for event in client.messages.create(**ANTHROPIC, **extra, stream=True)]
            return essence(client.messages.create(**ANTHROPIC, **extra))

    return lambda base: asyncio.to_thread(call, base)


def anthropic_async(stream: bool, **extra: Any) -> Call:
    async def call(base: str) -> Any:
        async with anthropic.AsyncAnthropic(base_url=base, api_key="k", max_retries=0) as client:
            if stream:
                events = await client.messages.create(**ANTHROPIC, **extra, stream=True)
                return [essence(event) async for event in events]
            return essence(await client.messages.create(**ANTHROPIC, **extra))

    return call


def anthropic_stream_helper() -> Call:
    async def call(base: str) -> Any:
        async with (
            anthropic.AsyncAnthropic(base_url=base, api_key="k", max_retries=0) as client,
            client.messages.stream(**ANTHROPIC) as stream,
        ):
            return essence(await stream.get_final_message())

    return call


def openai_error(kind: type[Exception], scenario: str) -> Call:
    async def call(base: str) -> Any:
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
            with pytest.raises(kind) as raised:
                await client.chat.completions.create(**OPENAI, user=f"{scenario}:1")
        return type(raised.value).__name__, essence(raised.value.body)  # type: ignore[attr-defined]

    return call


USAGE = {"stream_options": {"include_usage": True}}
CALLS: dict[str, Call] = {
    "openai": openai_sync(False),
    "openai tools": openai_sync(False, tools=OPENAI_TOOLS),
    "openai stream": openai_sync(True, **USAGE),
    "openai stream tools": openai_sync(True, tools=OPENAI_TOOLS, **USAGE),
    "openai async": openai_async(False, n=2),
    "openai async stream": openai_async(True, **USAGE),
    "openai async stream tools": openai_async(True, tools=OPENAI_TOOLS),
    "anthropic": anthropic_sync(False),
    "anthropic tools": anthropic_sync(False, tools=ANTHROPIC_TOOLS),
    "anthropic stream": anthropic_sync(True),
    "anthropic async": anthropic_async(False),
    "anthropic async stream": anthropic_async(True),
    "anthropic async stream tools": anthropic_async(True, tools=ANTHROPIC_TOOLS),
    "anthropic stream helper": anthropic_stream_helper(),
    "openai rate limit": openai_error(openai.RateLimitError, "rate_limit"),
    "openai server error": openai_error(openai.InternalServerError, "server_error"),
}


async def test_every_sdk_gets_what_it_gets_without_sidelight_and_the_store_has_it(
    tmp_path: Path, simulator: str
) -> None:
    async with running(tmp_path, simulator) as run:
        for name, call in CALLS.items():
            directly = await call(simulator)
            assert directly, name
            assert await call(run.url) == directly, name
        sums = await run.settled(len(CALLS))
        rows = await run.rows("SELECT model, status, input_tokens, output_tokens, stream FROM exchange ORDER BY id")
    assert (sums.done, sums.balanced) == (len(CALLS), True)
    assert len(rows) == len(CALLS)
    for name, (model, status, input_tokens, output_tokens, stream) in zip(CALLS, rows, strict=True):
        if "error" in name or "limit" in name:
            assert status in (429, 500)
            continue
        assert (status, model) == (200, "claude-simulated" if "anthropic" in name else "gpt-4o-2024-08-06"), name
        assert bool(stream) == ("stream" in name), name
        if name != "openai async stream tools":  # its usage was not asked for
            assert input_tokens > 0, name
            assert output_tokens > 0, name

"""The simulator's messages, as Anthropic's own client reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import orjson
import pytest

from sidelight.demo.traffic import SCHEMA, TOOLS

ASKED: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Can I bake bread in a pot?"}],
}
OFFERED: Any = [{"name": tool["name"], "input_schema": tool["parameters"]} for tool in TOOLS]


def named(scenario: str) -> Any:
    return {"user_id": f"{scenario}:1"}


@pytest.fixture
async def client(simulated: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=simulated, api_key="demo", max_retries=0) as client:
        yield client


async def gathered(client: anthropic.AsyncAnthropic, **options: Any) -> Any:
    async with client.messages.stream(**ASKED, **options) as stream:
        return await stream.get_final_message()


async def test_a_plain_answer(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(**ASKED)
    assert message.model == "claude-haiku-4-5-20251001"
    assert message.stop_reason == "end_turn"
    assert [block.type for block in message.content] == ["text"]
    assert message.usage.output_tokens > 10


async def test_a_stream_gathers_to_the_whole_answer(client: anthropic.AsyncAnthropic) -> None:
    whole, streamed = await client.messages.create(**ASKED), await gathered(client)
    assert streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    assert (streamed.stop_reason, streamed.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)


async def test_a_stream_has_the_documented_events_in_order(client: anthropic.AsyncAnthropic, simulated: str) -> None:
    response = await client.messages.with_raw_response.create(**ASKED, stream=True)
    body = await response.http_response.aread()
    kinds = [line[7:] for line in body.decode().splitlines() if line.startswith("event: ")]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}


async def test_tool_use_whole_and_streamed(client: anthropic.AsyncAnthropic) -> None:
    whole, streamed = await client.messages.create(**ASKED, tools=OFFERED), await gathered(client, tools=OFFERED)
    called, gathered_call = whole.content[0], streamed.content[0]
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    assert called.type == "tool_use"
    assert (called.name, called.input) == (gathered_call.name, gathered_call.input)
    assert "city" in called.input  # type: ignore[operator]


async def test_thinking_comes_signed_before_the_text(client: anthropic.AsyncAnthropic) -> None:
    whole = await client.messages.create(**ASKED, metadata=named("reasoning"))
    streamed = await gathered(client, metadata=named("reasoning"))
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert streamed.content[0].thinking == whole.content[0].thinking  # type: ignore[union-attr]
    assert streamed.content[0].signature


async def test_json_with_a_schema(client: anthropic.AsyncAnthropic) -> None:
    asked: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    message = await client.messages.create(**ASKED, output_config=asked)
    assert set(orjson.loads(message.content[0].text)) == set(SCHEMA["properties"])  # type: ignore[union-attr]


async def test_cached_input_is_counted_beside_the_rest(client: anthropic.AsyncAnthropic) -> None:
    plain = await client.messages.create(**ASKED, system="Be kind. " * 100, metadata={"user_id": "answer:2"})
    cached = await client.messages.create(**ASKED, system="Be kind. " * 100, metadata={"user_id": "answer:1"})
    assert cached.usage.cache_read_input_tokens
    assert cached.usage.input_tokens + cached.usage.cache_read_input_tokens == plain.usage.input_tokens


async def test_refusal_and_limit_have_their_stop_reasons(client: anthropic.AsyncAnthropic) -> None:
    refused = await gathered(client, metadata=named("refusal"))
    limited = await client.messages.create(**(ASKED | {"max_tokens": 5}))
    assert refused.stop_reason == "refusal"
    assert (limited.stop_reason, limited.usage.output_tokens) == ("max_tokens", 5)


async def test_errors_are_the_sdks_own(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.RateLimitError) as limited:
        await client.messages.create(**ASKED, metadata=named("rate_limit"))
    with pytest.raises(anthropic.InternalServerError):
        await gathered(client, metadata=named("server_error"))
    with pytest.raises(anthropic.BadRequestError):
        await client.messages.create(**(ASKED | {"messages": "nothing"}))
    assert limited.value.type == "rate_limit_error"

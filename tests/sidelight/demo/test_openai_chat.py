"""The simulator's chat completions, as OpenAI's own client reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import orjson
import pytest

from sidelight.demo.traffic import SCHEMA, TOOLS

MODEL = "gpt-4.1-mini"
MESSAGES: Any = [{"role": "user", "content": "Can I bake bread in a pot?"}]
OFFERED: Any = [{"type": "function", "function": tool} for tool in TOOLS]


@pytest.fixture
async def client(simulated: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{simulated}/v1", api_key="demo", max_retries=0) as client:
        yield client


async def streamed(client: openai.AsyncOpenAI, **options: Any) -> list[Any]:
    stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, **options)
    return [chunk async for chunk in stream]


def text_of(chunks: list[Any], index: int = 0) -> str:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(delta.content or "" for delta in deltas)


async def test_a_plain_answer(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    choice = completion.choices[0]
    assert completion.model == "gpt-4.1-mini-2025-04-14"
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


async def test_ids_are_unique_though_answers_are_alike(client: openai.AsyncOpenAI) -> None:
    first, second = [await client.chat.completions.create(model=MODEL, messages=MESSAGES) for _ in range(2)]
    assert first.id != second.id
    assert first.choices[0].message.content == second.choices[0].message.content


async def test_a_stream_joins_to_the_whole_answer(client: openai.AsyncOpenAI) -> None:
    chunks = await streamed(client)
    whole = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert len(chunks) > 10
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


async def test_usage_ends_a_stream_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    without = await streamed(client)
    chunks = await streamed(client, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in without)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0


async def test_a_long_prompt_is_partly_cached(client: openai.AsyncOpenAI) -> None:
    long_prompt: Any = [{"role": "user", "content": "Please explain. " * 100}]
    completion = await client.chat.completions.create(model=MODEL, messages=long_prompt, user="answer:1")
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == completion.usage.prompt_tokens // 128 * 128 > 0


async def test_several_choices(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, n=3)
    chunks = await streamed(client, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert [text_of(chunks, index) for index in range(3)] == [c.message.content for c in completion.choices]


async def test_tool_calls_whole_and_in_deltas(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=OFFERED)
    called = completion.choices[0].message.tool_calls[0].function  # type: ignore[index,union-attr]
    chunks = await streamed(client, tools=OFFERED)
    deltas = [delta for chunk in chunks for choice in chunk.choices for delta in choice.delta.tool_calls or ()]
    assert completion.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "tool_calls"
    assert len(deltas) > 2
    assert deltas[0].function.name == called.name
    assert "".join(delta.function.arguments for delta in deltas) == called.arguments
    assert set(orjson.loads(called.arguments)) <= {"city", "date", "unit", "passengers", "first_class"}


async def test_the_sdk_gathers_a_streamed_tool_call(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=OFFERED) as stream:
        completion = await stream.get_final_completion()
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert "city" in orjson.loads(calls[0].function.arguments)


async def test_json_with_a_schema(client: openai.AsyncOpenAI) -> None:
    asked: Any = {"type": "json_schema", "json_schema": {"name": "article", "schema": SCHEMA}}
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, response_format=asked)
    assert set(orjson.loads(completion.choices[0].message.content or "")) == set(SCHEMA["properties"])


async def test_a_json_object_without_a_schema(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, response_format={"type": "json_object"}
    )
    assert orjson.loads(completion.choices[0].message.content or "") == {}


async def test_a_refusal_comes_in_its_own_field(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, user="refusal:1")
    chunks = await streamed(client, user="refusal:1")
    message = completion.choices[0].message
    refused = "".join(choice.delta.refusal or "" for chunk in chunks for choice in chunk.choices)
    assert message.content is None
    assert message.refusal == refused != ""


async def test_reasoning_is_told_and_counted(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, user="reasoning:1")
    chunks = await streamed(client, user="reasoning:1")
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == completion.choices[0].message.reasoning_content  # type: ignore[attr-defined]
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens


async def test_a_limit_ends_with_length(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=7)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 7


async def test_errors_are_the_sdks_own(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        await client.chat.completions.create(model=MODEL, messages=MESSAGES, user="rate_limit:1")
    with pytest.raises(openai.InternalServerError):
        await streamed(client, user="server_error:1")
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model=MODEL, messages="nothing")  # type: ignore[call-overload]
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_answer_breaks_the_connection(client: openai.AsyncOpenAI, stream: bool) -> None:
    create = client.chat.completions.with_raw_response.create
    answer = create(model=MODEL, messages=MESSAGES, user="cut:1", stream=stream)
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
        await (await answer).http_response.aread()

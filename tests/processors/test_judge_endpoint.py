from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from anthropic.types import Message as AnthropicMessage
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from pipeline.errors import Permanent, Retryable
from pipeline.own_calls import USER_AGENT
from processors.judge_answer import Token, schema_of
from processors.judge_endpoint import (
    Api,
    Ask,
    Endpoint,
    Reply,
    address,
    anthropic_reply,
    credentials,
    openai_reply,
    turns,
)
from processors.rubric import shipped
from tests.support.judge_endpoint import (
    Answer,
    Body,
    JudgeEndpoint,
    Script,
    always,
    anthropic,
    judge_endpoint,
    openai,
    refusing,
    said,
    weighed,
)

SCHEMA = schema_of([shipped("coherence")])
KEY = "sk-a-key-that-nobody-may-read"
SECRET = "what was asked is nobody's business"
ASK = Ask("You grade.", turns(SECRET), SCHEMA)


def an_endpoint(url: str, api: Api = "openai", **options: Any) -> Endpoint:
    settings: dict[str, Any] = {
        "headers": credentials(api, KEY),
        "parameters": {"temperature": 0},
        "max_tokens": 800,
        "timeout": 20.0,
    }
    return Endpoint(api, url, "judge-1", **(settings | options))


@asynccontextmanager
async def asking(script: Script, api: Api = "openai", **options: Any) -> AsyncIterator[tuple[Endpoint, JudgeEndpoint]]:
    async with judge_endpoint(script) as judge, an_endpoint(judge.url, api, **options) as endpoint:
        yield endpoint, judge


def tells(status: int, text: str = "", **headers: str) -> Script:
    return lambda body: web.Response(
        status=status, text=text, headers={n.replace("_", "-"): v for n, v in headers.items()}
    )


def known(kind: Any, body: Mapping[str, Any]) -> None:
    """A request as the SDK's types have it, and with nothing that they do not."""
    TypeAdapter(kind).validate_python(body)
    assert set(body) <= kind.__required_keys__ | kind.__optional_keys__ | {"temperature"}  # Anthropic's older models


# -- two APIs ------------------------------------------------------------------------------------------------------


async def test_openai_is_asked_as_its_sdk_asks() -> None:
    async with asking(always(4)) as (endpoint, judge):
        reply = await endpoint.ask(ASK)
    (body,), (headers,) = judge.bodies, judge.headers
    known(CompletionCreateParamsNonStreaming, body)
    assert body == {
        "model": "judge-1",
        "messages": [{"role": "system", "content": "You grade."}, {"role": "user", "content": SECRET}],
        "max_tokens": 800,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
        },
    }
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"] == USER_AGENT
    assert reply == Reply(said(4), 500, 50)


async def test_anthropic_is_asked_as_its_sdk_asks() -> None:
    async with asking(always(4), "anthropic") as (endpoint, judge):
        reply = await endpoint.ask(Ask("You grade.", turns(SECRET, "Hm.", "Again."), SCHEMA))
    (body,), (headers,) = judge.bodies, judge.headers
    known(MessageCreateParamsNonStreaming, body)
    assert body == {
        "model": "judge-1",
        "system": "You grade.",
        "messages": [
            {"role": "user", "content": SECRET},
            {"role": "assistant", "content": "Hm."},
            {"role": "user", "content": "Again."},
        ],
        "max_tokens": 800,
        "temperature": 0,
        "tools": [{"name": "verdict", "description": "Give the verdict.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "verdict"},
    }
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert reply == Reply(said(4), 500, 50)  # what came from the cache was read too


async def test_probabilities_are_asked_for_and_read() -> None:
    def script(body: Body) -> Answer:
        return web.json_response(weighed(4, {"4": 0.5, "3": 0.5}, body))

    async with asking(script) as (endpoint, judge):
        reply = await endpoint.ask(ASK._replace(logprobs=True))
    known(CompletionCreateParamsNonStreaming, judge.bodies[0])
    assert (judge.bodies[0]["logprobs"], judge.bodies[0]["top_logprobs"]) == (True, 20)
    assert reply.tokens[3] == Token("4", {"4": pytest.approx(0.5), "3": pytest.approx(0.5)})  # type: ignore[dict-item]
    assert "".join(token.text for token in reply.tokens) == reply.text


def test_the_scripted_judge_answers_as_the_sdks_expect() -> None:
    ChatCompletion.model_validate(openai(said(4), {"model": "m"}))
    ChatCompletion.model_validate(weighed(4, {"4": 1.0}, {"model": "m"}))
    AnthropicMessage.model_validate(anthropic(said(4), {"model": "m", "tools": []}))
    AnthropicMessage.model_validate(anthropic(said(4), {"model": "m"}))


@pytest.mark.parametrize(
    ("url", "api", "asked"),
    [
        ("https://api.openai.com", "openai", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "openai", "https://api.openai.com/v1/chat/completions"),
        ("https://llm.example/v1beta/openai/", "openai", "https://llm.example/v1beta/openai/chat/completions"),
        ("http://127.0.0.1:8000/", "openai", "http://127.0.0.1:8000/v1/chat/completions"),
        ("https://api.anthropic.com", "anthropic", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "anthropic", "https://api.anthropic.com/v1/messages"),
        ("https://llm.example/anthropic", "anthropic", "https://llm.example/anthropic/v1/messages"),
    ],
)
def test_a_base_url_is_taken_as_the_apis_own_sdk_takes_it(url: str, api: Api, asked: str) -> None:
    assert address(url, api) == asked


async def test_headers_of_ones_own_go_along_whatever_their_case_and_ours_stay() -> None:
    headers = {"Authorization": "Bearer one", "authorization": "Bearer two", "User-Agent": "me", "X-Team": "a"}
    async with asking(always(4), headers=headers) as (endpoint, judge):
        await endpoint.ask(ASK)
    (sent,) = judge.headers
    assert (sent["authorization"], sent["x-team"], sent["user-agent"]) == ("Bearer two", "a", USER_AGENT)


# -- what an endpoint does not know --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "words", "left"),
    [
        (
            "openai",
            ("response_format",),
            {"model", "messages", "max_tokens", "temperature", "logprobs", "top_logprobs"},
        ),
        (
            "openai",
            ("max_tokens",),
            {
                "model",
                "messages",
                "max_completion_tokens",
                "temperature",
                "logprobs",
                "top_logprobs",
                "response_format",
            },
        ),
        ("openai", ("temperature", "logprobs"), {"model", "messages", "max_tokens", "response_format"}),
        (
            "openai",
            ("response_format", "max_tokens", "temperature", "logprobs"),
            {"model", "messages", "max_completion_tokens"},
        ),
        ("anthropic", ("tool_choice", "temperature"), {"model", "messages", "max_tokens", "system"}),
    ],
)
async def test_what_an_endpoint_refuses_is_left_out_and_not_asked_for_again(
    api: Api, words: tuple[str, ...], left: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    asked = ASK._replace(logprobs=api == "openai")
    async with asking(refusing(*words, script=always(4)), api) as (endpoint, judge):
        assert (await endpoint.ask(asked)).text == said(4)
        assert len(judge.bodies) == len(words) + 1
        await endpoint.ask(asked)
        assert len(judge.bodies) == len(words) + 2
    assert set(judge.bodies[-1]) == left
    (record,) = caplog.records
    assert "does not take" in record.message
    assert KEY not in caplog.text
    assert SECRET not in caplog.text


async def test_many_at_once_each_leave_out_what_is_refused() -> None:
    async with asking(refusing("response_format", "temperature", script=always(4))) as (endpoint, judge):
        judge.held = asyncio.Event()
        at_once = [asyncio.ensure_future(endpoint.ask(ASK)) for _ in range(8)]
        await judge.asked.wait()
        judge.held.set()
        assert {reply.text for reply in await asyncio.gather(*at_once)} == {said(4)}


@pytest.mark.parametrize(
    "complains",
    [
        "",
        "no such model",
        "This model's maximum context length is 8192 tokens; reduce max_tokens",
        "your prompt was filtered: it holds 'temperature', 'response_format', 'logprobs' and max_completion_tokens",
    ],
)
async def test_a_request_that_is_refused_whatever_is_left_out_teaches_nothing(complains: str) -> None:
    def script(body: Body) -> Answer:
        refused = any(SECRET in each["content"] for each in body["messages"])
        return web.Response(status=400, text=complains) if refused else said(4)

    async with asking(script) as (endpoint, judge):
        with pytest.raises(Permanent, match=r"^HTTP 400$"):
            await endpoint.ask(ASK)
        assert len(judge.bodies) <= 4
        await endpoint.ask(ASK._replace(turns=turns("Something else.")))
    assert {"response_format", "temperature", "max_tokens"} <= set(judge.bodies[-1])


async def test_an_endpoint_that_does_not_say_what_it_refuses_is_asked_without_a_schema() -> None:
    def script(body: Body) -> Answer:
        return web.Response(status=422) if "response_format" in body else said(4)

    async with asking(script) as (endpoint, judge):
        assert (await endpoint.ask(ASK)).text == said(4)
    assert len(judge.bodies) == 2


# -- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
async def test_a_busy_endpoint_may_be_asked_again(status: int) -> None:
    async with asking(tells(status, f"busy {KEY}")) as (endpoint, judge):
        with pytest.raises(Retryable, match=rf"^HTTP {status}$") as raised:
            await endpoint.ask(ASK)
    assert raised.value.after is None
    assert len(judge.bodies) == 1


async def test_an_endpoint_says_when() -> None:
    async with asking(tells(429, Retry_After="7")) as (endpoint, _):
        with pytest.raises(Retryable) as raised:
            await endpoint.ask(ASK)
    assert raised.value.after == 7


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 413, 418, 501])
async def test_a_refusal_is_final(status: int) -> None:
    async with asking(tells(status, SECRET)) as (endpoint, judge):
        with pytest.raises(Permanent, match=rf"^HTTP {status}$"):
            await endpoint.ask(ASK)
    assert len(judge.bodies) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with judge_endpoint(always(4)) as elsewhere:
        async with asking(tells(status, Location=f"{elsewhere.url}/v1/chat/completions")) as (endpoint, _):
            with pytest.raises(Permanent, match=rf"^HTTP {status}$"):
                await endpoint.ask(ASK)
        assert elsewhere.bodies == []


def whole(**changes: Any) -> str:
    return json.dumps(openai(said(4), {"model": "m"}) | changes)


NO_ANSWERS = {
    "nothing": "",
    "html": "<html>gateway</html>",
    "cut": whole()[:-10],
    "list": "[]",
    "text": '"no"',
    "empty": "{}",
    "no_choices": whole(choices=[]),
    "choices_of_text": whole(choices=["no"]),
    "content_of_number": whole(choices=[{"message": {"content": 4}}]),
    "usage_of_text": whole(usage={"prompt_tokens": "many"}),
    "usage_below_zero": whole(usage={"prompt_tokens": -5}),
    "no_utf8": "{\udcff",
    "nested": '{"choices":' + "[" * 100_000,
    "stream": f"data: {whole()}\n\ndata: [DONE]\n\n",
}


@pytest.mark.parametrize("text", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_answer_of_the_api_is_final(text: str) -> None:
    def script(body: Body) -> Answer:
        return web.Response(body=text.encode("utf-8", "surrogateescape"), content_type="text/html")

    async with asking(script) as (endpoint, _):
        with pytest.raises(Permanent, match=r"^not an answer of this API$") as raised:
            await endpoint.ask(ASK)
    assert raised.value.__cause__ is None


async def test_an_answer_without_end_is_read_no_further_than_it_may_be() -> None:
    text = openai("x" * 10 * 2**20, {"model": "m"})
    async with asking(lambda body: web.json_response(text)) as (endpoint, _):
        with pytest.raises(Permanent, match="not an answer"):
            await endpoint.ask(ASK)


async def test_an_endpoint_that_does_not_answer_is_left_after_the_time_limit() -> None:
    async with asking(always(4), timeout=0.05) as (endpoint, judge):
        judge.held = asyncio.Event()
        with pytest.raises(Retryable, match=r"^timeout$"):
            await endpoint.ask(ASK)


async def test_an_endpoint_that_is_not_there_may_be_asked_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with an_endpoint(f"http://127.0.0.1:{port}") as endpoint:
            with pytest.raises(Retryable, match=r"^ClientConnectorError$"):
                await endpoint.ask(ASK)


async def test_an_endpoint_that_hangs_up_may_be_asked_again() -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.close()
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", hang_up)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with an_endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}") as endpoint:
            with pytest.raises(Retryable) as raised:
                await endpoint.ask(ASK)
    finally:
        await runner.cleanup()
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_no_error_tells_a_key_or_what_was_asked(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def echo(body: Body) -> Answer:
        return web.Response(status=status, text=f"{KEY} {json.dumps(body)}")

    async with asking(echo) as (endpoint, _):
        with pytest.raises((Permanent, Retryable)) as raised:
            await endpoint.ask(ASK)
        shown = f"{raised.value!r} {raised.value.__cause__!r} {endpoint!r} {caplog.text}"
    assert KEY not in shown
    assert SECRET not in shown


# -- what is read --------------------------------------------------------------------------------------------------


def test_an_answer_that_was_cut_says_so() -> None:
    body: Body = {"model": "m"}
    assert openai_reply(json.dumps(openai("x", body, "length")).encode()).cut
    assert anthropic_reply(json.dumps(anthropic("x", body, "max_tokens")).encode()).cut
    assert not openai_reply(json.dumps(openai("x", body)).encode()).cut
    assert not anthropic_reply(json.dumps(anthropic("x", body)).encode()).cut


def test_the_visible_text_is_read_of_an_answer_in_pieces() -> None:
    pieces = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "{}"}, {"type": "text", "text": None}]
    answer = {"choices": [{"message": {"content": pieces}}]}
    assert openai_reply(json.dumps(answer).encode()) == Reply("{}", None, None)
    message = {"content": pieces, "usage": {"output_tokens": 3}}
    assert anthropic_reply(json.dumps(message).encode()) == Reply("{}", None, 3)


def test_an_answer_without_a_text_is_an_empty_one() -> None:
    assert openai_reply(b'{"choices": [{"message": {"content": null, "refusal": "No."}}]}').text == ""
    assert anthropic_reply(b'{"content": []}').text == ""


def test_probabilities_that_are_none_are_bounded() -> None:
    logprobs = {"content": [{"token": "4", "top_logprobs": [{"token": "4", "logprob": 1e9}]}, {"token": "x"}]}
    answer = {"choices": [{"message": {"content": "4"}, "logprobs": logprobs}]}
    assert openai_reply(json.dumps(answer).encode()).tokens == (Token("4", {"4": 1.0}), Token("x", {}))


async def test_a_session_is_closed_with_the_endpoint() -> None:
    async with asking(always(4)) as (endpoint, _):
        pass
    with pytest.raises(RuntimeError):
        await endpoint.ask(ASK)
    assert isinstance(endpoint._session, aiohttp.ClientSession)
    assert endpoint._session.closed

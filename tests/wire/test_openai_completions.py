"""Completions of a text as OpenAI, its imitators and llama.cpp give them, and as OpenAI's own library reads them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from pipeline.records import Capture, Exchange, Part, Usage, text_of
from tests.support.records import a_capture, reported
from tests.wire.cases import CASES, STREAMS, read_case
from wire import decode
from wire.openai_completions import OpenAICompletions

SSE = (("content-type", "text/event-stream"),)


def a_call(**changes: Any) -> Capture:
    return a_capture(**{"target": "/v1/completions", "request_body": b'{"model": "m", "prompt": "Hi"}'} | changes)


def asked(**request: Any) -> Exchange:
    return decode(a_call(request_body=json.dumps(request).encode()))


def answered(body: object, **changes: Any) -> Exchange:
    return decode(a_call(response_body=json.dumps(body).encode(), **changes))


def stream(*chunks: object, **changes: Any) -> Exchange:
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    return decode(a_call(**{"response_body": body, "response_headers": SSE} | changes))


def chunk(text: object, finish_reason: object = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": finish_reason, **choice}]}


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/completions", True),
        ("POST", "/completions/", True),
        ("POST", "/beta/completions", True),
        ("POST", "/v1/fim/completions", True),
        ("POST", "/openai/deployments/d/completions?api-version=1", True),
        ("POST", "/completion", True),
        ("POST", "/infill", True),
        ("POST", "/v1/chat/completions", False),
        ("POST", "/chat/completions", False),
        ("GET", "/v1/completions", False),
        ("POST", "/v1/mycompletions", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert (
        OpenAICompletions().matches(a_capture(method=method, target=target, request_body=b'{"prompt":"a"}')) is matches
    )


@pytest.mark.parametrize(
    ("prompt", "messages"),
    [
        ("a", [(Part("text", content="a"),)]),
        (["a", "b"], [(Part("text", content="a"),), (Part("text", content="b"),)]),
        ([1, 2], [(Part("generic", name="tokens"),)]),
        ([[1], [2, 3]], [(Part("generic", name="tokens"),)] * 2),
        ([1, "a"], [(Part("generic", name="tokens"),)]),
        (None, []),
        ([], []),
    ],
)
def test_prompts(prompt: object, messages: list[tuple[Part, ...]]) -> None:
    exchange = asked(prompt=prompt)
    assert [message.parts for message in exchange.input_messages] == messages


def test_what_is_to_follow_is_a_part_of_the_prompt() -> None:
    for request in ({"prompt": "a", "suffix": "b"}, {"input_prefix": "a", "input_suffix": "b", "prompt": ""}):
        assert text_of(asked(**request).input_messages) == "a\nb"


@pytest.mark.parametrize(
    ("request_part", "parameters"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"n_predict": 5}, {"max_tokens": 5}),
        ({"n_predict": 5, "max_tokens": 6}, {"max_tokens": 6}),
        ({"n": 2, "seed": 1, "stop": "x"}, {"choice.count": 2, "seed": 1, "stop_sequences": ["x"]}),
    ],
)
def test_parameters(request_part: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert asked(prompt="a", **request_part).parameters == parameters


@pytest.mark.parametrize(
    ("request_body", "chunks", "complete"),
    [
        (b'{"prompt": "a"}', [chunk("b", "stop")], True),
        (b'{"prompt": "a", "n": 2}', [chunk("b", "stop", index=0)], False),
        (b'{"prompt": ["a", "b"]}', [chunk("b", "stop", index=0)], False),
        (b'{"prompt": ["a", "b"]}', [chunk("b", "stop", index=0), chunk("c", "length", index=1)], True),
        (b'{"prompt": [1, 2]}', [chunk("b", "stop", index=0)], True),
        (b'{"prompt": "a"}', [{"content": "b", "stop": False}], False),
        (b'{"prompt": "a"}', [{"content": "b", "stop": False}, {"content": "", "stop": True}], True),
    ],
)
def test_complete(request_body: bytes, chunks: list[object], complete: bool) -> None:
    assert stream(*chunks, request_body=request_body).complete is complete


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"stop_type": "eos"}, "stop"),
        ({"stop_type": "word"}, "stop"),
        ({"stop_type": "limit"}, "length"),
        ({"stop_type": "none", "stop": False}, None),
        ({"stopped_eos": True}, "stop"),
        ({"stopped_limit": True}, "length"),
    ],
)
def test_why_llama_cpp_stopped(members: dict[str, Any], reason: str | None) -> None:
    message = answered({"content": "a", "stop": True, **members}).output_messages[0]
    assert message.finish_reason == reason


@pytest.mark.parametrize(
    ("members", "usage"),
    [
        ({"tokens_evaluated": 5, "tokens_predicted": 2}, reported(5, 2)),
        ({"tokens_evaluated": 5}, reported(5)),
        ({"tokens_evaluated": 5, "tokens_predicted": 2, "timings": {"cache_n": 4, "prompt_n": 1}}, reported(5, 2, 4)),
        ({}, Usage()),
    ],
)
def test_llama_cpps_counts(members: dict[str, Any], usage: Usage) -> None:
    assert answered({"content": "a", "stop": True, **members}).usage == usage


def test_a_streams_last_counts_count() -> None:
    counts = [{"content": "a", "stop": n == 3, "tokens_evaluated": 4, "tokens_predicted": n} for n in (1, 2, 3)]
    assert stream(*counts).usage == reported(4, 3)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": "none"},
        {"choices": [7]},
        {"choices": [{"text": 5}]},
        {"choices": [{"text": "a", "index": "0"}]},
        {"choices": [{"text": "a"}], "usage": [1]},
        {"content": 5},
        [7],
        {},
    ],
)
def test_wrong_type_in_the_response_is_named(body: object) -> None:
    assert answered(body).decode_error == "unexpected_shape"


def the_library_reads(capture: Capture) -> list[openai.types.Completion]:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=dict(capture.response_headers), content=capture.response_body)

    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond))) as client:
        if capture.response_body.startswith(b"{"):
            return [client.completions.create(model="m", prompt="Hi")]
        return list(client.completions.create(model="m", prompt="Hi", stream=True))


# The library knows neither llama.cpp's own shape nor Mistral's, and raises where an error came.
OTHERS = ("llama_cpp", "mistral", "error", "azure_blocked", "http_error")
MINE = [case for case in CASES if case.startswith("openai_completions/") and not case.split("/")[1].startswith(OTHERS)]


@pytest.mark.parametrize("case", MINE)
def test_completion_is_read_as_the_library_reads_it(case: str) -> None:
    exchange, chunks = decode(read_case(case)), the_library_reads(read_case(case))
    texts: dict[int, str] = {}
    for choice in [choice for each in chunks for choice in each.choices]:
        texts[choice.index] = texts.get(choice.index, "") + choice.text
    assert [text_of((message,)) for message in exchange.output_messages] == [texts[n] for n in sorted(texts)]
    assert (exchange.response_id, exchange.response_model) == (chunks[0].id, chunks[0].model)
    used = [each.usage for each in chunks if each.usage]
    told = (used[-1].prompt_tokens, used[-1].completion_tokens) if used else (None, None)
    assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == told


def test_there_are_streams_among_them() -> None:
    assert len(set(MINE) & set(STREAMS)) >= 3

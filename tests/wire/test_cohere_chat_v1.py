"""Cohere's first chat: one message, its history beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Capture, Exchange, Message, Part, text_of, tool_calls_of
from tests.support.records import a_capture, reported
from wire import decode
from wire.cohere_chat_v1 import CohereChatV1

ASKED = b'{"message":"Hi"}'
LINES = (("content-type", "application/stream+json"),)


def answered(**answer: Any) -> Exchange:
    body = json.dumps({"text": "Hello", "finish_reason": "COMPLETE"} | answer).encode()
    return decode(a_capture(target="/v1/chat", request_body=ASKED, response_body=body))


def asked(**request: Any) -> Exchange:
    body = json.dumps({"message": "Hi"} | request).encode()
    return decode(a_capture(target="/v1/chat", request_body=body, response_body=b'{"text": "Hello"}'))


def stream(*events: dict[str, Any]) -> Capture:
    body = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    return a_capture(target="/v1/chat", request_body=ASKED, response_body=body, response_headers=LINES)


def text(piece: str) -> dict[str, Any]:
    return {"event_type": "text-generation", "text": piece}


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/chat", True),
        ("POST", "/v1/chat/", True),
        ("POST", "/v1/chat/completions", False),
        ("POST", "/v2/chat", False),
        ("GET", "/v1/chat", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert CohereChatV1().matches(a_capture(method=method, target=target, request_body=ASKED)) is matches


def test_history_and_results_are_messages() -> None:
    call = {"name": "f", "parameters": {"a": 1}}
    exchange = asked(
        chat_history=[
            {"role": "SYSTEM", "message": "Be brief."},
            {"role": "CHATBOT", "message": "", "tool_calls": [call]},
            {"role": "TOOL", "tool_results": [{"call": call, "outputs": [{"b": 2}]}]},
        ]
    )
    assert exchange.input_messages == (
        Message("system", (Part("text", content="Be brief."),)),
        Message("assistant", (Part("tool_call", name="f", arguments={"a": 1}),)),
        Message("tool", (Part("tool_call_response", name="f", response=[{"b": 2}]),)),
        Message("user", (Part("text", content="Hi"),)),
    )


def test_the_last_event_repeats_the_text() -> None:
    end = {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"text": "ab"}}
    assert text_of(decode(stream(text("a"), text("b"), end)).output_messages) == "ab"
    assert text_of(decode(stream(end)).output_messages) == "ab"


def test_a_stream_without_its_last_event_is_incomplete() -> None:
    exchange = decode(stream(text("a"), text("b")))
    assert (exchange.complete, text_of(exchange.output_messages)) == (False, "ab")


def test_usage_is_what_was_billed() -> None:
    meta = {"billed_units": {"input_tokens": 3, "output_tokens": 9}, "tokens": {"input_tokens": 71}}
    assert answered(meta=meta).usage == reported(3, 9)


def test_calls_are_why_it_stopped() -> None:
    exchange = answered(tool_calls=[{"name": "f", "parameters": {"a": 1}}])
    assert tool_calls_of(exchange.output_messages) == [Part("tool_call", name="f", arguments={"a": 1})]
    assert exchange.output_messages[0].finish_reason == "tool_call"


@pytest.mark.parametrize(
    "answer",
    [
        {"text": 1},
        {"meta": []},
        {"citations": [{"text": 1}], "text": "a"},
        {"documents": {}, "citations": []},
        {"tool_calls": ["f"]},
        {"finish_reason": {}},
    ],
)
def test_wrong_type_in_the_response_is_named(answer: dict[str, Any]) -> None:
    assert answered(**answer).decode_error == "unexpected_shape"


@pytest.mark.parametrize(
    "request_part",
    [{"message": 1}, {"chat_history": "Hi"}, {"documents": "a"}, {"tools": [1]}, {"tool_results": [{"call": 1}]}],
)
def test_wrong_type_in_the_request_is_named(request_part: dict[str, Any]) -> None:
    assert asked(**request_part).decode_error == "unexpected_shape"

"""Ollama's chat and generate, and what is none of Ollama."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange, Part, Usage, text_of, tool_calls_of
from tests.support.records import a_capture, reported
from tests.wire.cases import read_case
from tests.wire.test_formats import mutated, survives_the_journal
from wire import decode
from wire.ollama import Ollama

NDJSON = (("content-type", "application/x-ndjson"),)
JSON = (("content-type", "application/json; charset=utf-8"),)
ASKED = b'{"model": "llama3.2", "messages": []}'


def line(content: object = "", done: bool = False, **others: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": content}, "done": done} | others


def stream(*lines: object, headers: Any = NDJSON, **changes: Any) -> Capture:
    body = b"".join(json.dumps(each).encode() + b"\n" for each in lines)
    shared = {"target": "/api/chat", "request_body": ASKED, "response_headers": headers, "response_body": body}
    return a_capture(**shared | changes)


def asked(**request: Any) -> Exchange:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | request).encode()
    return decode(stream(line("Hello", True), headers=JSON, request_body=body))


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({}, True),
        ({"target": "/api/generate"}, True),
        ({"target": "/ollama/api/chat/"}, True),
        ({"method": "GET"}, False),
        ({"target": "/v1/chat/completions"}, False),
        ({"target": "/api/embed"}, False),
        ({"target": "/api/chats"}, False),
        ({"request_body": b'{"id": "1", "messages": []}'}, False),
        ({"request_body": b'{"mess', "request_cut": True}, True),
        ({"request_body": b"\x1f\x8b", "request_headers": (("content-encoding", "gzip"),)}, True),
        ({"response_body": b'data: {"type":"text-delta"}\n\n'}, False),
        ({"response_body": b'0:"Hello"\n'}, False),
        ({"response_body": b"<html>"}, False),
        ({"response_body": b"<html>", "status": 502}, True),
        ({"response_body": b"", "status": None}, True),
        ({"response_body": b"\x1f\x8b", "response_headers": (("content-encoding", "gzip"),)}, True),
    ],
)
def test_matches_only_what_ollama_says(changes: dict[str, Any], matches: bool) -> None:
    assert Ollama().matches(stream(line("Hello", True), **changes)) is matches


@pytest.mark.parametrize(
    ("request_part", "parameters"),
    [
        ({"options": {"num_predict": 5, "stop": "a"}}, {"max_tokens": 5, "stop_sequences": ["a"]}),
        ({"options": {"num_predict": -1, "stop": ["a", "b"]}}, {"max_tokens": -1, "stop_sequences": ["a", "b"]}),
        ({"options": {"num_ctx": 4096}, "keep_alive": "5m"}, {}),
        ({"options": None, "think": True}, {}),
        ({"think": "low"}, {"reasoning.level": "low"}),
    ],
)
def test_parameters(request_part: dict[str, Any], parameters: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.parameters, exchange.decode_error) == (parameters, None)


@pytest.mark.parametrize(
    ("wanted", "output"),
    [
        ("json", ("json", None)),
        ({"type": "object"}, ("json", {"type": "object"})),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_output(wanted: object, output: tuple[str | None, Any]) -> None:
    exchange = asked(format=wanted)
    assert (exchange.output_type, exchange.output_schema) == output


@pytest.mark.parametrize(
    "request_part",
    [
        {"messages": "Hi"},
        {"messages": [{"role": "user", "content": ["Hi"]}]},
        {"messages": [{"role": "user", "content": "Hi", "images": "x"}]},
        {"options": []},
        {"format": 1},
        {"tools": [{"function": "f"}]},
        {"options": {"stop": [1]}},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello")


def test_one_body_is_no_stream_and_several_lines_are() -> None:
    assert not asked().stream
    lines = decode(stream(line("a"), line("b", True), headers=JSON))
    assert (lines.stream, text_of(lines.output_messages)) == (True, "ab")


def test_an_unanswered_request_asked_for_a_stream_unless_it_said_not() -> None:
    nothing: dict[str, Any] = {"status": None, "response_body": b"", "response_headers": ()}
    assert decode(stream(**nothing)).stream
    assert not decode(stream(**nothing, request_body=b'{"model": "m", "stream": false}')).stream


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_eval_count": 9, "eval_count": 3}, reported(9, 3)),
        ({"eval_count": 3}, reported(None, 3)),
        ({}, Usage()),
    ],
)
def test_usage(counts: dict[str, Any], usage: Usage) -> None:
    assert decode(stream(line("a"), line("", True, **counts))).usage == usage


def test_a_stream_that_is_not_done_is_incomplete() -> None:
    assert not decode(stream(line("a"))).complete
    assert decode(stream(line("a"), line("", True))).complete


@pytest.mark.parametrize(("reason", "word"), [("stop", "tool_call"), ("length", "length")])
def test_calls_are_why_it_stopped(reason: str, word: str) -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    exchange = decode(stream(line(message=message), line("", True, done_reason=reason)))
    assert exchange.output_messages[0].finish_reason == word
    assert tool_calls_of(exchange.output_messages) == [Part("tool_call", name="f", arguments={"a": 1})]


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_loading_a_model_is_no_answer(reason: str) -> None:
    exchange = decode(stream(line("", True, done_reason=reason), headers=JSON))
    assert (exchange.output_messages, exchange.decode_error, exchange.complete) == ((), None, True)


def test_an_empty_answer_is_one() -> None:
    (message,) = decode(stream(line("", True, done_reason="stop"), headers=JSON)).output_messages
    assert (message.parts, message.finish_reason) == ((), "stop")


@pytest.mark.parametrize("body", [b"{}", b'{"done": true}', b'{"message": "Hi", "done": true}'])
def test_no_answer_where_one_should_be_is_named(body: bytes) -> None:
    assert decode(stream(headers=JSON, response_body=body)).decode_error == "unexpected_shape"


@given(data=st.data())
@settings(max_examples=100)
def test_any_value_anywhere_in_a_line_never_raises(data: st.DataObject) -> None:
    capture = read_case(data.draw(st.sampled_from(["ollama/tools_stream", "ollama/generate_image_stream"])))
    lines = [json.loads(each) for each in capture.response_body.splitlines()]
    n = data.draw(st.integers(0, len(lines) - 1))
    lines[n] = mutated(data, lines[n])
    body = b"\n".join(json.dumps(each).encode() for each in data.draw(st.permutations(lines)))
    exchange = decode(msgspec.structs.replace(capture, response_body=body))
    assert exchange.decode_error != "decoder_failed"
    assert survives_the_journal(exchange)

"""Cohere's chat: its events in any order, its documents, its two ways of counting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Capture, Exchange, Message, Part, Usage, text_of, tool_calls_of
from tests.support.records import a_capture, reported
from wire import decode
from wire.cohere_chat import CohereChat

SSE = (("content-type", "text/event-stream"),)


def event(kind: str, index: object = None, **message: Any) -> dict[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": message}}


def end(**delta: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": "COMPLETE"} | delta}


def stream(*events: dict[str, Any]) -> Capture:
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    return a_capture(target="/v2/chat", response_body=body, response_headers=SSE)


def answered(**answer: Any) -> Exchange:
    message = {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    body = {"id": "a", "message": message, "finish_reason": "COMPLETE"} | answer
    return decode(a_capture(target="/v2/chat", response_body=json.dumps(body).encode()))


def asked(**request: Any) -> Exchange:
    body = json.dumps({"model": "command", "messages": [{"role": "user", "content": "Hi"}]} | request).encode()
    response = b'{"message": {"content": [{"type": "text", "text": "Hello"}]}, "finish_reason": "COMPLETE"}'
    return decode(a_capture(target="/v2/chat", request_body=body, response_body=response))


def text(piece: str, index: object = 0) -> dict[str, Any]:
    return event("content-delta", index, content={"text": piece})


def call(index: object, kind: str = "start", **function: Any) -> dict[str, Any]:
    return event(f"tool-call-{kind}", index, tool_calls={"function": function})


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v2/chat", True),
        ("POST", "/cohere/v2/chat/?x=1", True),
        ("GET", "/v2/chat", False),
        ("POST", "/v2/chat/completions", False),
        ("POST", "/api/chat", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert CohereChat().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("documents", "responses"),
    [
        (["a", {"data": "b"}], [(None, "a"), (None, "b")]),
        ([{"id": "1", "data": {"title": "t", "text": "x"}}], [("1", {"title": "t", "text": "x"})]),
        ([{"title": "t", "snippet": "x"}], [(None, {"title": "t", "snippet": "x"})]),
    ],
)
def test_documents_are_what_a_tool_found(documents: list[Any], responses: list[Any]) -> None:
    exchange = asked(documents=documents)
    parts = [Part("tool_call_response", id=each, response=said) for each, said in responses]
    assert exchange.input_messages[-1] == Message("tool", tuple(parts))
    assert exchange.decode_error is None


@pytest.mark.parametrize(
    "request_part",
    [
        {"messages": {}},
        {"messages": [{"role": "user", "content": 1}]},
        {"messages": [{"role": "tool", "content": [{"type": "document", "document": 1}]}]},
        {"documents": "a"},
        {"documents": [1]},
        {"tools": [{"function": 1}]},
        {"response_format": "json"},
        {"response_format": {"type": "json_object", "schema": "any"}},
        {"k": "many"},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello")


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"billed_units": {"input_tokens": 3.0, "output_tokens": 9.0}, "tokens": {"input_tokens": 71}}, reported(3, 9)),
        ({"tokens": {"input_tokens": 71, "output_tokens": 11}}, reported(71, 11)),
        ({"tokens": {"input_tokens": 71, "output_tokens": 11}, "cached_tokens": 64}, reported(71, 11, cache_read=64)),
        ({"billed_units": {"input_tokens": 3}, "tokens": {"input_tokens": 71}, "cached_tokens": 64}, reported(3)),
        ({"billed_units": {"search_units": 1}}, reported(rerank_searches=1)),
        ({}, Usage()),
    ],
)
def test_usage_is_what_was_billed(usage: dict[str, Any], counts: Usage) -> None:
    exchange = answered(usage=usage)
    assert (exchange.usage, exchange.decode_error) == (counts, None)


@pytest.mark.parametrize(
    ("reason", "word", "error"),
    [
        ("COMPLETE", "stop", None),
        ("STOP_SEQUENCE", "stop", None),
        ("MAX_TOKENS", "length", None),
        ("ERROR_TOXIC", "content_filter", None),
        ("ERROR", "error", "ERROR"),
        ("TIMEOUT", "error", "TIMEOUT"),
    ],
)
def test_finish_reason(reason: str, word: str, error: str | None) -> None:
    exchange = answered(finish_reason=reason)
    assert (exchange.output_messages[0].finish_reason, exchange.error_type) == (word, error)
    assert exchange.complete is (error is None)


def test_blocks_are_kept_apart_by_index() -> None:
    events = [event("content-start", 0, content={"type": "text", "text": ""}), text("a"), text("b")]
    events += [event("content-start", 1, content={"type": "text", "text": ""}), text("c", 1), text("d", 1), end()]
    parts = decode(stream(*events)).output_messages[0].parts
    assert [part.content for part in parts] == ["ab", "cd"]


@pytest.mark.parametrize("index", [None, "0", -1, 2**70, {}])
def test_text_with_any_index_is_read(index: object) -> None:
    exchange = decode(stream(text("a", index), text("b", index), end()))
    assert (text_of(exchange.output_messages), exchange.complete) == ("ab", True)


@pytest.mark.parametrize(
    ("events", "arguments"),
    [
        (
            [call(0, name="f", arguments=""), call(0, "delta", arguments='{"a":'), call(0, "delta", arguments="1}")],
            [{"a": 1}],
        ),
        (
            [
                call(0, name="f"),
                call(1, name="g"),
                call(0, "delta", arguments="{}"),
                call(1, "delta", arguments='{"b":2}'),
            ],
            [{}, {"b": 2}],
        ),
        ([call(None, name="f"), call(None, "delta", arguments='{"a":1}')], [{"a": 1}]),
        ([call({}, name="f"), call({}, "delta", arguments='{"a":1}')], [{"a": 1}]),
        ([call(0, name="f", arguments="{}"), call(0, name="g", arguments='{"b":2}')], [{}, {"b": 2}]),
        ([call(5, "delta", arguments='{"a":1}')], [{"a": 1}]),
        ([call(0, name="f", arguments='{"a":')], ['{"a":']),
    ],
)
def test_calls_come_together_by_index(events: list[dict[str, Any]], arguments: list[Any]) -> None:
    exchange = decode(stream(*events, end(finish_reason="TOOL_CALL")))
    assert [part.arguments for part in tool_calls_of(exchange.output_messages)] == arguments


def test_a_stream_without_its_end_is_incomplete() -> None:
    exchange = decode(stream(event("message-start", role="assistant"), text("a")))
    assert (exchange.complete, exchange.output_messages[0].finish_reason) == (False, None)


@pytest.mark.parametrize(
    ("citation", "cited"),
    [
        ({"text": "a"}, [{"text": "a"}]),
        (
            {"text": "a", "sources": [{"id": "d", "document": {"title": 1, "url": "u"}}]},
            [{"text": "a", "uri": "u", "file_id": "d"}],
        ),
        (
            {"text": "a", "sources": [{"id": "x"}, {"id": "y"}]},
            [{"text": "a", "file_id": "x"}, {"text": "a", "file_id": "y"}],
        ),
        ({}, []),
    ],
)
def test_citations(citation: dict[str, Any], cited: list[dict[str, str]]) -> None:
    events = [text("a"), event("citation-start", 0, citations=citation), end()]
    (part,) = decode(stream(*events)).output_messages[0].parts
    assert list(part.citations) == cited


@pytest.mark.parametrize(
    "answer",
    [
        {"message": "Hi"},
        {"message": {"content": 1}},
        {"message": {"tool_calls": {}}},
        {"message": {"citations": [1]}},
        {"finish_reason": 1},
        {"usage": []},
        {"usage": {"billed_units": {"input_tokens": -1}}},
    ],
)
def test_wrong_type_in_the_response_is_named(answer: dict[str, Any]) -> None:
    assert answered(**answer).decode_error == "unexpected_shape"

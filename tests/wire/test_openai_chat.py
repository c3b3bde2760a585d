"""Chat completions as real servers bend them, and as OpenAI's own library reads them."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange, Part, Usage, text_of, tool_calls_of
from tests.support.records import MS, a_capture, reported
from tests.wire.cases import STREAMS, read_case
from wire import decode
from wire.openai_chat import OpenAIChat

SSE = (("content-type", "text/event-stream"),)


def chunk(delta: object, finish_reason: object = None, index: object = 0, **others: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}], **others}


def stream(*chunks: object, end: bytes = b"data: [DONE]\n\n", **changes: Any) -> Capture:
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + end
    return a_capture(**{"response_body": body, "response_headers": SSE} | changes)


def asked(**request: Any) -> Exchange:
    messages = [{"role": "user", "content": "Hi"}]
    return decode(a_capture(request_body=json.dumps({"model": "m", "messages": messages} | request).encode()))


def answered(message: object = None, **completion: Any) -> Exchange:
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return decode(a_capture(response_body=json.dumps({"choices": choices} | completion).encode()))


def calls(*deltas: object) -> list[Part]:
    exchange = decode(stream(*[chunk({"tool_calls": delta}) for delta in deltas], chunk({}, "tool_calls")))
    return tool_calls_of(exchange.output_messages)


def piece(arguments: object, **others: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments} | ({"name": others.pop("name")} if "name" in others else {}), **others}


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/chat/completions/?x=1", True),
        ("POST", "/openai/deployments/d/chat/completions?api-version=1", True),
        ("POST", "/chat/completions", True),
        ("GET", "/v1/chat/completions", False),
        ("POST", "/v1/chat/completions/c1", False),
        ("GET", "/v1/chat/completions/c1", True),
        ("GET", "/v1/chat/completions/c1/messages", False),
        ("GET", "/v1/chat/deferred-completion/r1", True),
        ("DELETE", "/v1/chat/completions/c1", False),
        ("POST", "/v1/completions", False),
        ("POST", "/v1/embeddings?next=/chat/completions", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert OpenAIChat().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(("provider", "host"), [("openai", "llm.internal"), ("groq", "api.groq.com")])
def test_unknown_host_speaks_for_openai(provider: str, host: str) -> None:
    assert decode(a_capture(server_address=host)).provider == provider


@pytest.mark.parametrize(
    ("request_part", "parameters"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": None, "max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 7, "max_tokens": 5}, {"max_tokens": 7}),
        ({"stop": "a"}, {"stop_sequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"n": 1, "temperature": None}, {}),
        ({"n": 3}, {"choice.count": 3}),
        ({"top_k": 40, "seed": -1}, {"top_k": 40, "seed": -1}),
        ({"reasoning": {"effort": "high"}}, {"reasoning.level": "high"}),
    ],
)
def test_parameters(request_part: dict[str, Any], parameters: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.parameters, exchange.decode_error) == (parameters, None)


@pytest.mark.parametrize(
    "request_part",
    [
        {"temperature": "hot"},
        {"temperature": True},
        {"max_tokens": 1.5},
        {"seed": 2**70},
        {"n": []},
        {"stop": {}},
        {"stop": [1]},
        {"messages": "Hi"},
        {"messages": ["Hi"]},
        {"messages": [{"role": 1, "content": "Hi"}]},
        {"messages": [{"role": "user", "content": {"text": "Hi"}}]},
        {"tools": {}},
        {"tools": [{"type": "function", "function": "f"}]},
        {"response_format": "json"},
        {"model": 4},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello!")


@pytest.mark.parametrize(
    ("completion", "error"),
    [
        ({"choices": "none"}, "unexpected_shape"),
        ({"choices": [7]}, "unexpected_shape"),
        ({"choices": None}, "unexpected_shape"),
        ({"choices": [{"message": "Hello"}]}, "unexpected_shape"),
        ({"choices": [{"index": "0", "message": {"content": "Hello"}}]}, "unexpected_shape"),
        ({"choices": [{"message": {"content": "Hello"}}], "usage": [1]}, "unexpected_shape"),
        ({"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": -1}}, "unexpected_shape"),
        ({"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 1e300}}, "unexpected_shape"),
        ({"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": True}}, "unexpected_shape"),
        ({"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 5.0}}, None),
    ],
)
def test_wrong_type_in_the_response_is_named(completion: dict[str, Any], error: str | None) -> None:
    assert decode(a_capture(response_body=json.dumps(completion).encode())).decode_error == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_body": b"{"}, "request_not_json"),
        ({"request_body": b""}, "request_not_json"),
        ({"request_body": b"\xff"}, "request_not_json"),
        ({"request_body": b"[]"}, "unexpected_shape"),
        ({"request_body": b'{"messages": [' + b"[" * 500 + b"]" * 500 + b"]}"}, "request_not_json"),
        ({"request_body": b'{"model": "m', "request_cut": True}, "request_cut"),
        (
            {"request_body": b"x", "request_headers": (("content-encoding", "compress"),)},
            "content_encoding_unsupported",
        ),
        ({"response_body": b"<html>"}, "response_not_json"),
        ({"response_body": b'{"choices": [{"message": {"content": "H', "response_cut": True}, "response_cut"),
        ({"response_body": b'{"choices": NaN}'}, "response_not_json"),
        ({"response_body": b"gzip?", "response_headers": (("content-encoding", "gzip"),)}, "content_encoding_broken"),
        ({"response_body": b"\x1f\x8b", "response_headers": (("content-encoding", "gzip"),)}, "response_not_json"),
        ({"response_body": b"data: {\n\n", "response_headers": SSE}, "event_not_json"),
        ({"response_body": b"data: []\n\n", "response_headers": SSE}, "unexpected_shape"),
        ({"response_body": b'data: {"id": "c', "response_headers": SSE}, "event_cut"),
        ({"response_body": b""}, None),
    ],
)
def test_unreadable_is_named(changes: dict[str, Any], error: str | None) -> None:
    exchange = decode(a_capture(**changes))
    assert (exchange.wire, exchange.decode_error) == ("openai_chat", error)


def test_broken_event_does_not_cost_the_others() -> None:
    broken = b"data: {oops\n\n" + b'data: {"choices": [{"index": 0, "delta": {"content": "\xff!"}}]}\n\n'
    exchange = decode(stream(chunk({"content": "Hi"}), end=broken + stream(chunk({}, "stop")).response_body))
    assert text_of(exchange.output_messages) == "Hi\ufffd!"
    assert (exchange.decode_error, exchange.complete) == ("event_not_json", True)


def test_empty_event_only_keeps_the_connection_alive() -> None:
    exchange = decode(stream(chunk({"content": "a"}), end=b"data: \n\n"))
    assert (exchange.decode_error, exchange.complete) == (None, False)


def test_character_cut_between_arrivals_is_whole() -> None:
    body = 'data: {"choices": [{"index": 0, "delta": {"content": "é"}}]}\n\n'.encode()
    arrivals = ((0, 1), (body.index("é".encode()) + 1, 2))
    exchange = decode(a_capture(response_body=body, response_headers=SSE, arrivals=arrivals))
    assert (text_of(exchange.output_messages), exchange.timing.chunk_times) == ("é", (1,))


def test_gzipped_stream_keeps_its_times() -> None:
    plain = stream(chunk({"role": "assistant"}), chunk({"content": "Hi"}), chunk({}, "stop"))
    packed = gzip.compress(plain.response_body)
    headers = (*SSE, ("content-encoding", "gzip"))
    exchange = decode(a_capture(response_body=packed, response_headers=headers, arrivals=((0, 5 * MS),)))
    assert (exchange.complete, exchange.timing.chunk_times) == (True, (5 * MS,))


def test_first_chunk_is_the_first_with_content() -> None:
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning": "a"}),
        chunk({"content": "b"}),
        chunk({}),
    ]
    capture = stream(*chunks)
    size = [len(json.dumps(chunk)) + 8 for chunk in chunks]
    arrivals = ((0, 1), (size[0], 2), (size[0] + size[1], 3), (sum(size[:3]), 4))
    timing = decode(stream(*chunks, arrivals=arrivals)).timing
    assert (timing.first_chunk_at, timing.chunk_times) == (2, (2, 3))
    assert decode(a_capture(response_body=capture.response_body, arrivals=())).timing.first_chunk_at is None


def test_whole_body_has_no_chunks() -> None:
    timing = decode(a_capture()).timing
    assert (timing.first_chunk_at, timing.chunk_times) == (None, ())


STREAM_ASKED = b'{"model": "m", "messages": [], "stream": true}'


@pytest.mark.parametrize(
    ("changes", "is_stream"),
    [
        ({"request_body": STREAM_ASKED}, False),
        ({"request_body": STREAM_ASKED, "response_headers": SSE}, False),
        ({"response_body": b": wait\n\ndata: [DONE]\n\n"}, True),
        ({"response_body": b"event: error\ndata: {}\n\n"}, True),
        ({"response_body": b"", "response_headers": SSE}, True),
        ({"request_body": STREAM_ASKED, "status": None, "response_body": b"", "response_headers": ()}, True),
        ({"status": None, "response_body": b"", "response_headers": ()}, False),
    ],
)
def test_stream_is_told_by_the_bytes(changes: dict[str, Any], is_stream: bool) -> None:
    assert decode(a_capture(**changes)).stream is is_stream


@pytest.mark.parametrize(
    ("capture", "complete"),
    [
        (stream(chunk({"content": "a"}), chunk({}, "stop"), end=b""), True),
        (stream(chunk({"content": "a"})), True),
        (stream(chunk({"content": "a"}), end=b""), False),
        (stream(chunk({"content": "a"}, "stop"), chunk({"content": "b"}, index=1), end=b""), False),
        (stream(chunk({}, "stop"), end=b"", request_body=b'{"n": 2}'), False),
        (stream(end=b""), False),
        (stream(chunk({"content": "a"}), end=b"", error_type="client_disconnect"), False),
        (stream(chunk({}, "stop"), end=b"", error_type="client_disconnect"), True),
        (a_capture(error_type="upstream_reset"), False),
        (a_capture(response_cut=True), True),
        (a_capture(response_body=b'{"choices": ['), False),
        (a_capture(response_body=b""), False),
        (a_capture(status=500, response_body=b""), True),
        (a_capture(status=None, response_body=b"", error_type="timeout"), False),
    ],
)
def test_complete(capture: Capture, complete: bool) -> None:
    assert decode(capture).complete is complete


@pytest.mark.parametrize(
    ("event", "error_type", "message"),
    [
        ({"error": {"message": "m", "type": "server_error", "code": None}}, "server_error", "m"),
        ({"error": {"message": "m", "code": 502}}, "502", "m"),
        ({"error": {"message": "m", "type": ["x"]}}, "_OTHER", "m"),
        ({"error": {"message": "m", "type": "x" * 500}}, "_OTHER", "m"),
        ({"error": "overloaded"}, "_OTHER", "overloaded"),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "BadRequestError", "m"),
        (chunk({"content": ""}, "error", error={"code": 502, "message": "m"}), "502", "m"),
    ],
)
def test_error_inside_a_stream(event: dict[str, Any], error_type: str, message: str) -> None:
    exchange = decode(stream(chunk({"content": "a"}), event))
    assert (exchange.error_type, exchange.error_message, exchange.complete) == (error_type, message, False)
    assert text_of(exchange.output_messages) == "a"


def test_error_inside_a_whole_body() -> None:
    exchange = answered(choices=None, error={"message": "m", "code": 524})
    assert (exchange.error_type, exchange.error_message, exchange.complete) == ("524", "m", True)
    assert exchange.decode_error is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "m", "type": "t"}}', "m"),
        (b'{"error": "m"}', "m"),
        (b'{"message": "m"}', "m"),
        (b'{"detail": "m"}', "m"),
        (b'{"detail": [{"msg": "m"}]}', None),
        (b'{"error": {"message": 5}}', None),
        (b'{"error": {"message": "' + b"m" * 9999 + b'"}}', "m" * 2000),
        (b"<html>Bad gateway</html>", None),
        (b"", None),
    ],
)
def test_http_error_is_its_status_and_what_the_body_says(body: bytes, message: str | None) -> None:
    exchange = decode(a_capture(status=502, response_body=body))
    assert (exchange.error_type, exchange.error_message, exchange.output_messages) == ("502", message, ())


def test_what_broke_the_exchange_is_kept() -> None:
    exchange = decode(stream(chunk({"content": "a"}), end=b"", error_type="client_disconnect"))
    assert (exchange.error_type, exchange.output_messages[0].finish_reason) == ("client_disconnect", None)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("content_filter", "content_filter"),
        ("model_length", "length"),
        ("abort", "abort"),
        (None, None),
        ("", None),
        (7, None),
    ],
)
def test_finish_reason(reason: object, word: str | None) -> None:
    exchange = answered(choices=[{"index": 0, "message": {"content": "a"}, "finish_reason": reason}])
    assert exchange.output_messages[0].finish_reason == word


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, reported(3, 2)),
        ({"prompt_tokens": 3, "completion_tokens": 2, "prompt_cache_hit_tokens": 1}, reported(3, 2, 1)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5}},
            reported(9, None, 4, 5),
        ),
        (
            {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}},
            reported(None, 9, None, None, 7),
        ),
        ({"prompt_tokens": 3, "prompt_tokens_details": None}, reported(3)),
    ],
)
def test_usage(usage: object, read: Usage) -> None:
    assert answered({"content": "a"}, usage=usage).usage == read


def test_reasoning_counted_beside_the_completion_is_added_to_it() -> None:
    details = {"reasoning_tokens": 300}
    usage = {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 340, "completion_tokens_details": details}
    assert answered({"content": "a"}, usage=usage).usage == reported(30, 310, reasoning=300)


def test_last_usage_of_a_stream_counts() -> None:
    first, last = ({"prompt_tokens": 3, "completion_tokens": n} for n in (1, 2))
    chunks = [chunk({"content": "a"}, usage=first), chunk({"content": "b"}, usage=last), chunk({}, "stop", usage=None)]
    assert decode(stream(*chunks)).usage == reported(3, 2)


def test_usage_inside_the_choice_counts() -> None:
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    assert decode(stream(chunk({"content": "a"}), {"choices": [last]})).usage == reported(3, 1)


def test_interleaved_pieces_go_to_their_calls() -> None:
    found = calls(
        [piece('{"a"', index=0, id="x", name="f"), piece('{"b"', index=1, id="y", name="g")],
        [piece(":2}", index=1), piece(":1}", index=0)],
    )
    assert found == [
        Part("tool_call", id="x", name="f", arguments={"a": 1}),
        Part("tool_call", id="y", name="g", arguments={"b": 2}),
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        [[piece("{}", id="x", name="f")], [piece("{}", id="y", name="f")]],
        [[piece("{}", index=0, id="x", name="f")], [piece("{}", index=0, id="y", name="f")]],
        [[piece("{", id="x", name="f")], [piece("{", id="y", name="f")], [piece("}", id="x")], [piece("}", id="y")]],
        [[piece("{", id="x", name="f"), piece("{}", id="y", name="f")], [piece("}", id="x", name="f")]],
        [[piece("{", index=None, id="x", name="f")], [piece("}")], [piece("{", id="y", name="f")], [piece("}")]],
    ],
)
def test_calls_without_a_usable_index_stay_apart(deltas: list[object]) -> None:
    assert calls(*deltas) == [Part("tool_call", id=name, name="f", arguments={}) for name in "xy"]


def test_calls_without_id_and_index_are_told_by_their_names() -> None:
    found = calls([piece("{", name="f")], [piece("}")], [piece("{}", name="f")])
    assert found == [Part("tool_call", name="f", arguments={})] * 2


def test_whole_calls_with_one_id_stay_apart() -> None:
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    exchange = answered({"content": None, "tool_calls": [call, call]})
    assert tool_calls_of(exchange.output_messages) == [Part("tool_call", id="x", name="f", arguments={})] * 2


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ('{"a": ', '{"a": '),
        ("[1]", "[1]"),
        ("", None),
        (None, None),
        ([1], None),
        ("[" * 999, "[" * 999),
        (json.loads('{"a":' * 200 + "1" + "}" * 200), None),
    ],
)
def test_arguments_are_parsed_or_left_as_they_are(arguments: object, read: object) -> None:
    assert calls([piece(arguments, index=0, id="x", name="f")])[0].arguments == read


def test_function_call_of_old() -> None:
    exchange = decode(
        stream(
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"a":'}}),
            chunk({"function_call": {"arguments": "1}"}}, "function_call"),
        )
    )
    assert exchange.output_messages[0].parts == (Part("tool_call", name="f", arguments={"a": 1}),)


@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning": "Hm."}, {"content": "A"}],
        [{"reasoning_content": "Hm.", "content": None}, {"content": "A"}],
        [{"reasoning": "Hm.", "reasoning_content": "Hm."}, {"content": "A"}],
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, {"content": "A"}],
    ],
)
def test_reasoning_in_every_dialect(deltas: list[object]) -> None:
    parts = decode(stream(*map(chunk, deltas))).output_messages[0].parts
    assert parts == (Part("reasoning", content="Hm."), Part("text", content="A"))


def test_whole_and_streamed_message_are_read_alike() -> None:
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "reasoning": "a", "content": "b", "refusal": "c", "tool_calls": [call]}
    assert decode(stream(chunk(message, "stop"))).output_messages == answered(message).output_messages


def test_choices_are_in_the_order_of_their_indices() -> None:
    exchange = decode(
        stream(chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({"content": "c"}, index=2))
    )
    assert [text_of((message,)) for message in exchange.output_messages] == ["a", "b", "c"]


def test_choices_without_index_are_in_the_order_given() -> None:
    exchange = answered(choices=[{"message": {"content": "a"}}, {"message": {"content": "b"}}])
    assert (text_of(exchange.output_messages), exchange.decode_error) == ("a\nb", None)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (
            {"type": "image_url", "image_url": "https://e.com/a.png"},
            Part("uri", modality="image", uri="https://e.com/a.png"),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://e.com/a"}},
            Part("uri", modality="video", uri="https://e.com/a"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%a"}},
            Part("blob", modality="image", mime_type="image/png"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}},
            Part(
                "blob",
                modality="image",
                mime_type="image/svg+xml",
                size=6,
                digest=hashlib.sha256(b"<svg/>").hexdigest(),
            ),
        ),
        ({"type": "hologram", "hologram": {}}, Part("generic", name="hologram")),
        ({"type": "refusal", "refusal": "No."}, Part("refusal", content="No.")),
    ],
)
def test_content_parts(content: dict[str, Any], part: Part) -> None:
    assert asked(messages=[{"role": "user", "content": [content]}]).input_messages[0].parts == (part,)


def test_function_message_of_old_is_a_tool_message() -> None:
    message = asked(messages=[{"role": "function", "name": "f", "content": "5"}]).input_messages[0]
    assert (message.role, message.name, message.parts) == ("tool", "f", (Part("tool_call_response", response="5"),))


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", "think>", " ", "\n", "a", "b"]), max_size=9
)


@given(pieces=PIECES)
@example(pieces=["<thi", "nk>", "a", "</thi", "nk>", "b"])
@settings(max_examples=200)
def test_thinking_aloud_is_split_off_and_nothing_else_changes(pieces: list[str]) -> None:
    """Only a thought the answer begins with, whatever pieces it comes in, and each character stays in its place."""
    text = "".join(pieces)
    streamed = decode(stream(*[chunk({"content": piece}) for piece in pieces], chunk({}, "stop")))
    assert streamed.output_messages == answered({"content": text}).output_messages
    parts = {part.type: part.content or "" for part in streamed.output_messages[0].parts}
    if text.lstrip().startswith("<think>"):
        thought, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
        assert (parts.get("reasoning", ""), parts.get("text", "")) == (thought, rest)
    else:
        assert parts == ({"text": text} if text else {})


def test_thinking_that_the_server_told_apart_stays_as_told() -> None:
    exchange = answered({"reasoning_content": "a", "content": "<think>b</think>c"})
    assert [part.content for part in exchange.output_messages[0].parts] == ["a", "<think>b</think>c"]


def test_reasoning_told_twice_counts_once() -> None:
    details = [{"type": "reasoning.summary", "summary": "Hm."}, {"type": "reasoning.encrypted", "data": "gAAA"}]
    for message in ({"reasoning": "Hm.", "reasoning_details": details}, {"reasoning_details": details}):
        assert answered(message | {"content": "A"}).output_messages[0].parts == (
            Part("reasoning", content="Hm."),
            Part("text", content="A"),
        )


@pytest.mark.parametrize(
    ("request_part", "claims"),
    [
        ({"user": "u", "safety_identifier": None}, {"user": "u"}),
        ({"metadata": {"a": "b", "n": 5}}, {"metadata.a": "b"}),
        ({"prompt_cache_key": ""}, {}),
    ],
)
def test_claims(request_part: dict[str, Any], claims: dict[str, str]) -> None:
    exchange = asked(**request_part)
    assert (exchange.claims, exchange.decode_error) == (claims, None)


@pytest.mark.parametrize(
    ("annotation", "citations"),
    [
        (
            {"type": "url_citation", "url_citation": {"url": "https://e.com", "title": "T", "content": "c"}},
            ({"text": "c", "title": "T", "uri": "https://e.com"},),
        ),
        ({"type": "file", "file": {"hash": "h", "content": [{"type": "text"}]}}, ()),
        ({"type": "url_citation", "url_citation": {}}, ()),
    ],
)
def test_citations(annotation: dict[str, Any], citations: tuple[Any, ...]) -> None:
    text = answered({"content": "a", "annotations": [annotation]}).output_messages[0].parts[0]
    assert (text.content, text.citations) == ("a", citations)


@pytest.mark.parametrize(
    ("timings", "read"),
    [
        ({"cache_n": 7, "prompt_n": 10, "predicted_n": 3}, reported(17, 3, 7)),
        ({"prompt_n": 10, "predicted_n": 3}, reported(None, 3)),
        ({}, Usage()),
    ],
)
def test_timings_tell_the_usage_where_nothing_else_does(timings: dict[str, int], read: Usage) -> None:
    assert answered({"content": "a"}, timings=timings).usage == read


def test_a_filtered_prompt_is_an_answer_that_was_filtered() -> None:
    refused = {"error": {"message": "m", "code": "content_filter"}}
    other = {"error": {"message": "m", "code": "context_length_exceeded"}}
    exchanges = [decode(a_capture(status=400, response_body=json.dumps(body).encode())) for body in (refused, other)]
    assert [[message.finish_reason for message in each.output_messages] for each in exchanges] == [
        ["content_filter"],
        [],
    ]


def the_library_reads(capture: Capture) -> openai.types.chat.ChatCompletion:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=SSE, content=capture.response_body)

    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond)))
    with client, client.chat.completions.stream(model="m", messages=[]) as events:
        try:
            return events.get_final_completion()
        except openai.LengthFinishReasonError as error:
            return error.completion


# The library raises where an index is missing, an answer was filtered, or an error came; it repeats repeated roles,
# and leaves out where else usage may be.
@pytest.mark.parametrize(
    "case",
    [
        f"openai_chat/{name}_stream"
        for name in (
            *("text", "parallel_tools", "two_choices", "reasoning", "refusal", "deepseek_tools"),
            *("vllm", "web_search"),
        )
    ],
)
def test_stream_is_read_as_the_library_reads_it(case: str) -> None:
    assert case in STREAMS
    capture = read_case(case)
    exchange, completion = decode(capture), the_library_reads(capture)
    whole = decode(a_capture(response_body=completion.to_json().encode(), request_body=capture.request_body))
    assert whole.output_messages == exchange.output_messages
    assert (whole.response_id, whole.response_model) == (exchange.response_id, exchange.response_model)
    assert (whole.usage, whole.attributes) == (exchange.usage, exchange.attributes)
    for choice, message in zip(completion.choices, exchange.output_messages, strict=True):
        assert (choice.message.content or "") == text_of((message,))
        assert [json.loads(call.function.arguments) for call in choice.message.tool_calls or ()] == [
            part.arguments for part in tool_calls_of((message,))
        ]

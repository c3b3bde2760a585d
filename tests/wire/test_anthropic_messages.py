"""Messages as real servers bend them, and as Anthropic's own library reads them."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from pipeline.records import Capture, Exchange, Part, Usage, text_of
from tests.support.records import a_capture, reported
from tests.wire.cases import STREAMS, read_case
from wire import decode
from wire.anthropic_messages import AnthropicMessages

SSE = (("content-type", "text/event-stream"),)
REQUEST = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
START = {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": {}}}
STOP = {"type": "message_stop"}


def a_call(**changes: Any) -> Capture:
    plain = {"type": "message", "content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn"}
    body = {"request_body": json.dumps(REQUEST).encode(), "response_body": json.dumps(plain).encode()}
    return a_capture(**{"target": "/v1/messages", "server_address": "api.anthropic.com"} | body | changes)


def stream(*events: dict[str, Any], **changes: Any) -> Capture:
    body = "".join(f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    return a_call(**{"response_body": body, "response_headers": SSE} | changes)


def begin(index: object, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: object, kind: str, **piece: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **piece}}


def ended(reason: object = "end_turn", usage: object = None) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def parts(*events: dict[str, Any]) -> tuple[Part, ...]:
    return decode(stream(START, *events, ended(), STOP)).output_messages[0].parts


def asked(**request: Any) -> Exchange:
    return decode(a_call(request_body=json.dumps(REQUEST | request).encode()))


VERSION = (("Anthropic-Version", "2023-06-01"),)


@pytest.mark.parametrize(
    ("method", "target", "headers", "matches"),
    [
        ("POST", "/v1/messages", (), True),
        ("POST", "/v1/messages?beta=true", (), True),
        ("POST", "/anthropic/v1/messages", (), True),
        ("POST", "/anthropic/messages", VERSION, True),
        ("POST", "/anthropic/messages", (), False),
        ("POST", "/v1/messages/count_tokens", VERSION, False),
        ("POST", "/v1/messages/batches", VERSION, False),
        ("POST", "/v1/threads/t1/messages", (), False),
        ("GET", "/v1/messages", VERSION, False),
    ],
)
def test_matches(method: str, target: str, headers: Any, matches: bool) -> None:
    assert AnthropicMessages().matches(a_capture(method=method, target=target, request_headers=headers)) is matches


def test_unknown_host_speaks_for_anthropic() -> None:
    assert decode(a_call(server_address="llm.internal")).provider == "anthropic"


def test_plain_call() -> None:
    exchange = decode(a_call())
    assert (exchange.wire, exchange.operation, exchange.complete, exchange.decode_error) == (
        "anthropic_messages",
        "chat",
        True,
        None,
    )
    assert text_of(exchange.output_messages) == "Hello!"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        (None, None),
    ],
)
def test_finish_reason(reason: object, word: str | None) -> None:
    assert decode(stream(START, ended(reason), STOP)).output_messages[0].finish_reason == word


@pytest.mark.parametrize(
    ("started", "changed", "read"),
    [
        ({"input_tokens": 5, "output_tokens": 1}, {"output_tokens": 7}, reported(5, 7)),
        ({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": 6, "output_tokens": 7}, reported(6, 7)),
        ({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 7}, reported(5, 7)),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 20, "output_tokens": 1},
            {"cache_read_input_tokens": 11, "output_tokens": 7},
            reported(36, 7, 11, 20),
        ),
        ({"cache_read_input_tokens": 10}, {"output_tokens": 7}, reported(None, 7, 10)),
        ({}, {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}, reported(None, 7, None, None, 4)),
        ({}, None, Usage()),
        ({"input_tokens": "5"}, {"output_tokens": 7.0}, reported(None, 7)),
    ],
)
def test_usage_is_the_last_said_with_the_cache_counted_in(started: object, changed: object, read: Usage) -> None:
    start = {"type": "message_start", "message": {"content": [], "usage": started}}
    assert decode(stream(start, ended(usage=changed), ended(usage=changed), STOP)).usage == read


def test_interleaved_blocks() -> None:
    assert parts(
        begin(0, type="text", text=""),
        begin(1, type="tool_use", id="t", name="f", input={}),
        delta(1, "input_json_delta", partial_json='{"a"'),
        delta(0, "text_delta", text="Hi"),
        delta(1, "input_json_delta", partial_json=": 1}"),
    ) == (Part("text", content="Hi"), Part("tool_call", id="t", name="f", arguments={"a": 1}))


def test_text_of_a_block_start_counts() -> None:
    assert parts(begin(0, type="text", text="He"), delta(0, "text_delta", text="y")) == (Part("text", content="Hey"),)


def test_delta_without_its_start_or_index_is_not_lost() -> None:
    assert parts(delta(4, "text_delta", text="a"), delta(None, "text_delta", text="b")) == (Part("text", content="ab"),)
    assert parts(delta(None, "thinking_delta", thinking="a")) == (Part("reasoning", content="a"),)


def test_block_with_an_index_used_before_is_another() -> None:
    first, second = begin(0, type="text", text="a"), begin(0, type="text", text="b")
    assert parts(first, second, delta(0, "text_delta", text="c")) == (
        Part("text", content="a"),
        Part("text", content="bc"),
    )


def test_arguments_cut_short_stay_text() -> None:
    tool = begin(0, type="tool_use", id="t", name="f", input={})
    exchange = decode(stream(START, tool, delta(0, "input_json_delta", partial_json='{"a": "b')))
    assert exchange.output_messages[0].parts == (Part("tool_call", id="t", name="f", arguments='{"a": "b'),)
    assert (exchange.complete, exchange.output_messages[0].finish_reason) == (False, None)


def test_unknown_blocks_deltas_and_events_pass() -> None:
    events = [begin(0, type="hologram", id="h"), delta(0, "hologram_delta", light="x"), {"type": "weather"}, {}]
    exchange = decode(stream(START, *events, ended(), STOP))
    assert exchange.output_messages[0].parts == (Part("generic", name="hologram", id="h"),)
    assert (exchange.decode_error, exchange.complete) == (None, True)


@pytest.mark.parametrize(
    "events",
    [
        [START | {"message": "x"}],
        [START, begin(0) | {"content_block": []}],
        [START, begin("0", type="text", text="")],
        [START, begin(0, type=[], text="")],
        [START, delta(0, "text_delta", text=["x"])],
        [START, begin(0, type="text", text=5), delta(0, "text_delta", text="x"), begin(1, type="text", text=5)],
        [START, ended(reason={})],
        [START, ended(usage=[])],
        [START, begin(0, type="image", source={"type": "telepathy"})],
    ],
)
def test_wrong_type_in_an_event_is_named(events: list[dict[str, Any]]) -> None:
    exchange = decode(stream(*events, STOP))
    assert (exchange.decode_error, exchange.complete) == ("unexpected_shape", True)


@pytest.mark.parametrize(
    "request_part",
    [
        {"system": 5},
        {"system": ["x"]},
        {"messages": {}},
        {"messages": [{"role": "user", "content": 5}]},
        {"tools": "x"},
        {"tools": [{"name": []}]},
        {"stop_sequences": "x"},
        {"max_tokens": "x"},
        {"output_config": []},
        {"temperature": []},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello!")


def test_system_is_apart_from_the_messages() -> None:
    exchange = asked(system="Be kind.")
    assert exchange.system_instructions == (Part("text", content="Be kind."),)
    assert [message.role for message in exchange.input_messages] == ["user"]


def test_result_beside_other_blocks_stays_with_the_user() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "5"}]}
    said = {"type": "text", "text": "Go on."}
    messages = asked(
        messages=[{"role": "user", "content": [result]}, {"role": "user", "content": [result, said]}]
    ).input_messages
    assert [message.role for message in messages] == ["tool", "user"]
    assert messages[1].parts == (Part("tool_call_response", id="t", response="5"), Part("text", content="Go on."))


def test_search_result_is_read_as_its_text() -> None:
    block = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "found"}]}
    assert asked(messages=[{"role": "user", "content": [block]}]).input_messages[0].parts == (
        Part("text", content="found"),
    )


def test_error_event_names_the_error() -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
    exchange = decode(stream(START, begin(0, type="text", text="a"), error, ended(), STOP))
    assert (exchange.error_type, exchange.error_message, exchange.complete) == (
        "api_error",
        "Internal server error",
        False,
    )
    assert text_of(exchange.output_messages) == "a"


def test_first_chunk_is_not_a_ping_nor_an_empty_block() -> None:
    events = [START, {"type": "ping"}, begin(0, type="text", text=""), delta(0, "text_delta", text="a"), STOP]
    capture = stream(*events)
    starts = [at for at in range(len(capture.response_body)) if capture.response_body.startswith(b"event:", at)]
    timed = msgspec.structs.replace(capture, arrivals=tuple((at, n) for n, at in enumerate(starts)))
    assert decode(timed).timing.first_chunk_at == 3


def the_library_reads(capture: Capture) -> anthropic.types.Message:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=SSE, content=capture.response_body)

    client = anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond)))
    with client, client.messages.stream(model="m", max_tokens=9, messages=[]) as events:
        return events.get_final_message()


@pytest.mark.parametrize(
    "case", [case for case in STREAMS if case.startswith("anthropic_messages/") and "error" not in case]
)
def test_stream_is_read_as_the_library_reads_it(case: str) -> None:
    capture = read_case(case)
    exchange, message = decode(capture), the_library_reads(capture)
    whole = decode(a_call(request_body=capture.request_body, response_body=message.to_json().encode()))
    assert whole.output_messages == exchange.output_messages
    assert (whole.response_id, whole.response_model) == (exchange.response_id, exchange.response_model)
    assert whole.usage == exchange.usage
    assert "".join(block.text for block in message.content if block.type == "text") == text_of(exchange.output_messages)

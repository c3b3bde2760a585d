"""Messages as real servers bend them, and as Anthropic's own library reads them."""

from __future__ import annotations

import json
from typing import Any, get_args

import anthropic
import httpx2
import msgspec
import pytest

from pipeline.records import Capture, Exchange, Part, Usage, text_of
from tests.support.records import a_capture, reported
from tests.wire.cases import CASES, STREAMS, read_case
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
VERTEX = "/v1/projects/p/locations/global/publishers/anthropic/models"


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
        ("POST", f"{VERTEX}/claude-sonnet-4-5%4020250929:rawPredict", (), True),
        ("POST", f"{VERTEX}/claude-sonnet-4-5:streamRawPredict", (), True),
        ("POST", f"{VERTEX}/count-tokens:rawPredict", (), False),
        ("POST", f"{VERTEX}/claude-sonnet-4-5:predict", (), False),
        ("POST", f"{VERTEX.replace('anthropic', 'google')}/gemini-2.5-pro:rawPredict", (), False),
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


MADE_BY_THE_MODEL = {"type": "message", "input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 7}
MADE_FOR_THE_ADVISOR = {"type": "advisor_message", "model": "other", "input_tokens": 50, "output_tokens": 50}
MADE_OF_THE_PAST = {"type": "compaction", "input_tokens": 600, "cache_read_input_tokens": 30, "output_tokens": 40}


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
        (
            {"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 9}},
            {"output_tokens": 7, "server_tool_use": {"web_search_requests": 2, "code_execution_requests": 1}},
            reported(None, 7, None, 9, cache_write_1h__input_tokens=9, web_searches=2, code_executions=1),
        ),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1},
            {"output_tokens": 7, "iterations": [MADE_BY_THE_MODEL, MADE_FOR_THE_ADVISOR, MADE_OF_THE_PAST]},
            reported(5 + 3 + 600 + 30, 7 + 40, 3 + 30, None),
        ),
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


def test_citations_of_a_stream_are_those_of_the_block() -> None:
    begun = begin(0, type="text", text="", citations=[{"cited_text": "a"}])
    cited = delta(0, "citations_delta", citation={"cited_text": "b", "document_title": "B", "file_id": "f"})
    assert parts(begun, cited, delta(0, "text_delta", text="c")) == (
        Part("text", content="c", citations=({"text": "a"}, {"text": "b", "title": "B", "file_id": "f"})),
    )


def test_a_citation_alone_is_no_chunk() -> None:
    cited = delta(0, "citations_delta", citation={"cited_text": "b"})
    assert decode(stream(START, begin(0, type="text", text=""), cited, STOP)).timing.chunk_times == ()


def test_server_tool_asked_for_something_cut_short() -> None:
    tool = begin(0, type="server_tool_use", id="t", name="web_search", input={})
    exchange = decode(stream(START, tool, delta(0, "input_json_delta", partial_json='{"query": "a')))
    asked_for = {"type": "web_search", "input": '{"query": "a'}
    assert exchange.output_messages[0].parts == (
        Part("server_tool_call", id="t", name="web_search", server_tool_call=asked_for),
    )


def test_result_of_a_tool_yet_unknown_is_a_result() -> None:
    result = begin(0, type="teleport_tool_result", tool_use_id="t", content={"error_code": "too_far"})
    assert parts(result) == (
        Part(
            "server_tool_call_response",
            id="t",
            server_tool_call_response={"type": "teleport", "content": {"error_code": "too_far"}},
            is_error=True,
        ),
    )


def test_result_nested_beyond_reason_is_left_out() -> None:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    (part,) = parts(begin(0, type="web_search_tool_result", tool_use_id="t", content=nested))
    assert part.server_tool_call_response == {"type": "web_search"}


@pytest.mark.parametrize(
    ("request_part", "claims"),
    [
        ({"metadata": {"user_id": "u", "team": "t", "n": 5}}, {"metadata.user_id": "u", "metadata.team": "t"}),
        ({"thread": {"type": "continue", "previous_message_id": "msg_0"}}, {"previous_response_id": "msg_0"}),
        ({"thread": {"type": "create"}, "container": "c", "metadata": {"user_id": None}}, {}),
    ],
)
def test_claims(request_part: dict[str, Any], claims: dict[str, str]) -> None:
    exchange = asked(**request_part)
    assert (exchange.claims, exchange.conversation) == (claims, None)


def test_budget_for_thinking_is_no_level() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert "reasoning.level" not in asked(thinking=thinking).parameters
    assert asked(thinking=thinking, output_config={"effort": "max"}).parameters["reasoning.level"] == "max"


def test_stream_of_nothing_but_its_end_is_an_empty_message() -> None:
    exchange = decode(stream(ended("max_tokens", {"output_tokens": 1}), STOP))
    assert [(message.parts, message.finish_reason) for message in exchange.output_messages] == [((), "length")]
    assert (exchange.complete, exchange.decode_error) == (True, None)


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
        [START, begin(0, type="text", text="a", citations=5)],
        [START, begin(0, type="text", text="a"), delta(0, "citations_delta", citation="x")],
        [START, begin(0, type="fallback", to=5)],
        [START, ended(usage={"iterations": "x", "output_tokens": 1})],
        [START, ended(usage={"server_tool_use": 5})],
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
        {"metadata": "x"},
        {"thread": []},
        {"thread": {"previous_message_id": 5}},
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


def the_library_reads(capture: Capture) -> anthropic.types.beta.BetaMessage:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=SSE, content=capture.response_body)

    client = anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond)))
    with client, client.beta.messages.stream(model="m", max_tokens=9, messages=[]) as events:
        return events.get_final_message()


UNREADABLE = ("error_in_stream", "llama_short_stream")  # for the library, which raises


@pytest.mark.parametrize(
    "case", [case for case in STREAMS if case.startswith("anthropic_messages/") and not case.endswith(UNREADABLE)]
)
def test_stream_is_read_as_the_library_reads_it(case: str) -> None:
    capture = read_case(case)
    exchange, message = decode(capture), the_library_reads(capture)
    whole = decode(a_call(request_body=capture.request_body, response_body=message.to_json().encode()))
    assert whole.output_messages == exchange.output_messages
    assert (whole.response_id, whole.response_model) == (exchange.response_id, exchange.response_model)
    assert whole.usage == exchange.usage
    assert "\n".join(block.text for block in message.content if block.type == "text") == text_of(
        exchange.output_messages
    )


def kinds(union: Any) -> set[str]:
    """The `type` of every member of one of the library's unions."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0] for member in members}


def test_every_event_delta_and_block_of_the_library_has_a_case() -> None:
    known = anthropic.types.beta
    seen = "".join(
        body.decode()
        for case in CASES
        if case.startswith("anthropic_messages/")
        for body in (read_case(case).response_body, read_case(case).request_body)
    ).replace('": "', '":"')
    for union in (known.BetaRawMessageStreamEvent, known.BetaRawContentBlockDelta, known.BetaContentBlock):
        assert {kind for kind in kinds(union) if f'"type":"{kind}"' not in seen} == set()

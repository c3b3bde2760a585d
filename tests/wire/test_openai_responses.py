"""Responses as OpenAI streams them, as other servers bend them, and as OpenAI's own library reads them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from pipeline.records import Capture, Exchange, Part, Usage, text_of, tool_calls_of
from tests.support.records import a_capture, reported
from tests.wire.cases import CASES, STREAMS, read_case
from wire import decode
from wire.openai_responses import OpenAIResponses, ResponseAnswer
from wire.shapes import Shapes

SSE = (("content-type", "text/event-stream"),)
MINE = [case for case in STREAMS if case.startswith("openai_responses/")]
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def a_call(**changes: Any) -> Capture:
    return a_capture(**{"target": "/v1/responses", "request_body": b'{"model": "m", "input": "Hi"}'} | changes)


def stream(*events: dict[str, Any], **changes: Any) -> Exchange:
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return decode(a_call(**{"response_body": body, "response_headers": SSE} | changes))


def asked(**request: Any) -> Exchange:
    return decode(a_call(request_body=json.dumps({"model": "m"} | request).encode()))


def answered(*items: Any, **response: Any) -> Exchange:
    whole = {"object": "response", "status": "completed", "output": items}
    return decode(a_call(response_body=json.dumps(whole | response).encode()))


def parts(exchange: Exchange) -> tuple[Part, ...]:
    return tuple(part for message in exchange.output_messages for part in message.parts)


def events_of(case: str) -> list[dict[str, Any]]:
    blocks = read_case(case).response_body.decode().strip().split("\n\n")
    return [json.loads(block.partition("data: ")[2]) for block in blocks]


def delta(text: str, **where: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, **where}


def item(kind: str = "added", **members: Any) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "item": members}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/responses", True),
        ("POST", "/responses/", True),
        ("POST", "/openai/v1/responses", True),
        ("POST", "/openai/responses?api-version=2025-04-01-preview", True),
        ("POST", "/backend-api/codex/responses", True),
        ("POST", "/v1/responses/compact", True),
        ("POST", "/v1/responses/input_tokens", True),
        ("POST", "/v1/responses/resp_1/cancel", True),
        ("GET", "/v1/responses/resp_1", True),
        ("GET", "/v1/responses/resp_1?stream=true", True),
        ("GET", "/v1/responses", False),
        ("GET", "/v1/responses/", False),
        ("GET", "/v1/responses/resp_1/input_items", False),
        ("DELETE", "/v1/responses/resp_1", False),
        ("POST", "/v1/chat/completions", False),
        ("POST", "/v1/my-responses", False),
        ("POST", "/v1/embeddings?next=/responses", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert OpenAIResponses().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize("case", MINE)
def test_deltas_alone_tell_what_the_end_tells(case: str) -> None:
    """Without the terminal event, and without every item said whole, nothing that was streamed is lost."""
    events = [event for event in events_of(case) if event["type"] not in TERMINAL]
    whole = parts(decode(read_case(case)))
    assert parts(stream(*events)) == whole
    deltas = [event for event in events if not event["type"].endswith(".done")]
    streamed = ("text", "reasoning", "refusal", "tool_call")
    assert [part for part in parts(stream(*deltas)) if part.type in streamed] == [
        part for part in whole if part.type in streamed
    ]


@pytest.mark.parametrize("case", MINE)
def test_what_is_said_whole_is_enough(case: str) -> None:
    events = [event for event in events_of(case) if not event["type"].endswith(".delta")]
    whole = parts(decode(read_case(case)))
    if any(event["type"].endswith("output_item.done") for event in events):
        assert parts(stream(*events)) == whole


def test_the_end_wins_over_what_was_streamed() -> None:
    end = {"type": "response.completed", "response": {"status": "completed", "output": [said("Hello!")]}}
    assert text_of(stream(delta("Hel", output_index=0), end).output_messages) == "Hello!"


@pytest.mark.parametrize(
    "events",
    [
        [delta("a"), delta("b")],
        [delta("a", output_index=0, content_index=None), delta("b", output_index=0, content_index=None)],
        [delta("a", output_index=10**18, content_index=10**18), delta("b", output_index=10**18, content_index=10**18)],
        [delta("a", item_id="x"), delta("b", item_id="x")],
        [item(id="x", type="message", content=[]), delta("a", item_id="x"), delta("b", item_id="x")],
        [delta("a", item_id="x", output_index=0), item(id="x", type="message"), delta("b", item_id="x")],
        [delta("a", item_id="x", output_index=0), delta("b", item_id="y", output_index=0)],
        [item(**said("a")), delta("b", content_index=0)],
        [delta("a"), {"type": "response.output_text.done", "text": "ab"}],
        [item("done", id="x", **said("ab")), delta("b", item_id="x", content_index=0)],
    ],
)
def test_pieces_find_each_other(events: list[dict[str, Any]]) -> None:
    assert [part.content for part in parts(stream(*events))] == ["ab"]


@pytest.mark.parametrize(
    "events",
    [
        [delta("a", output_index=0), delta("b", output_index=1)],
        [delta("b", output_index=1), delta("a", output_index=0)],
        [delta("a", output_index=0, content_index=0), delta("b", output_index=0, content_index=1)],
        [item("done", output_index=0, **said("a")), item("done", output_index=0, **said("b"))],
        [item("done", **said("a")), item("done", **said("b"))],
        [item(id="x", type="message"), item(id="y", type="message"), delta("b", item_id="y"), delta("a", item_id="x")],
    ],
)
def test_what_belongs_to_different_parts_stays_apart(events: list[dict[str, Any]]) -> None:
    assert [part.content for part in parts(stream(*events))] == ["a", "b"]


def test_calls_without_places_stay_apart() -> None:
    exchange = stream(
        item(type="function_call", call_id="x", name="f", arguments=""),
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        item("done", type="function_call", call_id="x", name="f", arguments="{}"),
        item(type="function_call", call_id="y", name="f", arguments=""),
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
    )
    assert tool_calls_of(exchange.output_messages) == [Part("tool_call", id=x, name="f", arguments={}) for x in "xy"]


def test_a_stream_taken_up_in_the_middle_of_a_text_is_whole_when_it_ends() -> None:
    exchange = stream(
        delta("llo", output_index=0), {"type": "response.output_text.done", "text": "Hello", **{"output_index": 0}}
    )
    assert text_of(exchange.output_messages) == "Hello"


def test_spoken_answer_is_text_and_a_digest() -> None:
    exchange = stream(
        {"type": "response.audio.delta", "delta": "UklG"},
        {"type": "response.audio.transcript.delta", "delta": "Good "},
        {"type": "response.audio.delta", "delta": "Ri4u"},
        {"type": "response.audio.transcript.delta", "delta": "day."},
        {"type": "response.audio.done"},
        {"type": "response.audio.transcript.done"},
    )
    text, sound = parts(exchange)
    assert (text.content, sound.type, sound.modality, sound.size) == ("Good day.", "blob", "audio", 6)


def test_streamed_shell_commands_are_kept_before_the_call_is_whole() -> None:
    exchange = stream(
        item(type="shell_call", id="sh", call_id="c", action={"commands": []}) | {"output_index": 0},
        {"type": "response.shell_call_command.added", "command": "", "command_index": 0, "output_index": 0},
        {"type": "response.shell_call_command.delta", "delta": "ls ", "command_index": 0, "output_index": 0},
        {"type": "response.shell_call_command.delta", "delta": "-l", "command_index": 0, "output_index": 0},
    )
    assert parts(exchange) == (Part("tool_call", id="c", name="shell", arguments={"commands": ["ls -l"]}),)


@pytest.mark.parametrize(
    ("status", "details", "items", "reason"),
    [
        ("completed", None, [said("a")], "stop"),
        ("completed", None, [{"type": "function_call", "call_id": "x"}], "tool_call"),
        ("completed", None, [{"type": "computer_call", "call_id": "x", "action": {"type": "click"}}], "tool_call"),
        ("completed", None, [{"type": "web_search_call", "id": "x"}], "stop"),
        ("completed", None, [], "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, [said("a")], "length"),
        ("incomplete", {"reason": "content_filter"}, [], "content_filter"),
        ("incomplete", {"reason": "steered"}, [], "steered"),
        ("incomplete", None, [said("a")], "incomplete"),
        ("failed", None, [said("a")], "error"),
        (None, None, [said("a")], None),
    ],
)
def test_finish_reason(status: str, details: object, items: list[object], reason: str | None) -> None:
    exchange = answered(*items, status=status, incomplete_details=details)
    assert exchange.output_messages[0].finish_reason == reason


def test_a_call_answered_within_the_response_was_the_providers() -> None:
    call = {"type": "shell_call", "call_id": "x", "action": {"commands": ["ls"]}}
    output = {"type": "shell_call_output", "call_id": "x", "output": [{"stdout": "a\n", "stderr": "b"}]}
    exchange = answered(call, output)
    assert [part.type for part in parts(exchange)] == ["server_tool_call", "server_tool_call_response"]
    assert parts(exchange)[1].server_tool_call_response == {"type": "function", "response": "a\n\nb"}
    assert exchange.output_messages[0].finish_reason == "stop"


def test_what_the_assistant_said_in_a_row_is_one_message_of_the_input() -> None:
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        said("A"),
        {"type": "function_call", "call_id": "x", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "x", "output": "5"},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
    ]
    messages = asked(input=items).input_messages
    assert [message.role for message in messages] == ["assistant", "tool", "user"]
    assert messages[0].parts == parts(answered(*items[:3]))


@pytest.mark.parametrize(
    ("request_part", "parameters"),
    [
        ({"max_output_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"reasoning": {"effort": "minimal"}}, {"reasoning.level": "minimal"}),
        ({"reasoning": None, "previous_response_id": "r"}, {"previous_response.id": "r"}),
    ],
)
def test_parameters(request_part: dict[str, Any], parameters: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.parameters, exchange.decode_error) == (parameters, "unexpected_shape")  # of the chat answer


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_conversation(conversation: object) -> None:
    assert asked(conversation=conversation).conversation == "conv_1"


def test_a_namespace_stands_for_its_tools() -> None:
    tools = [{"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]}]
    assert asked(tools=tools).tool_definitions == ({"type": "function", "name": "find"},)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ({"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}, reported(3, 2)),
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5}},
            reported(9, None, 4, 5),
        ),
        ({"output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 7}}, reported(None, 9, reasoning=7)),
    ],
)
def test_usage(usage: object, read: Usage) -> None:
    assert answered(said("a"), usage=usage).usage == read


@pytest.mark.parametrize(
    ("case", "source"),
    [
        ("fetched", "repeated"),
        ("fetched_stream", "repeated"),
        ("cancelled", "none"),
        ("background", "none"),
        ("input_tokens", "none"),
    ],
)
def test_tokens_are_counted_where_they_were_used(case: str, source: str) -> None:
    assert decode(read_case(f"openai_responses/{case}")).usage.source == source


@pytest.mark.parametrize(
    "response",
    [
        {"output": "none"},
        {"output": [7]},
        {"output": [{"type": ["message"]}]},
        {"output": [{"type": "message", "content": 5}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": 5}]}]},
        {"output": [said("a")], "usage": [1]},
        {"output": [{"type": "mcp_call", "error": 5}]},
    ],
)
def test_wrong_type_in_the_response_is_named(response: dict[str, Any]) -> None:
    assert answered(**response).decode_error == "unexpected_shape"


def test_a_body_that_is_no_response_is_named() -> None:
    assert decode(a_call(response_body=b"{}")).decode_error == "unexpected_shape"


def test_deep_arguments_are_not_kept() -> None:
    deep = json.loads('{"a":' * 200 + "1" + "}" * 200)
    exchange = stream(item("done", type="computer_call", call_id="x", action=deep))
    assert parts(exchange) == (Part("tool_call", id="x", name="computer"),)


def test_an_answer_can_be_fed_by_hand() -> None:
    answer = ResponseAnswer(Shapes())
    fed = [answer.add(event) for event in events_of("openai_responses/text_stream")]
    assert (fed.count(True), answer.ended) == (5, True)
    assert text_of(answer.answered().output_messages) == "The capital is Paris."


def the_library(capture: Capture) -> openai.OpenAI:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=dict(capture.response_headers), content=capture.response_body)

    return openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond)))


def the_library_reads(capture: Capture) -> openai.types.responses.Response:
    with the_library(capture) as client:
        if capture.response_body.startswith(b"{"):
            return client.responses.create(model="m", input="Hi")
        for event in client.responses.create(model="m", input="Hi", stream=True):
            if event.type in TERMINAL:
                return event.response
    raise AssertionError("no end")


NO_RESPONSE = ("http_error", "azure_blocked", "compact", "input_tokens", "error_in_stream", "cut_stream")
NOT_THE_LIBRARYS = (
    "llama_cpp_stream",
    "llama_cpp_text_stream",
    "bare_end_stream",
    "failed_stream",
)  # whose ends lack what was streamed


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if case.startswith("openai_responses/") and case.split("/")[1] not in NO_RESPONSE + NOT_THE_LIBRARYS
    ],
)
def test_response_is_read_as_the_library_reads_it(case: str) -> None:
    capture = read_case(case)
    exchange, response = decode(capture), the_library_reads(capture)
    assert "".join(part.content or "" for part in parts(exchange) if part.type == "text") == response.output_text
    assert (exchange.response_id, exchange.response_model) == (response.id, response.model)
    calls = [json.loads(each.arguments) for each in response.output if each.type == "function_call"]
    assert [part.arguments for part in parts(exchange) if type(part.arguments) is dict] == calls
    if response.usage and exchange.operation != "fetch_response":
        used = exchange.usage
        assert (used.input_tokens, used.output_tokens) == (response.usage.input_tokens, response.usage.output_tokens)
        assert used.cache_read_input_tokens == response.usage.input_tokens_details.cached_tokens
        assert used.reasoning_output_tokens == response.usage.output_tokens_details.reasoning_tokens


@pytest.mark.parametrize("case", ["text", "reasoning_tools", "refusal", "server_tools", "custom_tool", "image"])
def test_the_library_knows_every_event(case: str) -> None:
    """The recorded events are the API's own: each one parses as the type the library has for it."""
    with the_library(read_case(f"openai_responses/{case}_stream")) as client:
        events = list(client.responses.create(model="m", input="Hi", stream=True))
    assert [event.type for event in events] == [event["type"] for event in events_of(f"openai_responses/{case}_stream")]
    for event in events:
        if event.type not in ("keepalive", "response.output_item.added"):  # an item may begin with little
            type(event).model_validate(event.model_dump(by_alias=True, exclude_unset=True))

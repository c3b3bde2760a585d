"""Converse as Bedrock sends it, and as it might."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange, Part, Usage, text_of
from tests.support.event_stream import event, failure
from tests.support.records import a_capture, reported
from wire import decode
from wire.bedrock_converse import BedrockConverse

AMAZON = (("Content-Type", "application/vnd.amazon.eventstream"),)
REQUEST = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
START = {"messageStart": {"role": "assistant"}}


def a_call(request: Any = None, answer: Any = None, **changes: Any) -> Capture:
    plain = {"output": {"message": {"role": "assistant", "content": [{"text": "Hello!"}]}}, "stopReason": "end_turn"}
    fields = {
        "target": "/model/amazon.nova-pro-v1%3A0/converse",
        "server_address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "request_body": json.dumps(REQUEST | (request or {})).encode(),
        "response_body": json.dumps(plain | (answer or {})).encode(),
    }
    return a_capture(**fields | changes)


def stream(*events: dict[str, Any]) -> Capture:
    body = b"".join(event(kind, payload) for each in events for kind, payload in each.items())
    target = "/model/amazon.nova-pro-v1%3A0/converse-stream"
    return a_call(target=target, response_body=body, response_headers=AMAZON)


def begin(index: object, **start: Any) -> dict[str, Any]:
    return {"contentBlockStart": {"contentBlockIndex": index, "start": start}}


def delta(index: object, **piece: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": piece}}


def ended(reason: object = "end_turn") -> dict[str, Any]:
    return {"messageStop": {"stopReason": reason}}


def parts(*events: dict[str, Any]) -> tuple[Part, ...]:
    return decode(stream(START, *events, ended())).output_messages[0].parts


def asked(**request: Any) -> Exchange:
    return decode(a_call(request))


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/model/anthropic.claude-3-haiku-20240307-v1:0/converse", True),
        ("POST", "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream", True),
        ("POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt%2FAB12%3A1/converse", True),
        ("POST", "/model/arn:aws:bedrock:us-east-1:1:provisioned-model/ab12/converse", True),
        ("POST", "/bedrock/model/m/converse/", True),
        ("POST", "/model/m/invoke", False),
        ("POST", "/model/m/converse-later", False),
        ("GET", "/model/m/converse", False),
        ("POST", "/model//converse", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert BedrockConverse().matches(a_capture(method=method, target=target)) is matches


def test_model_is_the_path_s() -> None:
    exchange = decode(
        a_call(target="/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Feu.m-v1%3A0/converse")
    )
    assert exchange.request_model == "arn:aws:bedrock:us-east-1:1:inference-profile/eu.m-v1:0"
    assert (exchange.provider, exchange.stream, exchange.complete) == ("aws.bedrock", False, True)


@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", "amazon.nova-pro-v1%3A0"])
def test_route_is_known_whether_or_not_the_colon_is_encoded(model: str) -> None:
    assert decode(a_call(target=f"/model/{model}/converse")).http.route == "/model/{id}/converse"


def test_stream_asked_for_in_the_path_of_a_call_that_failed() -> None:
    capture = a_call(target="/model/m/converse-stream", status=None, response_body=b"", error_type="timeout")
    assert decode(capture).stream is True


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("weariness", "weariness"),
        (None, None),
    ],
)
def test_finish_reason(reason: object, word: str | None) -> None:
    assert decode(stream(START, ended(reason))).output_messages[0].finish_reason == word
    assert decode(a_call(answer={"stopReason": reason})).output_messages[0].finish_reason == word


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, reported(5, 7)),
        (
            {"inputTokens": 12, "outputTokens": 56, "totalTokens": 10139, "cacheWriteInputTokens": 10071},
            reported(10083, 56, None, 10071),
        ),
        ({"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokenCount": 10}, reported(15, 7, 10)),
        (  # the total says that the input holds the cached
            {"inputTokens": 15, "outputTokens": 7, "totalTokens": 22, "cacheReadInputTokens": 10},
            reported(15, 7, 10),
        ),
        (  # a total that cannot be meant so
            {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokens": 10},
            reported(15, 7, 10),
        ),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 5}, {"ttl": "1y"}],
            },
            reported(10, None, None, 9, cache_write_1h__input_tokens=4, cache_write_5m__input_tokens=5),
        ),
        ({"outputTokens": 7, "cacheReadInputTokens": 10}, reported(None, 7, 10)),
        ({}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_counts_the_cache_in(usage: object, read: Usage) -> None:
    assert decode(a_call(answer={"usage": usage})).usage == read
    assert decode(stream(START, ended(), {"metadata": {"usage": usage}})).usage == read


def test_interleaved_blocks() -> None:
    assert parts(
        delta(0, text="Hi"),
        begin(1, toolUse={"toolUseId": "t", "name": "f"}),
        delta(1, toolUse={"input": '{"a"'}),
        delta(0, text="!"),
        delta(1, toolUse={"input": ": 1}"}),
    ) == (Part("text", content="Hi!"), Part("tool_call", id="t", name="f", arguments={"a": 1}))


def test_delta_without_its_index_is_not_lost() -> None:
    assert parts(delta(None, text="a"), delta(4, text="b"), delta(None, text="c")) == (
        Part("text", content="a"),
        Part("text", content="bc"),
    )


def test_text_and_arguments_under_one_index_are_both_kept() -> None:
    call = Part("tool_call", id="t", name="f", arguments={})
    assert parts(begin(0, toolUse={"toolUseId": "t", "name": "f"}), delta(0, text="a")) == (
        Part("text", content="a"),
        call,
    )


def test_block_with_an_index_used_before_is_another() -> None:
    first, second = begin(0, toolUse={"toolUseId": "t"}), begin(0, toolUse={"toolUseId": "u"})
    assert [part.id for part in parts(first, second, delta(0, toolUse={"input": '{"a": 1}'}))] == ["t", "u"]


def test_arguments_cut_short_stay_text() -> None:
    call = begin(0, toolUse={"toolUseId": "t", "name": "f"})
    exchange = decode(stream(START, call, delta(0, toolUse={"input": '{"a": "b'})))
    assert exchange.output_messages[0].parts == (Part("tool_call", id="t", name="f", arguments='{"a": "b'),)
    assert (exchange.complete, exchange.output_messages[0].finish_reason) == (False, None)


def test_exception_after_the_end_of_the_message_is_still_one() -> None:
    whole = stream(START, delta(0, text="a"), ended())
    body = whole.response_body + failure("internalServerException", "No")
    exchange = decode(a_call(target=whole.target, response_body=body, response_headers=AMAZON))
    assert (exchange.error_type, exchange.error_message, exchange.complete) == ("internalServerException", "No", False)
    assert text_of(exchange.output_messages) == "a"


def test_model_that_a_router_chose() -> None:
    trace = {"promptRouter": {"invokedModelId": "arn:aws:bedrock:::m"}}
    assert decode(stream(START, ended(), {"metadata": {"trace": trace}})).response_model == "arn:aws:bedrock:::m"


def test_unknown_events_blocks_and_deltas_pass() -> None:
    exchange = decode(stream(START, {"weather": {}}, begin(0, hologram={"a": 1}), delta(0, hologram={}), ended()))
    assert exchange.output_messages[0].parts == (Part("generic", name="hologram"),)
    assert (exchange.decode_error, exchange.complete) == (None, True)


@pytest.mark.parametrize(
    "events",
    [
        [{"messageStart": []}],
        [START, begin("0", toolUse={"toolUseId": "t"})],
        [START, delta(0, text=["x"])],
        [START, delta(0, toolUse="x")],
        [START, delta(0, citation="x"), delta(0, text="a")],
        [START, delta(0, image=5)],
        [START, ended({})],
        [START, {"metadata": {"usage": {"inputTokens": "5", "outputTokens": 1}}}],
        [START, {"metadata": {"usage": {"cacheDetails": 5, "outputTokens": 1}}}],
        [START, {"metadata": {"trace": "x"}}],
    ],
)
def test_wrong_type_in_an_event_is_named(events: list[dict[str, Any]]) -> None:
    exchange = decode(stream(*events, ended()))
    assert (exchange.decode_error, exchange.complete) == ("unexpected_shape", True)


@pytest.mark.parametrize(
    "request_part",
    [
        {"system": "x"},
        {"messages": {}},
        {"messages": [{"role": "user", "content": "x"}]},
        {"toolConfig": {"tools": [{"toolSpec": 5}]}},
        {"inferenceConfig": []},
        {"inferenceConfig": {"maxTokens": "x"}},
        {"inferenceConfig": {"stopSequences": "x"}},
        {"additionalModelRequestFields": 5},
        {"guardrailConfig": {"guardrailIdentifier": 5}},
        {"requestMetadata": "x"},
        {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello!")


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"additionalModelRequestFields": {"top_k": 40}}, "top_k", 40),
        ({"additionalModelRequestFields": {"inferenceConfig": {"topK": 20}}}, "top_k", 20),
        ({"additionalModelRequestFields": {"reasoning_effort": "low"}}, "reasoning.level", "low"),
        ({"additionalModelRequestFields": {"output_config": {"effort": "max"}}}, "reasoning.level", "max"),
        (
            {"additionalModelRequestFields": {"reasoningConfig": {"maxReasoningEffort": "high"}}},
            "reasoning.level",
            "high",
        ),
        ({"outputConfig": {"effort": "medium"}}, "reasoning.level", "medium"),
        ({"inferenceConfig": {"topP": 0.5}}, "top_p", 0.5),
    ],
)
def test_parameters_wherever_they_are(fields: dict[str, Any], name: str, value: Any) -> None:
    assert asked(**fields).parameters == {name: value}


def test_result_beside_other_blocks_stays_with_the_user() -> None:
    result = {"toolResult": {"toolUseId": "t", "content": [{"text": "5"}, {"json": {"a": 1}}]}}
    messages = [{"role": "user", "content": [result]}, {"role": "user", "content": [result, {"text": "Go on."}]}]
    read = asked(messages=messages).input_messages
    assert [message.role for message in read] == ["tool", "user"]
    assert read[1].parts == (Part("tool_call_response", id="t", response="5"), Part("text", content="Go on."))


def test_results_of_json_are_objects() -> None:
    content = [{"json": {"a": 1}}, {"json": [2]}]
    result = {"toolResult": {"toolUseId": "t", "content": content, "status": "error"}}
    (message,) = asked(messages=[{"role": "user", "content": [result]}]).input_messages
    assert message.parts == (Part("tool_call_response", id="t", response=[{"a": 1}, [2]], is_error=True),)


def test_image_that_failed_is_known_by_its_kind() -> None:
    image = {"image": {"format": "png", "error": {"message": "refused"}}}
    answer = {"output": {"message": {"role": "assistant", "content": [image]}}}
    assert decode(a_call(answer=answer)).output_messages[0].parts == (Part("generic", name="image"),)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KINDS = ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata", "output")
NAMES = ("start", "delta", "contentBlockIndex", "toolUse", "toolResult", "text", "image", "citation", "usage", "trace")
PAYLOADS = st.dictionaries(
    st.sampled_from(NAMES), ANY_JSON | st.dictionaries(st.sampled_from((*NAMES, "input", "content")), ANY_JSON)
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS | ANY_JSON), max_size=6))
@settings(max_examples=150)
def test_any_events_never_raise(events: list[tuple[str, Any]]) -> None:
    assert decode(stream(*[{kind: payload} for kind, payload in events])).decode_error != "decoder_failed"

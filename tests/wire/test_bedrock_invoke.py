"""Invocations: whose body it is, however it was asked for, and who counted."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Part, Usage, text_of
from tests.support.event_stream import chunk, event
from tests.support.records import a_capture, reported
from tests.wire.cases import STREAMS, read_case
from wire import decode
from wire.aws_event_stream import json_events
from wire.bedrock_invoke import ANSWERS, BedrockInvoke
from wire.shapes import Shapes

AMAZON = ("Content-Type", "application/vnd.amazon.eventstream")
JSON = ("Content-Type", "application/json")
COUNTED = (
    ("X-Amzn-Bedrock-Input-Token-Count", "7"),
    ("X-Amzn-Bedrock-Output-Token-Count", "3"),
    ("X-Amzn-Bedrock-Cache-Read-Input-Token-Count", "100"),
    ("X-Amzn-Bedrock-Cache-Write-Input-Token-Count", "20"),
)
METRICS = {
    "inputTokenCount": 7,
    "outputTokenCount": 3,
    "cacheReadInputTokenCount": 100,
    "cacheWriteInputTokenCount": 20,
}
INVOKED_BY_ARN = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fab12/invoke"


def a_call(answer: Any, request: Any = None, *headers: tuple[str, str], **changes: Any) -> Capture:
    fields = {
        "target": INVOKED_BY_ARN,
        "server_address": "bedrock-runtime.eu-west-1.amazonaws.com",
        "request_body": json.dumps(request or {}).encode(),
        "response_body": json.dumps(answer).encode(),
        "response_headers": (JSON, *headers),
    }
    return a_capture(**fields | changes)


def stream(*events: Any) -> Capture:
    body = b"".join(map(chunk, events))
    target = INVOKED_BY_ARN + "-with-response-stream"
    return a_call({}, target=target, response_body=body, response_headers=(AMAZON,))


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/model/anthropic.claude-3-haiku-20240307-v1:0/invoke", True),
        ("POST", "/model/us.meta.llama3-3-70b-instruct-v1%3A0/invoke-with-response-stream", True),
        ("POST", INVOKED_BY_ARN, True),
        ("POST", "/bedrock/model/m/invoke/", True),
        ("POST", "/model/m/converse", False),
        ("POST", "/model/m/invoke-with-bidirectional-stream", False),
        ("POST", "/model/m/count-tokens", False),
        ("POST", "/guardrail-checks/invoke", False),
        ("GET", "/model/m/invoke", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert BedrockInvoke().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}]}, "a"),
        ({"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": "end_turn"}, "a"),
        ({"generation": "a", "stop_reason": "stop"}, "a"),
        ({"results": [{"outputText": "a", "completionReason": "FINISH"}]}, "a"),
        ({"outputs": [{"text": "a", "stop_reason": "stop"}]}, "a"),
        ({"completion": "a", "stop_reason": "stop_sequence", "type": "completion"}, "a"),
        ({"generations": [{"text": "a", "finish_reason": "COMPLETE"}], "id": "g"}, "a"),
        ({"choices": [{"text": "a", "stop_reason": "stop"}]}, "a"),
        ({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "stop_reason": "stop"}]}, "a"),
        ({"response_id": "r", "generation_id": "g", "text": "a", "finish_reason": "COMPLETE"}, "a"),
    ],
)
def test_answer_is_known_by_its_members_where_nothing_else_tells(answer: Any, text: str) -> None:
    exchange = decode(a_call(answer))
    assert (text_of(exchange.output_messages), exchange.complete, exchange.decode_error) == (text, True, None)
    assert exchange.output_messages[0].finish_reason in ("stop", None)


@pytest.mark.parametrize(
    ("request_body", "operation", "text"),
    [
        ({"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "a"}]}, "chat", "a"),
        ({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "a"}]}]}, "chat", "a"),
        ({"inferenceConfig": {}, "messages": [{"role": "user", "content": [{"text": "a"}]}]}, "chat", "a"),
        ({"messages": [{"role": "user", "content": "a"}]}, "chat", "a"),
        ({"message": "a"}, "chat", "a"),
        ({"prompt": "a"}, "text_completion", "a"),
        ({"prompt": "a", "max_tokens_to_sample": 9, "anthropic_version": "x"}, "text_completion", "a"),
        ({"inputText": "a"}, "text_completion", "a"),
        ({"texts": ["a"], "input_type": "search_query"}, "embeddings", "a"),
        ({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a"}}, "image_generation", "a"),
        ({"query": "a"}, "chat", ""),
    ],
)
def test_request_is_known_by_its_members_where_the_model_does_not_tell(
    request_body: Any, operation: str, text: str
) -> None:
    exchange = decode(a_call({"generation": "b"}, request_body))
    assert (exchange.operation, text_of(exchange.input_messages)) == (operation, text)
    assert (exchange.wire, exchange.provider) == ("bedrock_invoke", "aws.bedrock")


@pytest.mark.parametrize(
    ("model", "request_body", "operation"),
    [
        ("amazon.nova-micro-v1%3A0", {"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "chat"),
        ("amazon.titan-embed-image-v1", {"inputText": "a", "inputImage": "iVBO"}, "embeddings"),
        ("cohere.embed-v4%3A0", {"texts": ["a"]}, "embeddings"),
        ("stability.sd3-5-large-v1%3A0", {"prompt": "a"}, "image_generation"),
    ],
)
def test_request_is_known_by_its_model(model: str, request_body: Any, operation: str) -> None:
    exchange = decode(a_call({"generation": "b"}, request_body, target=f"/model/{model}/invoke"))
    assert (exchange.operation, text_of(exchange.input_messages)) == (operation, "a")


BODY_COUNTED = {"generation": "a", "prompt_token_count": 11, "generation_token_count": 2, "stop_reason": "stop"}
ANTHROPIC_COUNTED = {"type": "message", "content": [{"type": "text", "text": "a"}], "usage": {"output_tokens": 2}}


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (BODY_COUNTED, reported(11, 2)),
        ({"outputs": [{"text": "a"}]}, reported(127, 3, 100, 20)),
        ({"inputTextTokenCount": 5, "results": [{"outputText": "a"}]}, reported(5, 3)),
        (ANTHROPIC_COUNTED, reported(127, 2, 100, 20)),
        ({"unheard": "of"}, reported(127, 3, 100, 20)),
    ],
)
def test_headers_count_what_the_body_does_not(answer: Any, read: Usage) -> None:
    assert decode(a_call(answer, None, *COUNTED)).usage == read
    assert decode(stream(answer | {"amazon-bedrock-invocationMetrics": METRICS})).usage == read


@pytest.mark.parametrize("count", ["", "many", "-1", "9" * 40, "²"])
def test_header_that_is_no_count_is_none(count: str) -> None:
    headers = (("X-Amzn-Bedrock-Input-Token-Count", count), ("X-Amzn-Bedrock-Output-Token-Count", "3"))
    assert decode(a_call({"generation": "a"}, None, *headers)).usage == reported(None, 3)


def test_unknown_family_is_counted_and_named_unread() -> None:
    exchange = decode(stream({"tokens": ["a"]}, {"tokens": ["b"], "amazon-bedrock-invocationMetrics": METRICS}))
    assert (exchange.operation, exchange.output_messages, exchange.complete) == ("chat", (), True)
    assert (exchange.usage.input_tokens, exchange.decode_error) == (127, "unexpected_shape")


NOVA = (
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0}},
    {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 0}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {
        "metadata": {"usage": {"inputTokens": 7, "outputTokens": 3, "cacheReadInputTokenCount": 100}, "metrics": {}},
        "amazon-bedrock-invocationMetrics": METRICS,
    },
)


def test_nova_streams_what_converse_does() -> None:
    exchange = decode(stream(*NOVA))
    assert (text_of(exchange.output_messages), exchange.output_messages[0].finish_reason) == ("Hello", "stop")
    assert (exchange.usage, exchange.complete, exchange.decode_error) == (reported(107, 3, 100), True, None)


def test_guardrail_that_stepped_in_ends_the_answer() -> None:
    whole = {"generation": "No.", "stop_reason": "stop", "amazon-bedrock-guardrailAction": "INTERVENED"}
    assert decode(a_call(whole)).output_messages[0].finish_reason == "content_filter"
    assert decode(stream(whole)).output_messages[0].finish_reason == "content_filter"
    passed = whole | {"amazon-bedrock-guardrailAction": "NONE"}
    assert decode(a_call(passed)).output_messages[0].finish_reason == "stop"


def test_error_of_the_model_in_a_chunk() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    exchange = decode(stream(*NOVA[:2], error))
    assert (exchange.error_type, exchange.error_message, exchange.complete) == ("overloaded_error", "Overloaded", False)
    assert text_of(exchange.output_messages) == "Hel"


@pytest.mark.parametrize("encoded", ["%%%", "AAAA", base64.b64encode(b'{"a": ').decode(), ""])
def test_chunk_that_is_no_json_is_named_and_the_rest_read(encoded: str) -> None:
    body = chunk(NOVA[1]) + event("chunk", {"bytes": encoded}) + chunk(NOVA[2]) + chunk(NOVA[4])
    exchange = decode(msgspec.structs.replace(stream(), response_body=body))
    assert (text_of(exchange.output_messages), exchange.decode_error) == ("Hello", "event_not_json")


@pytest.mark.parametrize("payload", [{"bytes": 5}, [], "x"])
def test_chunk_of_another_shape_never_raises(payload: Any) -> None:
    body = event("chunk", payload) + chunk(NOVA[1])
    exchange = decode(msgspec.structs.replace(stream(), response_body=body))
    assert text_of(exchange.output_messages) == "Hel"
    assert exchange.decode_error in ("unexpected_shape", "event_not_json")


@pytest.mark.parametrize("told", ["{", "[]", '"x"'])
def test_metadata_that_is_none_is_named(told: str) -> None:
    headers = (JSON, ("X-Amzn-Bedrock-Request-Metadata", told))
    exchange = decode(a_call({"generation": "a"}, request_headers=headers))
    assert (exchange.claims, exchange.decode_error) == ({}, "unexpected_shape")


def test_vectors_are_measured_not_kept() -> None:
    exchange = decode(a_call({"embedding": [0.5] * 7, "inputTextTokenCount": 2}, {"inputText": "a"}))
    assert exchange.attributes == {"gen_ai.embeddings.dimension.count": "7"}
    assert exchange.output_messages == ()


def test_image_without_words_is_embedded_as_a_blob() -> None:
    target = "/model/amazon.titan-embed-image-v1/invoke"
    (message,) = decode(a_call({"embedding": [1]}, {"inputImage": "AAAA"}, target=target)).input_messages
    assert [(part.type, part.size) for part in message.parts] == [("blob", 3)]


def as_at_home(capture: Capture) -> Capture:
    """What the chunks hold, as Anthropic's own server sends it."""
    said = [json.loads(each)["chunk"]["bytes"] for _, each in json_events(capture.response_body, Shapes())]
    events = [json.loads(base64.b64decode(each)) for each in said]
    body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()
    headers = (("content-type", "text/event-stream"),)
    return msgspec.structs.replace(capture, target="/v1/messages", response_headers=headers, response_body=body)


@pytest.mark.parametrize("case", [case for case in STREAMS if case.startswith("bedrock_invoke/anthropic")])
def test_anthropic_s_models_say_the_same_as_at_home(case: str) -> None:
    here, there = decode(read_case(case)), decode(as_at_home(read_case(case)))
    assert (here.output_messages, here.usage) == (there.output_messages, there.usage)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = sorted(
    {member for members, _ in ANSWERS for member in members}
    | {"amazon-bedrock-invocationMetrics", "stop_reason", "usage", "prompt_token_count", "tokenCount", "index", "delta"}
)
EVENTS = st.dictionaries(
    st.sampled_from(MEMBERS), ANY_JSON | st.lists(st.dictionaries(st.sampled_from(MEMBERS), ANY_JSON))
)


@given(st.lists(EVENTS | ANY_JSON, max_size=5))
@settings(max_examples=150)
def test_any_events_never_raise(events: list[Any]) -> None:
    assert decode(stream(*events)).decode_error != "decoder_failed"


@given(EVENTS, st.dictionaries(st.sampled_from(["prompt", "messages", "message", "inputText", "taskType"]), ANY_JSON))
@settings(max_examples=150)
def test_any_bodies_never_raise(answer: Any, request_body: Any) -> None:
    assert decode(a_call(answer, request_body)).decode_error != "decoder_failed"


def test_parts_of_a_prompt_with_images() -> None:
    (message,) = decode(a_call({"generation": "a"}, {"prompt": "see", "images": ["AAAA"]})).input_messages
    assert message.parts[0] == Part("text", content="see")
    assert (message.parts[1].type, message.parts[1].size) == ("blob", 3)

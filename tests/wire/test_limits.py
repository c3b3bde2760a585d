"""What is hostile in size, depth or number costs no more than its bytes, never fails, and survives the journal."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec
import pytest

from pipeline.records import Capture, Exchange, Headers
from tests.support.event_stream import event
from tests.support.records import a_capture
from wire import decode
from wire.bodies import MAX_DEPTH
from wire.shapes import MAX_COUNT, MAX_ITEMS

EVENTS: Headers = (("Content-Type", "text/event-stream"),)
AMAZON: Headers = (("Content-Type", "application/vnd.amazon.eventstream"),)
MAX_SECONDS = 10  # what is quadratic takes minutes
MANY = 60_000
DEEP = 100_000


def chat(**fields: Any) -> Capture:
    return a_capture(**fields)


def sse(target: str, event_of: Callable[[int], Any]) -> Capture:
    body = b"".join(b"data: " + json.dumps(event_of(n)).encode() + b"\n\n" for n in range(MANY))
    return a_capture(target=target, response_headers=EVENTS, response_body=body)


def whole(target: str, value: Any) -> Capture:
    return a_capture(target=target, response_body=json.dumps(value).encode())


def journalled(exchange: Exchange) -> int:
    """How many bytes the exchange has in the journal, from where it comes back as it was."""
    encoded = msgspec.msgpack.encode(exchange)
    assert msgspec.msgpack.decode(encoded, type=Exchange) == exchange
    return len(encoded)


def tool_piece(n: int, name: str) -> dict[str, Any]:
    call = {"index": n, "id": f"call_{n}", "function": {"name": name, "arguments": "{"}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def pieces_of_arguments(n: int) -> dict[str, Any]:
    call = {"name": "f" if n == 0 else "", "partialArgs": [{"jsonPath": f"$.a[{n}].b", "stringValue": "x"}]}
    return {"candidates": [{"content": {"parts": [{"functionCall": call | {"willContinue": True}}]}}]}


HOSTILE = {
    "tool calls": lambda: sse("/v1/chat/completions", lambda n: tool_piece(n, "f")),
    "tool calls from the end": lambda: sse("/v1/chat/completions", lambda n: tool_piece(2**60 - n, "f")),
    "a name in pieces": lambda: sse("/v1/chat/completions", lambda n: tool_piece(0, f"name_{n}") | {"id": "c"}),
    "choices": lambda: sse("/v1/chat/completions", lambda n: {"choices": [{"index": n, "delta": {"content": "a"}}]}),
    "parts": lambda: whole("/v1/chat/completions", {"choices": [{"message": {"content": [{"type": "text"}] * MANY}}]}),
    "choices and citations": lambda: whole(
        "/chat/completions", {"citations": ["http://a"] * MANY, "choices": [{"message": {"content": "a"}}] * 5000}
    ),
    "blocks": lambda: sse(
        "/v1/messages",
        lambda n: {"type": "content_block_delta", "index": n, "delta": {"type": "text_delta", "text": "a"}},
    ),
    "items": lambda: sse(
        "/v1/responses", lambda n: {"type": "response.output_text.delta", "output_index": n, "delta": "a"}
    ),
    "items told again": lambda: sse(
        "/v1/responses",
        lambda n: {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": f"{n}"}},
    ),
    "values": lambda: sse("/v1beta/models/m:streamGenerateContent", pieces_of_arguments),
    "calls": lambda: sse(
        "/v2/chat",
        lambda n: {"type": "tool-call-delta", "index": -n, "delta": {"message": {"tool_calls": {"id": f"{n}"}}}},
    ),
    "messages": lambda: chat(request_body=b'{"messages":[' + b"{}," * 1_000_000 + b"{}]}"),
    "empty choices": lambda: chat(response_body=b'{"choices":[' + b"{}," * 1_000_000 + b"{}]}"),
    "thoughts": lambda: whole("/v1/chat/completions", {"choices": [{"message": {"content": "<think>" * 500_000}}]}),
    "spaces": lambda: whole("/v1/chat/completions", {"choices": [{"message": {"content": " " * 5_000_000}}]}),
    "models in a path": lambda: chat(target="/model/" * 9000),
    "models in a long path": lambda: chat(target="/model/" + "a" * 64_000 + "/invok"),
    "versions in a path": lambda: chat(target="/v1" * 20_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_many_of_anything_take_no_longer_than_they_must(name: str) -> None:
    capture = HOSTILE[name]()
    began = perf_counter()
    exchange = decode(capture)
    size = journalled(exchange)
    assert perf_counter() - began < MAX_SECONDS
    assert size < 4 * (len(capture.response_body) + len(capture.request_body)) + 200_000
    assert exchange.decode_error != "decoder_failed"


def test_an_array_longer_than_any_api_allows_is_read_in_part() -> None:
    body = json.dumps({"model": "m", "messages": [{}] * (MAX_ITEMS + 1)}).encode()
    exchange = decode(chat(request_body=body))
    assert len(exchange.input_messages) == MAX_ITEMS
    assert exchange.decode_error == "unexpected_shape"


def nested(depth: int) -> Any:
    value: Any = 1
    for n in range(depth):
        value = {"a": value} if n % 2 else [value]
    return value


DEEPLY = json.dumps(nested(900))
BROKEN = '{"a":' * DEEP


@pytest.mark.parametrize("deep", [DEEPLY, BROKEN], ids=["nested", "broken"])
@pytest.mark.parametrize(
    ("target", "event_with"),
    [
        ("/v1/chat/completions", '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}}]}'),
        ("/v1/chat/completions", '{"choices":[{"delta":{"content":%s,"annotations":%s,"audio":%s}}],"usage":%s}'),
        ("/v1/messages", '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":%s}}'),
        (
            "/v1/messages",
            '{"type":"content_block_start","content_block":{"type":"web_search_tool_result","content":%s}}',
        ),
        ("/v1/messages", '{"type":"content_block_delta","delta":{"type":"citations_delta","citation":{"url":%s}}}'),
        ("/v1/responses", '{"type":"response.completed","response":{"output":[{"type":"mcp_call","arguments":%s}]}}'),
        (
            "/v1/responses",
            '{"type":"response.completed","response":{"output":[{"type":"computer_call","actions":[%s]}]}}',
        ),
        ("/v1/responses", '{"type":"response.completed","response":{"error":%s,"conversation":%s,"usage":%s}}'),
        (
            "/v1/responses",
            '{"type":"response.completed","response":{"output":[{"type":"tool_search_call","arguments":%s}]}}',
        ),
        (
            "/v1beta/models/m:streamGenerateContent",
            '{"candidates":[{"content":{"parts":[{"functionCall":{"args":%s}}]}}]}',
        ),
        (
            "/v1beta/models/m:streamGenerateContent",
            '{"candidates":[{"content":{"parts":[{"functionResponse":{"response":{"a":%s}}},{"toolCall":{"args":%s}}]}}]}',
        ),
        ("/v2/chat", '{"type":"citation-start","delta":{"message":{"citations":{"sources":[{"document":%s}]}}}}'),
        ("/v1/completions", '{"choices":[{"text":%s,"index":%s}]}'),
        ("/v1/images/generations", '{"type":"image_generation.completed","b64_json":%s,"usage":%s}'),
        ("/v1/audio/transcriptions", '{"type":"transcript.text.done","text":%s,"usage":{"type":%s}}'),
    ],
)
def test_depth_anywhere_in_a_stream_is_survived(target: str, event_with: str, deep: str) -> None:
    for value in (deep, json.dumps(deep)):
        body = f"data: {event_with.replace('%s', value)}\n\n".encode()
        exchange = decode(a_capture(target=target, response_headers=EVENTS, response_body=body))
        assert exchange.decode_error != "decoder_failed"
        assert journalled(exchange) < 2 * len(body) + 10_000


@pytest.mark.parametrize("deep", [DEEPLY, BROKEN], ids=["nested", "broken"])
def test_depth_in_binary_streams_is_survived(deep: str) -> None:
    block = {"type": "content_block_start", "content_block": {"type": "tool_use", "input": "DEEP"}}
    invoked = json.dumps(block).replace('"DEEP"', deep).encode()
    told = {"contentBlockIndex": 0, "delta": {"toolResult": [{"json": nested(900)}], "toolUse": {"input": deep}}}
    for target, body in (
        ("/model/a.b/invoke-with-response-stream", event("chunk", {"bytes": base64.b64encode(invoked).decode()})),
        ("/model/a.b/converse-stream", event("contentBlockDelta", told)),
    ):
        exchange = decode(a_capture(target=target, response_headers=AMAZON, response_body=body * 3))
        assert exchange.decode_error != "decoder_failed"
        assert journalled(exchange)


@pytest.mark.parametrize("depth", [MAX_DEPTH - 8, MAX_DEPTH + 8, 900])
def test_depth_in_requests_is_survived(depth: int) -> None:
    value = nested(depth)
    tools = [{"type": "function", "function": {"name": "f", "parameters": value}}]
    schema = {"response_format": {"type": "json_schema", "json_schema": {"schema": value}}}
    chats = {"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": tools, **schema}
    declared = [{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {"items": value}}}}]}]
    for target, request in (
        ("/v1/chat/completions", chats),
        ("/v1beta/models/m:generateContent", {"contents": [], "tools": declared}),
        ("/v1/rerank", {"query": "a", "documents": [value, {"b": value}]}),
        ("/v1/chat", {"message": "a", "tool_results": [{"outputs": [value]}]}),
    ):
        exchange = decode(a_capture(target=target, request_body=json.dumps(request).encode()))
        assert exchange.decode_error != "decoder_failed"
        assert journalled(exchange)


COUNTED = [
    (
        "/v1/messages",
        {
            "type": "message",
            "content": [],
            "usage": {
                "input_tokens": 1,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": MAX_COUNT,
                        "cache_creation": {"ephemeral_1h_input_tokens": MAX_COUNT},
                    }
                ]
                * 3000,
            },
        },
    ),
    (
        "/model/a.b/converse",
        {"output": {}, "usage": {"inputTokens": 1, "cacheDetails": [{"ttl": "5m", "inputTokens": MAX_COUNT}] * 3000}},
    ),
    ("/model/amazon.titan/invoke", {"results": [{"tokenCount": MAX_COUNT, "outputText": "a"}] * 3000}),
    (
        "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
        {"predictions": [{"embeddings": {"statistics": {"token_count": MAX_COUNT}}}] * 3000},
    ),
    ("/v1/completions", [{"index": n, "content": "a", "tokens_predicted": MAX_COUNT} for n in range(3000)]),
    ("/v1/embeddings", {"data": [], "usage": {"prompt_tokens": 2**63, "total_tokens": 2**64 - 1}}),
    ("/v1/chat/completions", {"choices": [], "usage": {"prompt_tokens": 1e300, "completion_tokens": -1}}),
]


@pytest.mark.parametrize(("target", "answer"), COUNTED, ids=[target for target, _ in COUNTED])
def test_counts_beyond_reason_survive_the_journal(target: str, answer: Any) -> None:
    exchange = decode(whole(target, answer))
    assert journalled(exchange)
    assert exchange.decode_error == "unexpected_shape"


def test_what_only_other_parsers_take_is_read_and_said_to_be_odd() -> None:
    body = (
        chat().response_body.replace(b'"Hello!"', b'"Hello\\ud83d!"').replace(b'"index":0', b'"index":0,"p":-Infinity')
    )
    exchange = decode(chat(response_body=body))
    assert exchange.output_messages[0].parts[0].content == "Hello\ufffd!"
    assert exchange.usage.output_tokens == 3
    assert exchange.decode_error == "response_not_json"
    assert journalled(exchange)

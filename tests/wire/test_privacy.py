"""Nothing binary, encrypted or signed is kept, wherever a client or a server may put it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest

from pipeline.records import Exchange
from tests.support.records import a_capture
from wire import decode

BYTES = bytes(range(251, -1, -1)) * 3
ENCODED = base64.b64encode(BYTES).decode()
DATA_URI = f"data:image/png;base64,{ENCODED}"
SEALED = "c2VhbGVkIGFuZCBzaWduZWQgYnkgdGhlIHByb3ZpZGVy"


def exchange_of(target: str, request: Any, answer: Any = None) -> Exchange:
    bodies = {"request_body": json.dumps(request).encode(), "response_body": json.dumps(answer or {}).encode()}
    return decode(a_capture(target=target, **bodies))


def keeps_nothing(exchange: Exchange) -> bool:
    told = msgspec.json.encode(exchange).decode()
    return ENCODED[:24] not in told and SEALED not in told


CONTENT = [
    {"type": "image_url", "image_url": {"url": ENCODED}},
    {"type": "image_url", "image_url": {"url": f" {DATA_URI}"}},
    {"type": "image_url", "image_url": {"url": f"DATA:image/png;BASE64,{ENCODED}"}},
    {"type": "image_url", "image_url": {"url": f"data:image/png,{ENCODED}"}},
    {"type": "image", "image": ENCODED},
    {"type": "image", "source": {"type": "base64", "data": ENCODED}},
    {"type": "image", "source": {"type": "url", "url": ENCODED}},
    {"type": "document", "source": {"type": "base64", "data": ENCODED}},
    {"type": "file", "file": {"file_data": ENCODED}},
    {"type": "input_audio", "input_audio": {"data": ENCODED, "format": "wav"}},
    {"type": "input_image", "image_url": ENCODED},
    {"type": "input_file", "file_data": ENCODED},
    {"type": "input_file", "file_url": ENCODED},
    {"type": "thinking", "thinking": "a", "signature": SEALED},
    {"type": "redacted_thinking", "data": SEALED},
    {"type": "never heard of", "data": ENCODED, "signature": SEALED},
]


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize(
    "target", ["/v1/chat/completions", "/v1/messages", "/v2/chat", "/model/anthropic.claude/invoke", "/api/chat"]
)
def test_no_content_of_a_message(target: str, content: dict[str, Any]) -> None:
    message = {"role": "user", "content": [content]}
    answer = {"choices": [{"message": message}], "message": message, "type": "message", "content": [content]}
    assert keeps_nothing(exchange_of(target, {"model": "m", "messages": [message]}, answer))


@pytest.mark.parametrize("content", CONTENT)
def test_no_content_of_an_item(content: dict[str, Any]) -> None:
    items = [
        {"role": "user", "content": [content]},
        {"type": "function_call_output", "call_id": "1", "output": [content]},
        {"type": "custom_tool_call_output", "call_id": "1", "output": [content]},
        {"type": "reasoning", "encrypted_content": SEALED, "summary": []},
        {"type": "compaction", "encrypted_content": SEALED},
        {"type": "image_generation_call", "result": ENCODED},
        {"type": "code_interpreter_call", "outputs": [{"type": "image", "url": DATA_URI}]},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": DATA_URI}},
        {"type": "mcp_call", "server_label": "a", "authorization": SEALED, "headers": {"Authorization": SEALED}},
    ]
    tools = [{"type": "mcp", "server_label": "a", "authorization": SEALED, "headers": {"Authorization": SEALED}}]
    answer = {"object": "response", "status": "completed", "output": items}
    assert keeps_nothing(exchange_of("/v1/responses", {"model": "m", "input": items, "tools": tools}, answer))


@pytest.mark.parametrize(
    "result",
    [
        {"type": "web_search_result", "encrypted_content": SEALED},
        {"type": "document", "source": {"type": "base64", "data": ENCODED}},
        {"type": "image", "data": ENCODED, "mimeType": "image/png"},
        {"type": "audio", "data": ENCODED, "mimeType": "audio/wav"},
        {"type": "encrypted_code_execution_result", "encrypted_stdout": SEALED},
        {"type": "text_editor_code_execution_view_result", "file_type": "image", "content": ENCODED},
    ],
)
def test_no_result_of_a_tool_of_the_providers(result: dict[str, Any]) -> None:
    blocks = [{"type": "mcp_tool_result", "content": content} for content in (result, [result], [{"content": result}])]
    answer = {"type": "message", "role": "assistant", "content": blocks}
    assert keeps_nothing(exchange_of("/v1/messages", {"model": "m", "messages": []}, answer))
    told = {"toolResult": {"type": "web_search_tool_result", "content": [{"json": result}, {"json": [result]}]}}
    converse = {"output": {"message": {"role": "assistant", "content": [told]}}}
    assert keeps_nothing(exchange_of("/model/a.b/converse", {"messages": []}, converse))


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": ENCODED}},
        {"fileData": {"fileUri": ENCODED}},
        {"text": "a", "thoughtSignature": SEALED},
        {"functionCall": {"name": "a", "args": {}}, "thoughtSignature": SEALED},
        {"functionResponse": {"name": "a", "response": {}, "parts": [{"inlineData": {"data": ENCODED}}]}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"images": [ENCODED]}}},
    ],
)
def test_no_part_of_geminis(part: dict[str, Any]) -> None:
    content = {"role": "model", "parts": [part]}
    answer = {"candidates": [{"content": content, "finishReason": "STOP"}]}
    assert keeps_nothing(exchange_of("/v1beta/models/m:generateContent", {"contents": [content]}, answer))


@pytest.mark.parametrize("given", [ENCODED, DATA_URI])
def test_no_image_that_is_to_be_embedded_ranked_or_changed(given: str) -> None:
    assert keeps_nothing(exchange_of("/v1/embeddings", {"input": [DATA_URI, {"image": given}]}))
    assert keeps_nothing(exchange_of("/v2/embed", {"images": [given]}, {"embeddings": {"base64": [ENCODED]}}))
    assert keeps_nothing(exchange_of("/v2/rerank", {"query": {"image": given}, "documents": [{"image": given}]}))
    assert keeps_nothing(exchange_of("/v1/images/edits", {"image": given, "mask": given}, {"data": [{"url": given}]}))
    assert keeps_nothing(exchange_of("/api/chat", {"model": "m", "messages": [{"images": [given]}]}))


@pytest.mark.parametrize("encoded", [ENCODED, base64.urlsafe_b64encode(BYTES).decode(), ENCODED.rstrip("=")])
def test_the_digest_is_of_the_bytes_in_whichever_base64_they_came(encoded: str) -> None:
    """Google's Python client sends the alphabet for URLs."""
    assert "+" in ENCODED
    assert "/" in ENCODED
    part = {"inlineData": {"mimeType": "image/png", "data": encoded}}
    exchange = exchange_of("/v1beta/models/m:generateContent", {"contents": [{"parts": [part]}]})
    image = exchange.input_messages[0].parts[0]
    assert (image.size, image.digest) == (len(BYTES), hashlib.sha256(BYTES).hexdigest())


@pytest.mark.parametrize("encoded", [base64.b64encode(b"ab").decode(), base64.b64encode(b"abc").decode()])
def test_short_pieces_are_decoded_with_their_padding(encoded: str) -> None:
    part = {"inlineData": {"data": encoded}}
    exchange = exchange_of("/v1beta/models/m:generateContent", {"contents": [{"parts": [part]}]})
    assert exchange.input_messages[0].parts[0].size == len(base64.b64decode(encoded))

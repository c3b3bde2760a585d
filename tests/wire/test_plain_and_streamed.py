"""The same answer, whole and streamed in any pieces, is the same exchange: texts, calls, reasons, counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange
from tests.support.event_stream import event as amazon
from tests.support.records import a_capture
from wire import decode

TEXTS = st.text('ab \n"\\{}[]é😀<', max_size=12)
COUNTS = st.integers(0, 99)
Events = Iterator[dict[str, Any]]


class Said:
    """What a model says, and in which pieces it comes."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.reasoning = draw(TEXTS)
        self.text = draw(TEXTS)
        self.calls = [
            {"id": f"call_{n}", "name": f"tool_{n}", "arguments": {"a": draw(TEXTS), "b": draw(COUNTS)}}
            for n in range(draw(st.integers(0, 3)))
        ]
        self.read, self.cached, self.written, self.out, self.thought = [draw(COUNTS) for _ in range(5)]

    def pieces(self, text: str) -> list[str]:
        cuts = sorted(self._draw(st.lists(st.integers(0, len(text)), max_size=3)))
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def sse(events: Events) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def lines(events: Events) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def array(events: Events) -> bytes:
    return b"[" + b",\r\n".join(json.dumps(event).encode() for event in events) + b"]"


def messages(events: Events) -> bytes:
    return b"".join(amazon(kind, payload) for event in events for kind, payload in event.items())


def both(target: str, whole: dict[str, Any], body: bytes, streamed: str = "", **request: Any) -> list[Exchange]:
    asked = {"request_body": json.dumps({"model": "m", "messages": [], **request}).encode()}
    plain = a_capture(target=target, response_body=json.dumps(whole).encode(), **asked)
    return [decode(plain), decode(a_capture(target=streamed or target, response_body=body, **asked))]


def openai_chat(said: Said) -> list[Exchange]:
    usage = {
        "prompt_tokens": said.read + said.cached,
        "completion_tokens": said.out + said.thought,
        "prompt_tokens_details": {"cached_tokens": said.cached},
        "completion_tokens_details": {"reasoning_tokens": said.thought},
    }
    functions = [{"name": call["name"], "arguments": json.dumps(call["arguments"])} for call in said.calls]
    calls = [
        {"id": call["id"], "type": "function", "function": function}
        for call, function in zip(said.calls, functions, strict=True)
    ]
    message = {"role": "assistant", "content": said.text, "reasoning_content": said.reasoning, "tool_calls": calls}
    head = {"id": "c", "model": "m"}
    whole = {**head, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    def deltas() -> Events:
        yield {"role": "assistant", "content": ""}
        for piece in said.pieces(said.reasoning):
            yield {"reasoning_content": piece}
        for piece in said.pieces(said.text):
            yield {"content": piece}
        for n, (call, function) in enumerate(zip(calls, functions, strict=True)):
            yield {"tool_calls": [{"index": n, **call, "function": {"name": function["name"], "arguments": ""}}]}
            for piece in said.pieces(function["arguments"]):
                yield {"tool_calls": [{"index": n, "function": {"arguments": piece}}]}

    def events() -> Events:
        for n, delta in enumerate(deltas()):  # some servers count with every chunk
            yield {**head, "choices": [{"index": 0, "delta": delta}], "usage": {"completion_tokens": n}}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield {**head, "choices": [], "usage": usage}
        yield {**head, "choices": [], "usage": {}}  # which takes nothing back

    return both("/v1/chat/completions", whole, sse(events()))


def anthropic_messages(said: Said) -> list[Exchange]:
    usage = {
        "input_tokens": said.read,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": said.written,
        "output_tokens": said.out,
    }
    blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": said.reasoning, "signature": "c2ln"}]
    blocks += [{"type": "text", "text": said.text}]
    blocks += [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["arguments"]} for call in said.calls
    ]
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
    whole = {**head, "content": blocks, "stop_reason": "end_turn", "usage": usage}

    def deltas(block: dict[str, Any]) -> Events:
        if block["type"] == "tool_use":
            for piece in said.pieces(json.dumps(block["input"])):
                yield {"type": "input_json_delta", "partial_json": piece}
        else:
            for piece in said.pieces(block[block["type"]]):
                yield {"type": f"{block['type']}_delta", block["type"]: piece}
        if "signature" in block:
            yield {"type": "signature_delta", "signature": block["signature"]}

    def events() -> Events:
        yield {"type": "message_start", "message": {**head, "content": [], "usage": {**usage, "output_tokens": 1}}}
        for n, block in enumerate(blocks):
            empty = {"text": "", "thinking": "", "input": {}, "signature": ""}
            begun = {name: empty.get(name, value) for name, value in block.items()}
            yield {"type": "content_block_start", "index": n, "content_block": begun}
            yield {"type": "ping"}
            for delta in deltas(block):
                yield {"type": "content_block_delta", "index": n, "delta": delta}
            yield {"type": "content_block_stop", "index": n}
        yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": said.out}}
        yield {"type": "message_stop"}

    return both("/v1/messages", whole, sse(events()))


def openai_responses(said: Said) -> list[Exchange]:
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": said.reasoning}]},
        {"type": "message", "id": "ms", "role": "assistant", "content": [{"type": "output_text", "text": said.text}]},
        *[
            {
                "type": "function_call",
                "id": f"fc{n}",
                "call_id": call["id"],
                "name": call["name"],
                "arguments": json.dumps(call["arguments"]),
            }
            for n, call in enumerate(said.calls)
        ],
    ]
    usage = {
        "input_tokens": said.read + said.cached,
        "input_tokens_details": {"cached_tokens": said.cached},
        "output_tokens": said.out + said.thought,
        "output_tokens_details": {"reasoning_tokens": said.thought},
    }
    whole = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": items, "usage": usage}

    def deltas(n: int, item: dict[str, Any]) -> Events:
        place = {"item_id": item["id"], "output_index": n}
        if item["type"] == "function_call":
            for piece in said.pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
        elif item["type"] == "message":
            for piece in said.pieces(said.text):
                yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": piece}
        else:
            for piece in said.pieces(said.reasoning):
                yield {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": piece}

    def events() -> Events:
        yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
        for n, item in enumerate(items):
            empty: dict[str, Any] = {"content": [], "summary": [], "arguments": ""}
            begun = {name: empty.get(name, value) for name, value in item.items()}
            yield {"type": "response.output_item.added", "output_index": n, "item": begun}
            yield from deltas(n, item)
        yield {"type": "response.completed", "response": {**whole, "output": []}}  # as some servers leave it

    return both("/v1/responses", whole, sse(events()))


def gemini(said: Said) -> list[Exchange]:
    calls = [{"functionCall": {"name": call["name"], "args": call["arguments"]}} for call in said.calls]
    parts = [{"text": said.reasoning, "thought": True}, {"text": said.text}, *calls]
    usage = {
        "promptTokenCount": said.read + said.cached,
        "cachedContentTokenCount": said.cached,
        "toolUsePromptTokenCount": said.written,
        "candidatesTokenCount": said.out,
        "thoughtsTokenCount": said.thought,
    }
    head = {"responseId": "r", "modelVersion": "m"}
    end = {"finishReason": "STOP", "index": 0}
    whole = {**head, "candidates": [{"content": {"parts": parts, "role": "model"}, **end}], "usageMetadata": usage}

    def events() -> Events:
        for piece in said.pieces(said.reasoning):
            yield {**head, "candidates": [{"content": {"parts": [{"text": piece, "thought": True}]}, "index": 0}]}
        for piece in said.pieces(said.text):
            counted = {**usage, "candidatesTokenCount": 1}
            yield {**head, "candidates": [{"content": {"parts": [{"text": piece}]}}], "usageMetadata": counted}
        for call in calls:
            yield {**head, "candidates": [{"content": {"parts": [call]}}]}
        yield {**head, "candidates": [{"content": {"parts": [{"text": ""}]}, **end}], "usageMetadata": usage}

    path = "/v1beta/models/m:"
    told = both(path + "generateContent", whole, sse(events()), path + "streamGenerateContent?alt=sse")
    return told + both(path + "generateContent", whole, array(events()), path + "streamGenerateContent")[1:]


def ollama(said: Said) -> list[Exchange]:
    calls = [{"function": {"name": call["name"], "arguments": call["arguments"]}} for call in said.calls]
    message = {"role": "assistant", "content": said.text, "thinking": said.reasoning, "tool_calls": calls}
    end = {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": said.read, "eval_count": said.out}
    begun = {"model": "m", "done": False}

    def events() -> Events:
        for piece in said.pieces(said.reasoning):
            yield {**begun, "message": {"role": "assistant", "content": "", "thinking": piece}}
        for piece in said.pieces(said.text):
            yield {**begun, "message": {"role": "assistant", "content": piece}}
        for call in calls:
            yield {**begun, "message": {"role": "assistant", "content": "", "tool_calls": [call]}}
        yield {**end, "message": {"role": "assistant", "content": ""}}

    return both("/api/chat", {**end, "message": message}, lines(events()))


def cohere_chat(said: Said) -> list[Exchange]:
    calls = [
        {"id": call["id"], "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
        for call in said.calls
    ]
    content = [{"type": "thinking", "thinking": said.reasoning}, {"type": "text", "text": said.text}]
    usage = {
        "billed_units": {"input_tokens": said.read, "output_tokens": said.out},
        "tokens": {"input_tokens": said.read + 100, "output_tokens": said.out},
    }
    end = {"finish_reason": "COMPLETE", "usage": usage}
    whole = {"id": "c", "message": {"role": "assistant", "content": content, "tool_calls": calls}, **end}

    def events() -> Events:
        yield {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}}
        for n, (member, text) in enumerate((("thinking", said.reasoning), ("text", said.text))):
            for piece in said.pieces(text):
                yield {"type": "content-delta", "index": n, "delta": {"message": {"content": {member: piece}}}}
        for n, call in enumerate(calls):
            function = call["function"]
            begun = {"id": call["id"], "function": {"name": function["name"], "arguments": ""}}  # type: ignore[index]
            yield {"type": "tool-call-start", "index": n, "delta": {"message": {"tool_calls": begun}}}
            for piece in said.pieces(function["arguments"]):  # type: ignore[index]
                grown = {"function": {"arguments": piece}}
                yield {"type": "tool-call-delta", "index": n, "delta": {"message": {"tool_calls": grown}}}
        yield {"type": "message-end", "delta": end}

    return both("/v2/chat", whole, sse(events()))


def bedrock_converse(said: Said) -> list[Exchange]:
    blocks: list[dict[str, Any]] = [{"reasoningContent": {"reasoningText": {"text": said.reasoning}}}]
    blocks += [{"text": said.text}]
    uses = [{"toolUseId": call["id"], "name": call["name"]} for call in said.calls]
    blocks += [{"toolUse": {**use, "input": call["arguments"]}} for use, call in zip(uses, said.calls, strict=True)]
    usage = {
        "inputTokens": said.read,
        "outputTokens": said.out,
        "cacheReadInputTokens": said.cached,
        "cacheWriteInputTokens": said.written,
        "totalTokens": said.read + said.cached + said.written + said.out,
    }
    message = {"role": "assistant", "content": blocks}
    whole = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}

    def delta(n: int, told: dict[str, Any]) -> dict[str, Any]:
        return {"contentBlockDelta": {"contentBlockIndex": n, "delta": told}}

    def events() -> Events:
        yield {"messageStart": {"role": "assistant"}}
        for piece in said.pieces(said.reasoning):
            yield delta(0, {"reasoningContent": {"text": piece}})
        yield delta(0, {"reasoningContent": {"signature": "c2ln"}})
        for piece in said.pieces(said.text):
            yield delta(1, {"text": piece})
        for n, (use, call) in enumerate(zip(uses, said.calls, strict=True), 2):
            yield {"contentBlockStart": {"contentBlockIndex": n, "start": {"toolUse": use}}}
            for piece in said.pieces(json.dumps(call["arguments"])):
                yield delta(n, {"toolUse": {"input": piece}})
        yield {"messageStop": {"stopReason": "end_turn"}}
        yield {"metadata": {"usage": usage}}

    headers = (("Content-Type", "application/vnd.amazon.eventstream"),)
    plain = a_capture(target="/model/a.b/converse", request_body=b"{}", response_body=json.dumps(whole).encode())
    body = messages(events())
    target = "/model/a.b/converse-stream"
    return [decode(plain), decode(streamed(target, body, headers))]


def streamed(target: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> Capture:
    return a_capture(target=target, request_body=b"{}", response_body=body, response_headers=headers)


APIS = (
    openai_chat,
    anthropic_messages,
    openai_responses,
    gemini,
    ollama,
    cohere_chat,
    bedrock_converse,
)


@pytest.mark.parametrize("api", APIS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_streamed_answer_is_the_whole_one(api: Callable[[Said], list[Exchange]], data: st.DataObject) -> None:
    whole, *others = api(Said(data.draw))
    assert whole.decode_error is None
    assert whole.complete
    assert whole.usage.source == "provider"
    for other in others:
        for field in ("wire", "usage", "output_messages", "response_id", "response_model", "decode_error", "complete"):
            assert getattr(other, field) == getattr(whole, field), field
        assert other.stream
        assert not whole.stream

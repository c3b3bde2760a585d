"""The simulated model's answers as Anthropic messages: whole bodies and server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex, token_urlsafe

import orjson

from pipeline.records import Json
from sidelight.demo.answers import Answer, Ask, HttpError, Tool, chunks, pieces, scenario_of, text_in

SNAPSHOTS = {"claude-sonnet-4-5": "claude-sonnet-4-5-20250929", "claude-haiku-4-5": "claude-haiku-4-5-20251001"}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "refusal": "refusal"}
CHUNK_TOKENS = 3


def read(body: Json) -> Ask:
    """What a request asks for. Raises KeyError, TypeError or AttributeError when it is no messages request."""
    prompt = text_in(body.get("system")) + " ".join(text_in(message["content"]) for message in body["messages"])
    scenario, seed = scenario_of((body.get("metadata") or {}).get("user_id"), prompt)
    return Ask(
        scenario=scenario,
        seed=seed,
        prompt=text_in(body["messages"][-1]["content"]),
        input_tokens=len(pieces(prompt)) + 4 * len(body["messages"]),
        limit=body["max_tokens"],
        schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        tools=tuple(Tool(tool["name"], tool.get("input_schema", {})) for tool in body.get("tools") or ()),
    )


def whole(body: Json, ask: Ask, answers: list[Answer]) -> bytes:
    """The body of an answer that is not streamed."""
    answer = answers[0]
    ending = {"content": blocks(answer), "stop_reason": STOP_REASONS[answer.finish]}
    return orjson.dumps(envelope(body) | ending | {"usage": usage(ask, answer.output_tokens)})


def envelope(body: Json) -> dict[str, Json]:
    return {
        "id": f"msg_01{token_hex(11)}",
        "type": "message",
        "role": "assistant",
        "model": SNAPSHOTS.get(body["model"], body["model"]),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def usage(ask: Ask, output_tokens: int) -> dict[str, Json]:
    """Input counted beside what was read from the cache, as Anthropic does."""
    cached = ask.input_tokens // 128 * 128 if ask.seed % 2 else 0
    return {
        "input_tokens": ask.input_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def blocks(answer: Answer) -> list[Json]:
    """The content blocks: thinking, text, tool use."""
    written: list[Json] = []
    if answer.reasoning:
        written.append({"type": "thinking", "thinking": answer.reasoning, "signature": token_urlsafe(32)})
    if answer.text:
        written.append({"type": "text", "text": answer.text})
    for call in answer.tool_calls:
        called = {"id": f"toolu_01{token_hex(11)}", "name": call.name, "input": orjson.loads(call.arguments)}
        written.append({"type": "tool_use", **called})
    return written


def events(body: Json, ask: Ask, answers: list[Answer]) -> Iterator[tuple[float, bytes]]:
    """The stream of an answer: how long to wait (seconds at speed 1) and what to send then."""
    answer = answers[0]
    yield answer.think, event("message_start", message=envelope(body) | {"usage": usage(ask, 1)})
    for index, block in enumerate(blocks(answer)):
        yield answer.gap, event("content_block_start", index=index, content_block=emptied(block))
        if index == 0:
            yield 0.0, event("ping")
        for delta in deltas(block):
            yield answer.gap, event("content_block_delta", index=index, delta=delta)
        yield 0.0, event("content_block_stop", index=index)
    ending = {"stop_reason": STOP_REASONS[answer.finish], "stop_sequence": None}
    yield answer.gap, event("message_delta", delta=ending, usage={"output_tokens": answer.output_tokens})
    yield 0.0, event("message_stop")


def emptied(block: Json) -> Json:
    match block["type"]:
        case "thinking":
            return block | {"thinking": "", "signature": ""}
        case "tool_use":
            return block | {"input": {}}
        case _:
            return block | {"text": ""}


def deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "thinking":
            yield from (
                {"type": "thinking_delta", "thinking": text} for text in chunks(block["thinking"], CHUNK_TOKENS)
            )
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            written = orjson.dumps(block["input"]).decode()
            yield from (
                {"type": "input_json_delta", "partial_json": text} for text in ["", *chunks(written, CHUNK_TOKENS)]
            )
        case _:
            yield from ({"type": "text_delta", "text": text} for text in chunks(block["text"], CHUNK_TOKENS))


def event(kind: str, **fields: Json) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **fields}) + b"\n\n"


def error(failure: HttpError) -> bytes:
    """The body of an error."""
    return orjson.dumps(
        {"type": "error", "error": {"type": failure.anthropic_kind, "message": failure.message}, "request_id": None}
    )

"""The simulated model's answers as OpenAI chat completions: whole bodies and server-sent events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from secrets import token_hex
from time import time

import orjson

from pipeline.records import Json
from sidelight.demo.answers import Answer, Ask, HttpError, Tool, chunks, pieces, scenario_of, text_in

SNAPSHOTS = {"gpt-4o": "gpt-4o-2024-08-06", "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14"}
FINGERPRINT = "fp_51de11e70f"
FINISH_REASONS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "refusal": "stop"}
CHUNK_TOKENS = 2


def read(body: Json) -> Ask:
    """What a request asks for. Raises KeyError, TypeError or AttributeError when it is no chat completion request."""
    prompt = " ".join(text_in(message.get("content")) for message in body["messages"])
    scenario, seed = scenario_of(body.get("user"), prompt)
    response_format = body.get("response_format") or {}
    schema = response_format.get("json_schema", {}).get("schema")
    return Ask(
        scenario=scenario,
        seed=seed,
        prompt=text_in(body["messages"][-1].get("content")),
        input_tokens=len(pieces(prompt)) + 4 * len(body["messages"]),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        schema=schema
        if schema is not None
        else {"type": "object"}
        if "json" in response_format.get("type", "")
        else None,
        tools=tuple(
            Tool(tool["function"]["name"], tool["function"].get("parameters", {})) for tool in body.get("tools") or ()
        ),
        choices=int(body.get("n") or 1),
    )


def whole(body: Json, ask: Ask, answers: list[Answer]) -> bytes:
    """The body of an answer that is not streamed."""
    choices = [
        {
            "index": index,
            "message": message(answer),
            "logprobs": None,
            "finish_reason": FINISH_REASONS[answer.finish],
        }
        for index, answer in enumerate(answers)
    ]
    return orjson.dumps(envelope(body, "chat.completion") | {"choices": choices, "usage": usage(ask, answers)})


def envelope(body: Json, kind: str) -> dict[str, Json]:
    return {
        "id": f"chatcmpl-{token_hex(14)}",
        "object": kind,
        "created": int(time()),
        "model": SNAPSHOTS.get(body["model"], body["model"]),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def message(answer: Answer) -> dict[str, Json]:
    refused = answer.finish == "refusal"
    written: dict[str, Json] = {
        "role": "assistant",
        "content": None if refused or answer.tool_calls else answer.text,
        "refusal": answer.text if refused else None,
        "annotations": [],
    }
    if answer.reasoning:
        written["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        written["tool_calls"] = [
            {"id": call_id(), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    return written


def call_id() -> str:
    return f"call_{token_hex(12)}"


def usage(ask: Ask, answers: list[Answer]) -> dict[str, Json]:
    """Prompts are cached in blocks of 128 tokens, on every second seed."""
    output = sum(answer.output_tokens for answer in answers)
    cached = ask.input_tokens // 128 * 128 if ask.seed % 2 else 0
    return {
        "prompt_tokens": ask.input_tokens,
        "completion_tokens": output,
        "total_tokens": ask.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.reasoning_tokens for answer in answers),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def events(body: Json, ask: Ask, answers: list[Answer]) -> Iterator[tuple[float, bytes]]:
    """The stream of an answer: how long to wait (seconds at speed 1) and what to send then."""
    head = envelope(body, "chat.completion.chunk")
    counted = bool((body.get("stream_options") or {}).get("include_usage"))
    if counted:
        head["usage"] = None
    by_choice = (choice_chunks(index, answer) for index, answer in enumerate(answers))
    in_turn = (chunk for turn in zip_longest(*by_choice) for chunk in turn if chunk is not None)
    wait = answers[0].think
    for choice in in_turn:
        yield wait, event(head | {"choices": [choice]})
        wait = answers[0].gap / len(answers)
    if counted:
        yield 0.0, event(head | {"choices": [], "usage": usage(ask, answers)})
    yield 0.0, b"data: [DONE]\n\n"


def choice_chunks(index: int, answer: Answer) -> Iterator[dict[str, Json]]:
    def chunk(delta: dict[str, Json], finish_reason: str | None = None) -> dict[str, Json]:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}

    yield chunk({"role": "assistant", "content": None if answer.tool_calls else "", "refusal": None})
    text_field = "refusal" if answer.finish == "refusal" else "content"
    yield from (chunk({"reasoning_content": text}) for text in chunks(answer.reasoning, CHUNK_TOKENS))
    yield from (chunk({text_field: text}) for text in chunks(answer.text, CHUNK_TOKENS))
    yield from (chunk({"tool_calls": [delta]}) for delta in tool_call_deltas(answer))
    yield chunk({}, FINISH_REASONS[answer.finish])


def tool_call_deltas(answer: Answer) -> Iterable[dict[str, Json]]:
    for index, call in enumerate(answer.tool_calls):
        opening = {
            "index": index,
            "id": call_id(),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        arguments = ({"index": index, "function": {"arguments": text}} for text in chunks(call.arguments, CHUNK_TOKENS))
        yield from chain((opening,), arguments)


def event(payload: Json) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def error(failure: HttpError) -> bytes:
    """The body of an error."""
    return orjson.dumps(
        {"error": {"message": failure.message, "type": failure.kind, "param": None, "code": failure.code}}
    )

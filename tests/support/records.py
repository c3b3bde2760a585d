"""One valid example of each record; a test states only what matters to it."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.records import Capture, EvaluatedExchange, Exchange, Http, Message, Part, Timing, TraceContext, Usage

TRACE = TraceContext(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    server_span_id="b7ad6b7169203331",
    client_span_id="00f067aa0ba902b7",
)
STARTED_AT = 1_700_000_000_000_000_000
MS = 1_000_000


def a_capture(**changes: Any) -> Capture:
    """A plain OpenAI chat completion, unless told otherwise."""
    capture = Capture(
        id="018bcfe5680000000000000000000001",
        trace=TRACE,
        upstream="openai",
        route="/",
        method="POST",
        target="/v1/chat/completions",
        scheme="http",
        http_version="1.1",
        server_address="api.openai.com",
        server_port=443,
        client_address="127.0.0.1",
        client_port=54321,
        status=200,
        request_headers=(("Content-Type", "application/json"),),
        response_headers=(("Content-Type", "application/json"),),
        request_body=b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello?"}]}',
        response_body=(
            b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
            b'"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}'
        ),
        arrivals=((0, 40 * MS),),
        started_at=STARTED_AT,
        sent_at=1 * MS,
        first_byte_at=40 * MS,
        ended_at=41 * MS,
        request_size=66,
        response_size=250,
    )
    return msgspec.structs.replace(capture, **changes)


def an_exchange(**changes: Any) -> Exchange:
    """The same call, decoded."""
    exchange = Exchange(
        id="018bcfe5680000000000000000000001",
        trace=TRACE,
        upstream="openai",
        http=Http(
            method="POST",
            path="/v1/chat/completions",
            query=None,
            scheme="http",
            version="1.1",
            status=200,
            server_address="api.openai.com",
            server_port=443,
            client_address="127.0.0.1",
            client_port=54321,
            request_size=66,
            response_size=250,
            route="/v1/chat/completions",
        ),
        timing=Timing(started_at=STARTED_AT, sent_at=1 * MS, first_byte_at=40 * MS, ended_at=41 * MS),
        wire="openai_chat",
        operation="chat",
        provider="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        response_id="chatcmpl-1",
        input_messages=(Message("user", (Part("text", content="Hello?"),)),),
        output_messages=(answer("Hello!"),),
        usage=reported(9, 3),
    )
    return msgspec.structs.replace(exchange, **changes)


def reported(
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
    **details: float,
) -> Usage:
    """Counts that the provider gave; a detail's dots are written as two underscores."""
    named = {name.replace("__", "."): count for name, count in details.items()}
    return Usage(input_tokens, output_tokens, cache_read, cache_write, reasoning, "provider", named)


def answer(text: str, finish_reason: str | None = "stop", *parts: Part) -> Message:
    """An assistant's message with this text and any further parts."""
    return Message("assistant", (Part("text", content=text), *parts), finish_reason=finish_reason)


def an_evaluated_exchange(**changes: Any) -> EvaluatedExchange:
    """The same call, evaluated by nobody yet."""
    return msgspec.structs.replace(EvaluatedExchange(an_exchange()), **changes)

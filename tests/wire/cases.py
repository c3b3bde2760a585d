"""The recorded cases: each folder's request and response as a Capture, and what its Exchange must say."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from pipeline.records import Capture, Exchange
from tests.support.records import a_capture, an_exchange
from wire.sse import SseParser

DATA = Path(__file__).parent / "data"
CASES = sorted(path.parent.relative_to(DATA).as_posix() for path in DATA.glob("*/*/request.json"))
STREAMS = [case for case in CASES if (DATA / case / "response.sse").exists()]
DEFAULTS = {
    "openai_chat": {"target": "/v1/chat/completions", "server_address": "api.openai.com"},
    "anthropic_messages": {"target": "/v1/messages", "server_address": "api.anthropic.com"},
}
NOT_GENAI = ("id", "trace", "upstream", "http", "timing", "content", "findings")


@lru_cache
def read_case(case: str) -> Capture:
    """The case as the proxy would have captured it; the nth event of a stream arrives at n ns."""
    folder = DATA / case
    stream = case in STREAMS
    body = (folder / ("response.sse" if stream else "response.json")).read_bytes()
    content_type = "text/event-stream; charset=utf-8" if stream else "application/json"
    http = folder / "http.json"
    return a_capture(
        request_body=(folder / "request.json").read_bytes(),
        response_body=body,
        response_headers=(("Content-Type", content_type),),
        arrivals=tuple((event.offset, n) for n, event in enumerate(SseParser().feed(body))) if stream else ((0, 0),),
        **DEFAULTS[case.split("/")[0]] | (json.loads(http.read_text()) if http.exists() else {}),
    )


def expected(case: str) -> dict[str, Any]:
    return json.loads((DATA / case / "exchange.json").read_text())


def genai_fields(exchange: Exchange) -> dict[str, Any]:
    """What differs from an empty exchange, without the HTTP layer; and which events had content."""
    told = msgspec.to_builtins(exchange)
    empty = msgspec.to_builtins(Exchange("", exchange.trace, "", exchange.http, an_exchange().timing))
    fields = {name: value for name, value in told.items() if name not in NOT_GENAI and value != empty[name]}
    if exchange.timing.chunk_times:
        fields["chunk_times"] = list(exchange.timing.chunk_times)
    return json.loads(json.dumps(fields))

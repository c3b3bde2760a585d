"""The recorded cases: each folder's request and response as a Capture, and what its Exchange must say.

data/<format>/format.json: {"capture": fields of all its Captures, "ends": texts without which no stream is complete}.
data/<format>/<case>/:     request.json, request.form (with http.json naming its boundary) or no request;
                           response.json, .sse, .ndjson, .array (a streamed JSON array), .amazon (binary), .txt or .bin;
                           http.json: further fields of the Capture; exchange.json: what must come of it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from pipeline.records import Capture, Exchange
from tests.support.records import a_capture, an_exchange
from wire.shapes import Shapes
from wire.streams import READERS, Streaming

DATA = Path(__file__).parent / "data"
CASES = sorted(path.parent.relative_to(DATA).as_posix() for path in DATA.glob("*/*/exchange.json"))
CONTENT_TYPES = {
    ".json": "application/json",
    ".sse": "text/event-stream; charset=utf-8",
    ".ndjson": "application/x-ndjson",
    ".array": "application/json",
    ".amazon": "application/vnd.amazon.eventstream",
    ".txt": "text/plain; charset=utf-8",
    ".bin": "application/octet-stream",
}
STREAMING: dict[str, Streaming] = {".sse": "events", ".ndjson": "lines", ".array": "array", ".amazon": "amazon"}
NOT_GENAI = ("id", "trace", "upstream", "http", "timing", "content", "findings")


def file_of(case: str, stem: str) -> Path | None:
    return next((DATA / case).glob(f"{stem}.*"), None)


def suffix_of(case: str) -> str:
    response = file_of(case, "response")
    return response.suffix if response else ""


def streaming_of(case: str) -> Streaming:
    return STREAMING[suffix_of(case)]


STREAMS = [case for case in CASES if suffix_of(case) in STREAMING]
EVENT_STREAMS = [case for case in STREAMS if suffix_of(case) == ".sse"]
WHOLE_JSON = [case for case in CASES if suffix_of(case) == ".json"]
JSON_REQUESTS = [case for case in CASES if (file := file_of(case, "request")) and file.suffix == ".json"]


def fields_of(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    fields = json.loads(path.read_text())
    for name in ("request_headers", "response_headers"):
        if name in fields:
            fields[name] = tuple((key, value) for key, value in fields[name])
    return fields


def format_of(case: str) -> dict[str, Any]:
    """What every case of the format shares."""
    return json.loads((DATA / case.split("/")[0] / "format.json").read_text())


def arrivals_of(body: bytes, streaming: Streaming) -> tuple[tuple[int, int], ...]:
    """The nth event arrives at n ns."""
    return tuple((piece.offset, n) for n, piece in enumerate(READERS[streaming](body, Shapes())))


@lru_cache
def read_case(case: str) -> Capture:
    """The case as the proxy would have captured it."""
    request, response = file_of(case, "request"), file_of(case, "response")
    body = response.read_bytes() if response else b""
    fields = {
        "request_body": request.read_bytes() if request else b"",
        "response_body": body,
        "response_headers": (("Content-Type", CONTENT_TYPES.get(suffix_of(case), "")),),
        "arrivals": arrivals_of(body, streaming_of(case)) if case in STREAMS else ((0, 0),),
    }
    shared = DATA / case.split("/")[0] / "format.json"
    return a_capture(**fields | fields_of(shared).get("capture", {}) | fields_of(DATA / case / "http.json"))


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

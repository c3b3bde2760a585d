"""The ways an answer is streamed: server-sent events, lines of JSON, a JSON array, Amazon's event stream."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from pipeline.records import Headers
from wire.aws_event_stream import json_events
from wire.bodies import Arrivals
from wire.http import header, is_event_stream
from wire.shapes import Shapes
from wire.sse import SseParser

Streaming = Literal["events", "lines", "array", "amazon"]

AMAZON = "application/vnd.amazon.eventstream"
LINES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/x-jsonlines",
)
EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
BOM = b"\xef\xbb\xbf"
MAX_PIECES = 2**18  # of one body; an answer of as many tokens is longer than any
MAX_NESTED = 1024  # arrays and objects; no parser goes deeper
STEP = 2**18  # bytes of events that are read at once


class Piece(NamedTuple):
    """One event's JSON as bytes, where in the body it begins, and whether the body ended within it."""

    offset: int
    data: bytes
    cut: bool = False
    type: str = "message"  # of a server-sent event


def streaming_of(data: bytes, headers: Headers, own: Streaming) -> Streaming | None:
    """How this body is streamed, None for a whole one: by what the bytes look like, then by what they are said to be.

    `own` is how the API streams; only then are lines or an array taken for events.
    """
    said = (header(headers, "content-type") or "").lower()
    if said.startswith(AMAZON):
        return "amazon"
    if said.startswith(("audio/", "image/", "video/")):
        return None
    start = data[:64].lstrip(BOM + b" \t\r\n")
    if start.startswith(b"{"):
        return "lines" if own == "lines" or is_lines(headers) else None
    if start.startswith(b"["):
        return "array" if own == "array" else None
    return "events" if start.startswith(EVENT_STARTS) or is_event_stream(headers) else None


def is_lines(headers: Headers) -> bool:
    """Does the content type say JSON line by line?"""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower() in LINES


def read_events(data: bytes, shapes: Shapes) -> Iterator[Piece]:
    """Server-sent events; the last counts even without its blank line."""
    parser = SseParser()
    for start in range(0, len(data), STEP):
        for event in parser.feed(data[start : start + STEP]):
            yield Piece(event.offset, event.data, type=event.type)
    if leftover := parser.leftover():
        yield Piece(leftover.offset, leftover.data, True, leftover.type)


_LINE = re.compile(rb"\S[^\n]*")


def read_lines(data: bytes, shapes: Shapes) -> Iterator[Piece]:
    """One JSON value a line; empty lines keep a connection alive."""
    for match in _LINE.finditer(data, len(BOM) if data.startswith(BOM) else 0):
        yield Piece(match.start(), match[0].rstrip(), cut=match.end() == len(data))


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\],]', re.DOTALL)


def read_array(data: bytes, shapes: Shapes) -> Iterator[Piece]:
    """The elements of one JSON array; the last as far as it came."""
    depth, start = 0, 0
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            start = match.end() if depth == 1 else start
        elif token in (b"}", b"]"):
            depth -= 1
        if token == b'"' or depth > MAX_NESTED:
            break
        if (depth == 1 and token == b",") or depth == 0:
            if (element := data[start : match.start()]).strip():
                yield Piece(_first(element, start), element.strip())
            start = match.end()
        if depth == 0:
            return
    if (rest := data[start:]).strip():
        yield Piece(_first(rest, start), rest.strip(), cut=True)


def _first(piece: bytes, start: int) -> int:
    """Where in the body the first byte is that is no white space, of a piece that begins at `start`."""
    return start + len(piece) - len(piece.lstrip())


def read_amazon(data: bytes, shapes: Shapes) -> Iterator[Piece]:
    """Amazon's binary messages as JSON: {event type: payload}."""
    for offset, event in json_events(data, shapes):
        yield Piece(offset, event)


def _bounded(read: Callable[[bytes, Shapes], Iterator[Piece]]) -> Callable[[bytes, Shapes], Iterator[Piece]]:
    """No more pieces than an answer can have; more are noted as `too_many_events`."""

    def bounded(data: bytes, shapes: Shapes) -> Iterator[Piece]:
        pieces = read(data, shapes)
        yield from islice(pieces, MAX_PIECES)
        if next(pieces, None):
            shapes.note("too_many_events")

    return bounded


READERS: Mapping[Streaming, Callable[[bytes, Shapes], Iterator[Piece]]] = {
    "events": _bounded(read_events),
    "lines": _bounded(read_lines),
    "array": _bounded(read_array),
    "amazon": _bounded(read_amazon),
}


def times_at(offsets: list[int], arrivals: Arrivals) -> tuple[int, ...]:
    """When the bytes at these offsets came."""
    if not arrivals:
        return ()
    starts = [offset for offset, _ in arrivals]
    return tuple([arrivals[max(0, bisect_right(starts, offset) - 1)][1] for offset in offsets])

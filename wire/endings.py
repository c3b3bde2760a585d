"""What the end of an answer says when its middle was not kept: how it ended, and its tokens.

Long answers outgrow the copy, but their counts come last; the proxy keeps the last bytes for that. They begin anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

import orjson

from wire.shapes import Shapes
from wire.streams import READERS, Streaming

EVENT_BORDERS = {"events": re.compile(rb"\r?\n\r?\n|\r\r"), "lines": re.compile(rb"\n")}
USAGE = re.compile(r'"(usage|usageMetadata)"\s*:\s*(?=\{)')


def last_events(tail: bytes, streaming: Streaming | None) -> Iterator[dict[str, Any]]:
    """The whole events in the last bytes of a body; where none tells of usage, the last `usage` as an event."""
    told = False
    for data, event in whole_events(tail, streaming):
        told = told or b'"usage' in data
        yield event
    if not told and (usage := last_usage(tail)):
        yield usage


def whole_events(tail: bytes, streaming: Streaming | None) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Those that begin after the first border, as bytes and JSON."""
    border = EVENT_BORDERS[streaming].search(tail) if streaming in EVENT_BORDERS else None
    if streaming is None or border is None:
        return
    for piece in READERS[streaming](tail[border.end() :], Shapes()):
        try:
            event = orjson.loads(piece.data)
        except ValueError:
            continue
        if type(event) is dict:
            yield piece.data, event


def last_usage(tail: bytes) -> dict[str, Any] | None:
    """The last member of that name, though what it is a member of began before these bytes."""
    text = tail.decode("utf-8", "replace")
    for match in reversed(list(USAGE.finditer(text))):
        try:
            usage, _ = JSONDecoder().raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        return {match[1]: usage}
    return None

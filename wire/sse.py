"""Server-sent events from bytes in any pieces, by the WHATWG rules; the data stays bytes for whoever parses it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

BLANK_LINE = re.compile(rb"(?:\r\n|\n)(?:\n|\r\n?)|\r\r\n?")  # a line's end, then another: LF, CR or CRLF each
BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True, gc=False):
    """One event: its data lines joined by LF, and where in the stream its first field began."""

    offset: int
    data: bytes
    type: str = "message"
    id: str = ""


class SseParser:
    """Feed it bytes as they come; it gives the events they end. `retry` is the last reconnection time heard, in ms."""

    def __init__(self) -> None:
        self.retry: int | None = None
        self._last_id = ""
        self._pending = bytearray()  # of a block whose blank line has not come
        self._offset = 0  # of the first pending byte in the stream
        self._after_cr = False  # the last block ended with CR: an LF that follows belongs to it

    def feed(self, chunk: bytes) -> list[Event]:
        """The events this chunk completes."""
        if self._after_cr and chunk.startswith(b"\n"):
            self._after_cr = False
            self._offset += 1
            chunk = chunk[1:]
        if not chunk:
            return []
        data, searched = chunk, 0
        if self._pending:
            searched = max(0, len(self._pending) - 2)
            self._pending += chunk
            if next(_blank_lines(self._pending, searched), None) is None:
                return []
            data = bytes(self._pending)
        events, end = self._events(data, searched)
        self._pending = bytearray(data[end:])
        self._offset += end
        return events

    def leftover(self) -> Event | None:
        """The event the stream ended in; the rules drop it, but it may be whole but for its blank line."""
        return self._event(bytes(self._pending), self._offset)

    def _events(self, data: bytes, search_from: int) -> tuple[list[Event], int]:
        """Every event in the data, and where the last one's blank line ends."""
        events, start = [], 0
        for end, following in _blank_lines(data, search_from):
            block = data[start:end]
            if block[:6] == b"data: " and b"\n" not in block and b"\r" not in block:
                events.append(Event(self._offset + start, block[6:], "message", self._last_id))
            elif event := self._event(block, self._offset + start):
                events.append(event)
            start = following
        self._after_cr = start > 0 and start == len(data) and data[-1:] == b"\r"
        return events, start

    def _event(self, block: bytes, offset: int) -> Event | None:
        began: int | None = None
        kind, data = b"", []
        if offset == 0 and block.startswith(BOM):
            block, offset = block[3:], 3
        for line in block.splitlines(keepends=True):
            name, _, value = line.rstrip(b"\r\n").partition(b":")
            if name and began is None:
                began = offset
            offset += len(line)
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                kind = value
            else:
                self._remember(name, value)
        if not data or began is None:
            return None
        return Event(began, b"\n".join(data), kind.decode("utf-8", "replace") or "message", self._last_id)

    def _remember(self, name: bytes, value: bytes) -> None:
        """The fields that outlive their event."""
        if name == b"id" and b"\0" not in value:
            self._last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 19:
            self.retry = int(value)


def _blank_lines(data: bytes | bytearray, start: int) -> Iterator[tuple[int, int]]:
    """Where each begins, with the line end before it, and where what follows it begins."""
    if data.find(b"\r", start) >= 0:
        for match in BLANK_LINE.finditer(data, start):
            yield match.span()
        return
    while (end := data.find(b"\n\n", start)) >= 0:
        yield end, (start := end + 2)

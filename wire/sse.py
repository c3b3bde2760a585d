"""Server-sent events from bytes in any pieces, by the WHATWG rules; the data stays bytes for whoever parses it."""

from __future__ import annotations

from msgspec import Struct

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
        self._kind = ""
        self._data: list[bytes] = []
        self._began: int | None = None  # where the first field of the event to come is
        self._line = bytearray()  # whose end has not come
        self._offset = 0  # of that line in the stream
        self._after_cr = False  # the last line ended with CR: an LF that follows belongs to it

    def feed(self, chunk: bytes) -> list[Event]:
        """The events this chunk completes."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":
                self._offset += 1
                chunk = chunk[1:]
        lines, rest = _lines(chunk)
        if lines and self._line:
            line, size = lines[0]
            lines[0] = bytes(self._line) + line, len(self._line) + size
            self._line.clear()
        self._line += rest
        self._after_cr = self._after_cr or (not rest and chunk[-1:] == b"\r")
        return self._events(lines)

    def leftover(self) -> Event | None:
        """The event the stream ended in, once there is no more to feed.

        The rules drop it, but it may be whole but for its blank line.
        """
        if self._line:
            self._field(bytes(self._line))
            self._line.clear()
        return self._event() if self._data else None

    def _events(self, lines: list[tuple[bytes, int]]) -> list[Event]:
        events = []
        for line, size in lines:
            if line[:6] == b"data: ":
                if self._began is None:
                    self._began = self._offset
                self._data.append(line[6:])
            elif line:
                self._field(line)
            else:
                if self._data:
                    events.append(self._event())
                self._kind, self._data, self._began = "", [], None
            self._offset += size
        return events

    def _event(self) -> Event:
        return Event(self._began or 0, b"\n".join(self._data), self._kind or "message", self._last_id)

    def _field(self, line: bytes) -> None:
        offset = self._offset
        if offset == 0 and line.startswith(BOM):
            line, offset = line[3:], 3
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name and self._began is None:
            self._began = offset
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 19:
            self.retry = int(value)


def _lines(chunk: bytes) -> tuple[list[tuple[bytes, int]], bytes]:
    """Every whole line without its end, with the bytes it took; and what follows the last one."""
    if b"\r" not in chunk:
        *whole, rest = chunk.split(b"\n")
        return [(line, len(line) + 1) for line in whole], rest
    whole = chunk.splitlines(keepends=True)
    rest = b"" if whole[-1].endswith((b"\n", b"\r")) else whole.pop()
    return [(line.rstrip(b"\r\n"), len(line)) for line in whole], rest

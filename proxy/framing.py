"""Where a message body ends, without I/O: each framing is told the bytes as they pass and says which are its own.

Rule 1: framings never change, hold back or copy body bytes; they only count.
Rule 2: what two parsers could read in two ways is a FramingError, in both directions (RFC 9112 §6, §7).
"""

from __future__ import annotations

HEX_DIGITS = b"0123456789abcdefABCDEF"
MAX_SIZE_DIGITS = 15  # below 2**60: no parser's integer overflows
SIZES: dict[bytes, int] = {}  # what chunk sizes that came before mean: a stream's are like each other
MOST_SIZES = 1024
MAX_LINE = 1024  # a chunk-size line with its extension, or a trailer line
MAX_TRAILERS = 8192
VISIBLE = bytes(range(0x20, 0x7F)) + b"\t" + bytes(range(0x80, 0x100))


class FramingError(Exception):
    """The bytes are not a body of this framing, or not clearly one."""


class NoBody:
    """HEAD, 204, 304, and requests without a body."""

    __slots__ = ()
    done = True

    def feed(self, data: bytes) -> int:
        """None of `data` is mine."""
        return 0

    def ends_cleanly_at_eof(self) -> bool:
        return True


class Counted:
    """Content-Length."""

    __slots__ = ("done", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0

    def feed(self, data: bytes) -> int:
        """How many leading bytes of `data` belong to the body."""
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return size
        size, self.remaining, self.done = self.remaining, 0, True
        return size

    def ends_cleanly_at_eof(self) -> bool:
        return self.done


class UntilClose:
    """A response without a length: the end of the connection is the end of the body."""

    __slots__ = ()
    done = False

    def feed(self, data: bytes) -> int:
        """All of `data` is mine."""
        return len(data)

    def ends_cleanly_at_eof(self) -> bool:
        return True


class Spliced(UntilClose):
    """What follows a 101: no longer HTTP."""

    __slots__ = ()


class Chunked:
    """Transfer-Encoding: chunked (RFC 9112 §7.1), strict: CRLF only, plain hex sizes, visible extensions.

    `remaining` counts the current chunk's bytes *with* its closing CRLF, so the usual case, whole chunks in one
    read, is one find and one addition per chunk.
    """

    __slots__ = ("at_border", "done", "in_trailers", "line", "payload", "remaining", "trailer_bytes")

    def __init__(self) -> None:
        self.at_border = True  # the next byte begins a chunk
        self.payload: list[bytes] | None = None  # a list gathers what is inside the chunks, for a peer that knows none
        self.remaining = 0
        self.line = b""  # an unfinished size or trailer line
        self.in_trailers = False
        self.trailer_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> int:
        """How many leading bytes of `data` belong to the body; FramingError when that cannot be said."""
        size = len(data)
        if self.at_border and self.payload is None:
            # The usual read of a stream, at the price of one look: a whole chunk and nothing else.
            end = data.find(b"\r\n", 0, MAX_SIZE_DIGITS + 2)
            if end > 0 and SIZES.get(data[:end]) == size - end - 4 and data.endswith(b"\r\n"):
                return size
        position = 0
        while position < size and not self.done:
            position = self.pass_chunk(data, position) if self.remaining else self.pass_line(data, position)
        self.at_border = not (self.remaining or self.line or self.in_trailers)
        return position

    def pass_chunk(self, data: bytes, position: int) -> int:
        """Skip chunk bytes, checking the CRLF that closes them."""
        end = position + self.remaining
        available = min(end, len(data))
        if available > end - 2:  # some of the closing CRLF is here
            start = max(position, end - 2)
            if data[start:available] != b"\r\n"[start - (end - 2) : available - (end - 2)]:
                raise FramingError("chunk data does not end where its size says")
        if self.payload is not None:
            self.payload.append(data[position : max(min(available, end - 2), position)])
        self.remaining = end - available
        return available

    def take_payload(self) -> bytes:
        """What was inside the chunks since the last call."""
        assert self.payload is not None
        taken, self.payload = b"".join(self.payload), []
        return taken

    def pass_line(self, data: bytes, position: int) -> int:
        """Read a size or trailer line, or keep what there is of it."""
        end = data.find(b"\n", position)
        if end < 0:
            self.line += data[position:]
            if len(self.line) > MAX_LINE:
                raise FramingError("chunk line too long")
            return len(data)
        line = self.line + data[position : end + 1] if self.line else data[position : end + 1]
        self.line = b""
        if line[-2:] != b"\r\n" or len(line) > MAX_LINE:
            raise FramingError("chunk line does not end in CRLF")
        if self.in_trailers:
            self.end_trailer(line[:-2])
        else:
            self.begin_chunk(line[:-2])
        return end + 1

    def begin_chunk(self, line: bytes) -> None:
        """`1a4` or `1a4;name=value`."""
        if line.translate(None, HEX_DIGITS):
            digits, semicolon, extension = line.partition(b";")
            line = digits.rstrip(b" \t") if semicolon else digits
            if not semicolon or line.translate(None, HEX_DIGITS) or extension.translate(None, VISIBLE):
                raise FramingError("bad chunk size")
        if not line or len(line) > MAX_SIZE_DIGITS:
            raise FramingError("bad chunk size")
        length = int(line, 16)
        if length:
            self.remaining = length + 2
            if len(SIZES) < MOST_SIZES:
                SIZES[line] = length
        else:
            self.in_trailers = True

    def end_trailer(self, line: bytes) -> None:
        """A trailer field, or the empty line that ends the body."""
        if not line:
            self.done = True
            return
        self.trailer_bytes += len(line)
        name, colon, value = line.partition(b":")
        bad_name = not name or name.translate(None, TOKEN)
        if not colon or bad_name or value.translate(None, VISIBLE) or self.trailer_bytes > MAX_TRAILERS:
            raise FramingError("bad trailer field")

    def ends_cleanly_at_eof(self) -> bool:
        return self.done


TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

Framing = NoBody | Counted | UntilClose | Chunked
NO_BODY = NoBody()
UNTIL_CLOSE = UntilClose()
SPLICED = Spliced()

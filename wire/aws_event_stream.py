"""Amazon's event stream: length-prefixed binary messages with typed headers, each guarded by CRC-32."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import orjson

from wire.shapes import Shapes

MAX_MESSAGE = 24 * 2**20  # bytes
MAX_HEADERS = 128 * 2**10  # bytes
PRELUDE = struct.Struct("!III")  # length of the message, of its headers, CRC-32 of these two
CRC = struct.Struct("!I")  # of everything before it

HeaderValue: TypeAlias = bool | int | bytes | str

# Header types by their number. A fixed value is as long as its format; a counted one is as long as it says.
FIXED: Mapping[int, struct.Struct] = {
    2: struct.Struct("!b"),
    3: struct.Struct("!h"),
    4: struct.Struct("!i"),
    5: struct.Struct("!q"),
    8: struct.Struct("!q"),  # milliseconds since the epoch
    9: struct.Struct("!16s"),  # UUID
}
BYTES, TEXT = 6, 7
COUNT = struct.Struct("!H")


class AmazonMessage(NamedTuple):
    """One message, where it begins, and its headers by name."""

    offset: int
    headers: dict[str, HeaderValue]
    payload: bytes


class _BrokenError(ValueError):
    """These bytes are no message."""


def json_events(data: bytes, shapes: Shapes) -> Iterator[tuple[int, bytes]]:
    """Each message as JSON and where it begins: {event type: payload}, or {"error": {type, message}}.

    Noted: event_cut, the data ends within a message; event_broken, a message is not what its checksums or lengths
    say, and what follows it is not read.
    """
    for message in messages_of(data, shapes):
        yield message.offset, _json(message)


def messages_of(data: bytes, shapes: Shapes) -> Iterator[AmazonMessage]:
    """The messages as far as they are whole; problems are noted as in `json_events`."""
    offset = 0
    while offset < len(data):
        try:
            length, headers_length = _lengths(data, offset)
            end = offset + length
            if end > len(data):
                shapes.note("event_cut")
                return
            yield _message(data, offset, end, headers_length)
        except _BrokenError:
            shapes.note("event_broken")
            return
        offset = end


def _lengths(data: bytes, offset: int) -> tuple[int, int]:
    """Of the message and of its headers; a prelude that is cut stands for a message that is."""
    if offset + PRELUDE.size > len(data):
        return PRELUDE.size, 0
    length, headers_length, crc = PRELUDE.unpack_from(data, offset)
    sound = zlib.crc32(data[offset : offset + 8]) == crc
    fits = headers_length <= MAX_HEADERS and PRELUDE.size + headers_length + CRC.size <= length <= MAX_MESSAGE
    if not sound or not fits:
        raise _BrokenError
    return length, headers_length


def _message(data: bytes, offset: int, end: int, headers_length: int) -> AmazonMessage:
    (crc,) = CRC.unpack_from(data, end - CRC.size)
    if zlib.crc32(memoryview(data)[offset : end - CRC.size]) != crc:
        raise _BrokenError
    start = offset + PRELUDE.size
    headers = _headers(data[start : start + headers_length])
    return AmazonMessage(offset, headers, data[start + headers_length : end - CRC.size])


def _headers(data: bytes) -> dict[str, HeaderValue]:
    """Each is its name's length, its name, its type, its value."""
    headers = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            value, end = _value(data, data[name_end], name_end + 1)
            headers[data[at + 1 : name_end].decode()] = value
            at = end
    except (IndexError, struct.error, UnicodeDecodeError):
        raise _BrokenError from None
    return headers


def _value(data: bytes, kind: int, start: int) -> tuple[HeaderValue, int]:
    """The value that begins there, and where it ends."""
    if kind in (0, 1):
        return kind == 0, start
    if kind in FIXED:
        (fixed,) = FIXED[kind].unpack_from(data, start)
        return fixed, start + FIXED[kind].size
    if kind not in (BYTES, TEXT):
        raise _BrokenError
    begin = start + COUNT.size
    end = begin + COUNT.unpack_from(data, start)[0]
    if end > len(data):
        raise _BrokenError
    return (data[begin:end].decode() if kind == TEXT else data[begin:end]), end


def _json(message: AmazonMessage) -> bytes:
    headers = message.headers
    if headers.get(":message-type") in ("exception", "error"):
        return _error(headers, message.payload)
    kind = orjson.dumps(str(headers.get(":event-type", "")))
    return b"{" + kind + b":" + (message.payload or b"{}") + b"}"


def _error(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """An exception is named by its header and told by its payload; an error by headers alone."""
    kind = headers.get(":exception-type") or headers.get(":error-code")
    told = headers.get(":error-message") or _told(payload)
    error = {"type": kind, "message": told}
    texts = {name: value for name, value in error.items() if type(value) is str}
    return orjson.dumps({"error": texts or {"type": "_OTHER"}})


def _told(payload: bytes) -> str | None:
    try:
        body = orjson.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace") or None
    told = (body.get("message") or body.get("Message")) if type(body) is dict else None
    return told if type(told) is str else None

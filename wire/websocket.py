"""The messages of a WebSocket (RFC 6455), read from the copy of what one side said."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from pipeline.records import Headers
from wire.bodies import FREE_EXPANSION, MAX_EXPANDED, MAX_RATIO
from wire.http import header

Kind = Literal["text", "binary", "close", "ping", "pong"]

CONTINUATION: Final = 0
CONTROL: Final = 8  # and up
KINDS: Final[dict[int, Kind]] = {1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
FIN: Final = 0x80
COMPRESSED: Final = 0x40
RESERVED: Final = 0x30
MASKED: Final = 0x80
MAX_CONTROL: Final = 125  # bytes in a control frame
FLUSHED: Final = b"\x00\x00\xff\xff"  # how each compressed message ends, but is not sent (RFC 7692 §7.2.2)


class WebSocketMessage(NamedTuple):
    """One message, or one control frame, and where in the data its first frame begins."""

    offset: int
    kind: Kind
    data: bytes


class Deflate(NamedTuple):
    """How one side compresses its messages (RFC 7692)."""

    window_bits: int = 15
    takeover: bool = True  # each message may lean on the ones before


class Agreed(NamedTuple):
    """The compression of each side; None for none."""

    client: Deflate | None = None
    server: Deflate | None = None


class _Broken(ValueError):
    """These are no frames as both sides agreed on; the message is the name of the problem."""


class _Frame(NamedTuple):
    offset: int
    first: int  # FIN, the reserved bits, the opcode
    payload: bytes


def agreed(response_headers: Headers) -> Agreed:
    """What the 101 says of compression."""
    for extension in (header(response_headers, "sec-websocket-extensions") or "").split(","):
        name, *parameters = [piece.strip().lower() for piece in extension.split(";")]
        if name == "permessage-deflate":
            return Agreed(_deflate("client", parameters), _deflate("server", parameters))
    return Agreed()


def _deflate(side: str, parameters: list[str]) -> Deflate:
    bits = next((match[1] for each in parameters if (match := _WINDOW_BITS[side].fullmatch(each))), "15")
    return Deflate(int(bits), f"{side}_no_context_takeover" not in parameters)


_WINDOW_BITS = {side: re.compile(side + r'_max_window_bits\s*=\s*"?(8|9|1[0-5])"?') for side in ("client", "server")}


def messages(data: bytes, masked: bool, deflate: Deflate | None = None) -> tuple[list[WebSocketMessage], str | None]:
    """Every whole message one side sent up to its close, control frames among them, and what is wrong with the rest.

    `masked` is what the client does and the server must not. Problems: websocket_cut (it ends within a message),
    websocket_broken (no frames, or not as agreed), expansion_limit.
    """
    read: list[WebSocketMessage] = []
    try:
        for message in _assembled(data, masked, deflate):
            read.append(message)
    except _Broken as problem:
        return read, str(problem)
    return read, None


def closing(message: WebSocketMessage) -> tuple[int | None, str]:
    """The code and the reason of a close; 1005 stands for none given."""
    code = int.from_bytes(message.data[:2], "big") if len(message.data) >= 2 else 1005
    return code, message.data[2:].decode("utf-8", "replace")


def _assembled(data: bytes, masked: bool, deflate: Deflate | None) -> Iterator[WebSocketMessage]:
    inflater = _Inflater(deflate, len(data)) if deflate else None
    begun: list[_Frame] = []  # the frames of a message whose last has not come
    for frame in _frames(data, masked):
        opcode = frame.first & 0x0F
        if opcode >= CONTROL:
            yield WebSocketMessage(frame.offset, KINDS[opcode], frame.payload)
            if KINDS[opcode] == "close":
                return
            continue
        compressed = bool(frame.first & COMPRESSED)
        if (opcode == CONTINUATION) is not bool(begun) or (compressed and (begun or inflater is None)):
            raise _Broken("websocket_broken")
        begun.append(frame)
        if frame.first & FIN:
            yield _message(begun, inflater)
            begun = []
    if begun:
        raise _Broken("websocket_cut")


def _message(frames: list[_Frame], inflater: _Inflater | None) -> WebSocketMessage:
    head = frames[0]
    payload = b"".join([frame.payload for frame in frames])
    if inflater and head.first & COMPRESSED:
        payload = inflater.inflate(payload)
    return WebSocketMessage(head.offset, KINDS[head.first & 0x0F], payload)


def _frames(data: bytes, masked: bool) -> Iterator[_Frame]:
    position, size = 0, len(data)
    while position < size:
        if size - position < 2:
            raise _Broken("websocket_cut")
        first, second = data[position], data[position + 1]
        if bool(second & MASKED) is not masked or not _is_sound(first, second & 0x7F):
            raise _Broken("websocket_broken")
        start, length = _payload(data, position, second & 0x7F)
        mask = data[start : start + 4] if masked else b""
        start += len(mask)
        if start + length > size:
            raise _Broken("websocket_cut")
        yield _Frame(position, first, _unmasked(data[start : start + length], mask))
        position = start + length


def _is_sound(first: int, length: int) -> bool:
    """May a frame begin so?"""
    opcode = first & 0x0F
    if first & RESERVED or (opcode != CONTINUATION and opcode not in KINDS):
        return False
    return opcode < CONTROL or (first & (FIN | COMPRESSED) == FIN and length <= MAX_CONTROL)


def _payload(data: bytes, position: int, length: int) -> tuple[int, int]:
    """Where the frame goes on after its length, and that."""
    position += 2
    if length < 126:
        return position, length
    end = position + (2 if length == 126 else 8)
    if end > len(data):
        raise _Broken("websocket_cut")
    length = int.from_bytes(data[position:end], "big")
    if length >= 2**63:
        raise _Broken("websocket_broken")
    return end, length


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if not payload or not mask:
        return payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(len(payload), "little")


class _Inflater:
    """Undoes the compression of one side, message by message, up to a limit for all of them."""

    def __init__(self, deflate: Deflate, size: int) -> None:
        self._deflate = deflate
        self._room = min(MAX_EXPANDED, max(FREE_EXPANSION, MAX_RATIO * size))  # bytes
        self._stream = zlib.decompressobj(-deflate.window_bits)

    def inflate(self, payload: bytes) -> bytes:
        if self._stream.eof or not self._deflate.takeover:
            self._stream = zlib.decompressobj(-self._deflate.window_bits)
        try:
            expanded = self._stream.decompress(payload + FLUSHED, self._room + 1)
        except zlib.error:
            raise _Broken("websocket_broken") from None
        self._room -= len(expanded)
        if self._room < 0:
            raise _Broken("expansion_limit")
        return expanded

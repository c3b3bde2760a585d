"""Bodies as they were before HTTP packed them, and JSON out of them; bounded, whatever the bytes claim."""

from __future__ import annotations

import json
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

import brotli
import orjson

from pipeline.records import Headers, Json
from wire.http import header

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_EXPANDED = 16 * 2**20  # bytes; JSON of nothing but brackets takes twenty times that in memory
MAX_RATIO = 200  # a stream of near-identical chunks packs about fifty-fold
FREE_EXPANSION = 2**20  # bytes; up to here any ratio is harmless
MAX_MEMBERS = 64  # of one gzip or zstd body
MAX_CODINGS = 2  # one upon the other
MAX_SALVAGED = 2 * 2**20  # bytes; the salvage walks in Python
MAX_DEPTH = 128  # of JSON; the journal's encoder recurses, so what passes here must fit its stack

STEP: Final = 4096  # bytes; what is broken takes no more with it
BROTLI_STEP: Final = 2**16  # bytes; its buffer grows past what it is asked for, the more the larger that is
WINDOW_LOG: Final = 23  # 8 MiB, all that HTTP allows (RFC 9659)
ZSTD_OPTIONS: Final[Mapping[int, int]] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
CODINGS: Final = frozenset(("gzip", "deflate", "br", "zstd"))

Arrivals = tuple[tuple[int, int], ...]  # (offset, time), as in Capture


class Body(NamedTuple):
    """A body, where in it each piece that arrived begins, and what was wrong with its content encoding."""

    data: bytes
    arrivals: Arrivals = ()
    problem: str | None = None


def expand(data: bytes, headers: Headers, arrivals: Arrivals = ()) -> Body:
    """Undo the content encoding: identity, gzip, deflate (with or without the zlib wrapper), br, zstd.

    Problems: content_encoding_unsupported (no data), content_encoding_broken (what could be read before),
    expansion_limit (as much as it allows).
    """
    body = Body(data, arrivals)
    packed = header(headers, "content-encoding")
    if packed is None:
        return body
    codings = [coding.strip().lower().removeprefix("x-") for coding in packed.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > MAX_CODINGS or not CODINGS.issuperset(codings):
        return Body(b"", problem="content_encoding_unsupported")
    for coding in reversed(codings):
        if body.problem is None:
            body = _unpack(body, coding)
    return body


def _unpack(body: Body, coding: str) -> Body:
    limit = min(MAX_EXPANDED, max(FREE_EXPANSION, MAX_RATIO * len(body.data)))
    unpacker = _Unpacker("zlib" if coding == "deflate" and _is_wrapped(body.data) else coding, limit)
    arrivals = []
    for piece, arrived_at in _pieces(body):
        arrivals.append((len(unpacker.expanded), arrived_at))
        unpacker.feed(piece)
    return Body(bytes(unpacker.expanded), tuple(arrivals) if body.arrivals else (), unpacker.problem)


def _is_wrapped(data: bytes) -> bool:
    """Does it begin as zlib's wrapper of deflate does?"""
    return len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0


class _Member(Protocol):
    """One compressed stream, as zlib's objects undo it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Brotli:
    """A member in brotli."""

    unused_data = b""  # what follows the end is an error

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Give `max_length` bytes or a little more while there are any."""
        expanded = bytearray(self._stream.process(data, output_buffer_limit=BROTLI_STEP))
        while len(expanded) < max_length and not self._stream.can_accept_more_data():
            expanded += self._stream.process(b"", output_buffer_limit=BROTLI_STEP)
        return bytes(expanded)


MEMBERS: Final[Mapping[str, Callable[[], _Member]]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zlib": lambda: zlib.decompressobj(15),
    "deflate": lambda: zlib.decompressobj(-15),
    "br": _Brotli,
    "zstd": lambda: zstd.ZstdDecompressor(options=ZSTD_OPTIONS),
}


class _Unpacker:
    """Undoes one coding, piece by piece, up to a limit."""

    def __init__(self, coding: str, limit: int) -> None:
        self.expanded = bytearray()
        self.problem: str | None = None
        self._coding = coding
        self._limit = limit
        self._members = 0
        self._member: _Member | None = None

    def feed(self, piece: bytes) -> None:
        for start in range(0, len(piece), STEP):
            self._feed(piece[start : start + STEP])

    def _feed(self, data: bytes) -> None:
        while data and self.problem is None and (member := self._begun()):
            try:
                self.expanded += member.decompress(data, self._limit + 1 - len(self.expanded))
            except (zlib.error, zstd.ZstdError, brotli.error):
                self.problem = "content_encoding_broken"
            if len(self.expanded) > self._limit or self._members > MAX_MEMBERS:
                self.problem = "expansion_limit"
                del self.expanded[self._limit :]
            data = member.unused_data

    def _begun(self) -> _Member | None:
        """The member under way. After its end only gzip and zstd may begin again."""
        if self._member and self._member.eof and self._coding not in ("gzip", "zstd"):
            return None
        if self._member is None or self._member.eof:
            self._member = MEMBERS[self._coding]()
            self._members += 1
        return self._member


def _pieces(body: Body) -> Iterator[tuple[bytes, int]]:
    """The data as it arrived, piece by piece, each with its time."""
    times = [time for _, time in body.arrivals] or [0]
    ends = [offset for offset, _ in body.arrivals[1:]] + [len(body.data)]
    start = 0
    for time, end in zip(times, ends, strict=True):
        yield body.data[start:end], time
        start = max(start, end)


def loads(data: bytes) -> Json:
    """JSON, no deeper than MAX_DEPTH; raises ValueError."""
    value = orjson.loads(data)
    if len(data) > 2 * MAX_DEPTH and data.count(b"{") + data.count(b"[") > MAX_DEPTH and deeper(value, MAX_DEPTH):
        raise ValueError("nested too deep")
    return value


def deeper(value: Json, limit: int) -> bool:
    """Does it nest more than so many arrays and objects?"""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def loads_or_salvage(data: bytes) -> tuple[Json, bool]:
    """JSON, or as much of it as is whole when its end is missing or its UTF-8 broken; and whether it was sound."""
    try:
        return loads(data), True
    except ValueError:
        pass
    mended = data.decode("utf-8-sig", "replace").encode()
    salvaged = salvage(mended)
    for read, attempt in ((loads, mended), (loads, salvaged), (loads_leniently, salvaged)):
        try:
            return read(attempt), False
        except ValueError:
            continue
    return None, False


_ESCAPE = re.compile(rb"\\(?:u(?:[dD][89abAB]..\\u[dD][c-fC-F]..|([dD][89a-fA-F]..))|.)", re.DOTALL)


def loads_leniently(data: bytes) -> Json:
    """JSON as many a server writes it and most clients take it; raises ValueError.

    NaN, Infinity and numbers beyond a double are null, half a surrogate pair is U+FFFD.
    """
    whole = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], data[: MAX_SALVAGED + 1])
    if len(whole) > MAX_SALVAGED:
        raise ValueError("too long")
    try:
        value = json.loads(whole.decode(), parse_constant=lambda _: None, parse_float=_number, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if deeper(value, MAX_DEPTH):
        raise ValueError("nested too deep")
    return value


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str) -> float | None:
    return int(text) if len(text) < 19 else _number(text)


# A lone quote is a string whose end is missing.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\],]', re.DOTALL)
_CLOSER = {b"{": b"}", b"[": b"]"}


def salvage(data: bytes) -> bytes:
    """Cut the JSON after its last whole value, and close what is open there."""
    closers: list[bytes] = []
    end = 0
    for match in _TOKEN.finditer(data, 0, MAX_SALVAGED):
        token = match[0]
        if token in _CLOSER:
            closers.append(_CLOSER[token])
            end = match.end()
        elif token in (b"}", b"]"):
            if not closers or closers.pop() != token:
                break
            end = match.end()
        elif token == b",":
            end = match.start()
        if token == b'"' or len(closers) > MAX_DEPTH:
            break
    return data[:end] + b"".join(reversed(closers))

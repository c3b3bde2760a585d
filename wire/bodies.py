"""Bodies as they were before HTTP packed them, and JSON out of them; bounded, whatever the bytes claim."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from pipeline.records import Headers, Json
from wire.http import header

MAX_EXPANDED = 16 * 2**20  # bytes; JSON of nothing but brackets takes twenty times that in memory
MAX_RATIO = 200  # a stream of near-identical chunks packs about fifty-fold
FREE_EXPANSION = 2**20  # bytes; up to here any ratio is harmless
MAX_MEMBERS = 64  # of one gzip body
MAX_CODINGS = 2  # one upon the other
MAX_SALVAGED = 2 * 2**20  # bytes; the salvage walks in Python
MAX_DEPTH = 128  # of JSON; the journal's encoder recurses, so what passes here must fit its stack

Arrivals = tuple[tuple[int, int], ...]  # (offset, time), as in Capture


class Body(NamedTuple):
    """A body, where in it each piece that arrived begins, and what was wrong with its content encoding."""

    data: bytes
    arrivals: Arrivals = ()
    problem: str | None = None


def expand(data: bytes, headers: Headers, arrivals: Arrivals = ()) -> Body:
    """Undo the content encoding: identity, gzip, deflate (with or without the zlib wrapper).

    Problems: content_encoding_unsupported (no data), content_encoding_broken (what arrived in the pieces before),
    expansion_limit (as much as it allows).
    """
    body = Body(data, arrivals)
    packed = header(headers, "content-encoding")
    if packed is None:
        return body
    codings = [coding.strip().lower().removeprefix("x-") for coding in packed.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > MAX_CODINGS or not {"gzip", "deflate"}.issuperset(codings):
        return Body(b"", problem="content_encoding_unsupported")
    for coding in reversed(codings):
        if body.problem is None:
            body = _inflate(body, _window_bits(coding, body.data))
    return body


def _window_bits(coding: str, data: bytes) -> int:
    """What zlib calls the wrapper: 31 gzip, 15 zlib, -15 none."""
    if coding == "gzip":
        return 31
    wrapped = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return 15 if wrapped else -15


def _inflate(body: Body, window_bits: int) -> Body:
    inflater = _Inflater(window_bits, min(MAX_EXPANDED, max(FREE_EXPANSION, MAX_RATIO * len(body.data))))
    arrivals = []
    for piece, arrived_at in _pieces(body):
        arrivals.append((len(inflater.expanded), arrived_at))
        inflater.feed(piece)
    return Body(bytes(inflater.expanded), tuple(arrivals) if body.arrivals else (), inflater.problem)


class _Inflater:
    """Undoes one gzip (of any number of members) or deflate coding, piece by piece, up to a limit."""

    def __init__(self, window_bits: int, limit: int) -> None:
        self.expanded = bytearray()
        self.problem: str | None = None
        self._window_bits = window_bits
        self._limit = limit
        self._members = 0
        self._member = zlib.decompressobj(window_bits)

    def feed(self, piece: bytes) -> None:
        while piece and self.problem is None and not self._ended():
            try:
                self.expanded += self._member.decompress(piece, self._limit + 1 - len(self.expanded))
            except zlib.error:
                self.problem = "content_encoding_broken"
            if len(self.expanded) > self._limit or self._members > MAX_MEMBERS:
                self.problem = "expansion_limit"
                del self.expanded[self._limit :]
            piece = self._member.unused_data

    def _ended(self) -> bool:
        """Only gzip may begin again after its end."""
        if self._member.eof and self._window_bits == 31:
            self._member = zlib.decompressobj(self._window_bits)
            self._members += 1
        return self._member.eof


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
    for attempt in (mended, salvage(mended)):
        try:
            return loads(attempt), False
        except ValueError:
            continue
    return None, False


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

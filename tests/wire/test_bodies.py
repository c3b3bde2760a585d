"""Content encodings undone within bounds, and JSON with its end missing."""

from __future__ import annotations

import gzip
import json
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import bodies
from wire.bodies import Body, expand, loads, loads_or_salvage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'{"text": "' + b"one two three " * 40 + b'"}'
SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


def flushed(coding: str, pieces: list[bytes], end: bool = True) -> list[bytes]:
    """Each piece packed so that it can be read at once, as servers stream events."""
    if coding == "br":
        packer: Any = brotli.Compressor(quality=4)
        packed = [packer.process(piece) + packer.flush() for piece in pieces]
        return [*packed, packer.finish()] if end else packed
    if coding == "zstd":
        packer = zstd.ZstdCompressor()
        packed = [packer.compress(piece, zstd.ZstdCompressor.FLUSH_BLOCK) for piece in pieces]
    else:
        packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*packed, packer.flush()] if end else packed


def bomb(coding: str, size: int) -> bytes:
    """So many zeros, packed without ever being there at once."""
    zeros = bytes(2**22)
    packer: Any
    if coding == "br":
        packer = brotli.Compressor(quality=1, lgwin=24)
        return b"".join([packer.process(zeros) for _ in range(size // len(zeros))]) + packer.finish()
    packer = zstd.ZstdCompressor() if coding == "zstd" else zlib.compressobj(1, wbits=31 if coding == "gzip" else 15)
    return b"".join([packer.compress(zeros) for _ in range(size // len(zeros))]) + packer.flush()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        (" GZIP ", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("identity, gzip", gzip.compress(BODY)),
        ("br", brotli.compress(BODY)),
        ("zstd", zstd.compress(BODY)),
        ("zstd", zstd.compress(BODY[:50]) + SKIPPABLE + zstd.compress(BODY[50:])),
        ("gzip, br", brotli.compress(gzip.compress(BODY))),
        ("br, zstd", zstd.compress(brotli.compress(BODY))),
    ],
)
def test_encoding_is_undone(coding: str, packed: bytes) -> None:
    assert expand(packed, (("Content-Encoding", coding),)) == Body(BODY)


def test_repeated_header_is_one_list() -> None:
    headers = (("content-encoding", "deflate"), ("Content-Encoding", "gzip"))
    assert expand(gzip.compress(zlib.compress(BODY)), headers).data == BODY


@pytest.mark.parametrize("coding", ["dcb", "dcz", "compress", "gzip, dcb", "gzip, gzip, gzip", "\xff"])
def test_other_encodings_are_named(coding: str) -> None:
    assert expand(b"...", (("content-encoding", coding),)) == Body(b"", problem="content_encoding_unsupported")


@pytest.mark.parametrize("coding", PACK)
def test_wrong_header_is_named(coding: str) -> None:
    assert expand(BODY, (("content-encoding", coding),)).problem == "content_encoding_broken"


@pytest.mark.parametrize("coding", PACK)
def test_broken_piece_leaves_the_pieces_before_it(coding: str) -> None:
    packed = b"".join(flushed(coding, [BODY], end=False))
    body = expand(packed + b"\xff" * 20, (("content-encoding", coding),), ((0, 1), (len(packed), 2)))
    assert body == Body(BODY, ((0, 1), (len(BODY), 2)), "content_encoding_broken")


@pytest.mark.parametrize("coding", PACK)
def test_missing_end_leaves_the_beginning(coding: str) -> None:
    assert expand(b"".join(flushed(coding, [BODY], end=False)), (("content-encoding", coding),)) == Body(BODY)


@given(data=st.binary(max_size=300), cut=st.integers(0, 400), coding=st.sampled_from(list(PACK)))
def test_body_cut_anywhere_is_a_beginning(data: bytes, cut: int, coding: str) -> None:
    body = expand(PACK[coding](data)[:cut], (("content-encoding", coding),))
    assert body.problem is None
    assert data.startswith(body.data)


@given(data=st.binary(max_size=300), coding=st.sampled_from([*PACK, "br, zstd", "gzip, br"]))
def test_any_bytes_are_read_as_far_as_they_go(data: bytes, coding: str) -> None:
    assert expand(data, (("content-encoding", coding),)).problem in (None, "content_encoding_broken", "expansion_limit")


def test_what_is_broken_takes_little_with_it() -> None:
    noise = random.Random(1).randbytes(60_000)
    packed = gzip.compress(noise)
    body = expand(packed[:40_000] + b"\xff" * 20_000, (("content-encoding", "gzip"),))
    assert body.problem is None or len(body.data) > 30_000
    assert noise.startswith(body.data[:30_000])


def test_a_window_larger_than_http_allows_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    packed = packer.compress(BODY, zstd.ZstdCompressor.FLUSH_BLOCK)
    assert expand(packed, (("content-encoding", "zstd"),)) == Body(b"", problem="content_encoding_broken")


def test_bytes_after_the_end_of_deflate_are_ignored() -> None:
    assert expand(zlib.compress(BODY) + BODY, (("content-encoding", "deflate"),), ((0, 1), (9, 2))).data == BODY


@pytest.mark.parametrize("coding", PACK)
def test_bomb_is_cut_at_the_ratio(coding: str) -> None:
    packed = bomb(coding, 2**28)
    tracemalloc.start()
    body = expand(packed, (("content-encoding", coding),))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    limit = min(bodies.MAX_EXPANDED, max(bodies.FREE_EXPANSION, bodies.MAX_RATIO * len(packed)))
    assert (len(body.data), body.problem) == (limit, "expansion_limit")
    assert peak < 5 * len(body.data)


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_bomb_in_a_bomb_is_cut(coding: str) -> None:
    packed = PACK[coding](bomb(coding, 2**28))
    assert expand(packed, (("content-encoding", f"{coding}, {coding}"),)).problem == "expansion_limit"


@pytest.mark.parametrize("coding", PACK)
def test_bomb_is_cut_at_the_limit(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_EXPANDED", 1000)
    body = expand(PACK[coding](BODY * 10), (("content-encoding", coding),))
    assert (body.data, body.problem) == ((BODY * 10)[:1000], "expansion_limit")


@pytest.mark.parametrize("coding", PACK)
def test_body_of_exactly_the_limit_is_whole(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_EXPANDED", len(BODY))
    assert expand(PACK[coding](BODY), (("content-encoding", coding),)) == Body(BODY)


@pytest.mark.parametrize("member", [gzip.compress(b""), zstd.compress(b""), SKIPPABLE])
def test_endless_members_end(member: bytes) -> None:
    coding = "gzip" if member[:1] == b"\x1f" else "zstd"
    assert expand(member * 500, (("content-encoding", coding),)).problem == "expansion_limit"


@pytest.mark.parametrize("coding", PACK)
def test_arrivals_move_to_the_expanded_offsets(coding: str) -> None:
    arrivals, packed = [], b""
    for time, piece in enumerate(flushed(coding, [b"one", b"three", b"five"], end=False)):
        arrivals.append((len(packed), time))
        packed += piece
    assert expand(packed, (("content-encoding", coding),), tuple(arrivals)) == Body(
        b"onethreefive", ((0, 0), (3, 1), (8, 2))
    )


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5), st.sampled_from(list(PACK)))
def test_pieces_do_not_matter(data: bytes, cuts: list[int], coding: str) -> None:
    arrivals = tuple((offset, 0) for offset in [0, *sorted(cuts)])
    assert expand(PACK[coding](data), (("content-encoding", coding),), arrivals).data == data


@pytest.mark.parametrize("coding", PACK)
def test_body_byte_by_byte_is_the_same(coding: str) -> None:
    packed = PACK[coding](BODY)
    arrivals = tuple((offset, offset) for offset in range(len(packed)))
    assert expand(packed, (("content-encoding", coding),), arrivals).data == BODY


@pytest.mark.parametrize("nested", ["[" * 129 + "]" * 129, '{"a":' * 200 + "1" + "}" * 200, "[" * 100_000])
def test_too_deep_is_refused(nested: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(nested.encode())


@pytest.mark.parametrize("value", [[[]] * 400, {str(n): {"a": [n]} for n in range(300)}, "[" * 900])
def test_wide_is_not_deep(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value


def test_the_depth_allowed() -> None:
    assert loads(b"[" * 128 + b" " * 10 + b"]" * 128)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 1, "b": [1, 2, {"c": "x', {"a": 1, "b": [1, 2, {}]}),
        (b'{"a": 1, "b": [1, 2', {"a": 1, "b": [1]}),
        (b'{"a": 1, "b"', {"a": 1}),
        (b'{"a": 1, "b": tru', {"a": 1}),
        (b'{"a": "b, [c]\\", {", "d": "\\', {"a": 'b, [c]", {'}),
        (b'{"a": "\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "caf\xc3', {}),
        (b"{", {}),
        (b"", None),
        (b"<html>", None),
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": 1]', None),
        (b"[" * 5000, None),
    ],
)
def test_salvage(data: bytes, value: object) -> None:
    assert loads_or_salvage(data) == (value, False)


@given(st.recursive(st.none() | st.text() | st.integers(0, 99), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_every_prefix_of_an_array_or_object_is_salvaged(value: object) -> None:
    data = json.dumps({"value": value}, ensure_ascii=False).encode()
    assert loads_or_salvage(data) == ({"value": value}, True)
    for length in range(1, len(data)):
        salvaged, sound = loads_or_salvage(data[:length])
        assert isinstance(salvaged, dict)
        assert not sound


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [NaN, Infinity, -Infinity, 1e400, -1e400, 1]}', {"a": [None, None, None, None, None, 1]}),
        (b'{"a": "\\ud83d!", "\\udc00": 1}', {"a": "\ufffd!", "\ufffd": 1}),
        (b'{"a": "\\ud83d\\ude00 \\\\ud83d \\\\", "b": NaN}', {"a": "\U0001f600 \\ud83d \\", "b": None}),
        (b'{"a": "NaN \\ud83d", "b": 1%s}' % (b"0" * 5000), {"a": "NaN \ufffd", "b": None}),
        (b'{"a": "\\ud83d", "b": 123456789012345678901', {"a": "\ufffd"}),
        (b'{"a": NaN, "b": ' + b"[" * 200 + b"]" * 200 + b"}", None),
        (b'{"a": NaN, "b": ' + b"[" * 100_000, None),
    ],
)
def test_what_other_parsers_take_is_not_lost(data: bytes, value: object) -> None:
    assert loads_or_salvage(data) == (value, False)

"""Content encodings undone within bounds, and JSON with its end missing."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import bodies
from wire.bodies import Body, expand, loads, loads_or_salvage

BODY = b'{"text": "' + b"one two three " * 40 + b'"}'


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
    ],
)
def test_encoding_is_undone(coding: str, packed: bytes) -> None:
    assert expand(packed, (("Content-Encoding", coding),)) == Body(BODY)


def test_repeated_header_is_one_list() -> None:
    headers = (("content-encoding", "deflate"), ("Content-Encoding", "gzip"))
    assert expand(gzip.compress(zlib.compress(BODY)), headers).data == BODY


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip", "\xff"])
def test_other_encodings_are_named(coding: str) -> None:
    assert expand(b"...", (("content-encoding", coding),)) == Body(b"", problem="content_encoding_unsupported")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_wrong_header_is_named(coding: str) -> None:
    assert expand(BODY, (("content-encoding", coding),)).problem == "content_encoding_broken"


def test_broken_piece_leaves_the_pieces_before_it() -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(BODY) + packer.flush(zlib.Z_SYNC_FLUSH)
    body = expand(packed + b"\xff" * 20, (("content-encoding", "gzip"),), ((0, 1), (len(packed), 2)))
    assert body == Body(BODY, ((0, 1), (len(BODY), 2)), "content_encoding_broken")


def test_missing_end_leaves_the_beginning() -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(BODY) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert expand(packed, (("content-encoding", "gzip"),)) == Body(BODY)


def test_bytes_after_the_end_of_deflate_are_ignored() -> None:
    assert expand(zlib.compress(BODY) + BODY, (("content-encoding", "deflate"),), ((0, 1), (9, 2))).data == BODY


def test_bomb_is_cut_at_the_ratio() -> None:
    body = expand(gzip.compress(b"0" * 2**22), (("content-encoding", "gzip"),))
    assert (len(body.data), body.problem) == (bodies.FREE_EXPANSION, "expansion_limit")


def test_bomb_is_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_EXPANDED", 1000)
    body = expand(gzip.compress(BODY * 10), (("content-encoding", "gzip"),))
    assert (body.data, body.problem) == ((BODY * 10)[:1000], "expansion_limit")


def test_body_of_exactly_the_limit_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_EXPANDED", len(BODY))
    assert expand(gzip.compress(BODY), (("content-encoding", "gzip"),)) == Body(BODY)


def test_endless_members_end() -> None:
    assert expand(gzip.compress(b"") * 500, (("content-encoding", "gzip"),)).problem == "expansion_limit"


def test_arrivals_move_to_the_expanded_offsets() -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) for text in (b"one", b"three", b"five")]
    arrivals, packed = [], b""
    for time, piece in enumerate(pieces):
        arrivals.append((len(packed), time))
        packed += piece
    assert expand(packed, (("content-encoding", "gzip"),), tuple(arrivals)) == Body(
        b"onethreefive", ((0, 0), (3, 1), (8, 2))
    )


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5), st.sampled_from(["gzip", "deflate"]))
def test_pieces_do_not_matter(data: bytes, cuts: list[int], coding: str) -> None:
    packed = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    arrivals = tuple((offset, 0) for offset in [0, *sorted(cuts)])
    assert expand(packed, (("content-encoding", coding),), arrivals).data == data


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
        (b'{"a": NaN}', None),
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

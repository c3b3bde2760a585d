"""Amazon's event stream, whole, cut anywhere and with any bit flipped."""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.event_stream import event, failure, header, message
from wire.aws_event_stream import MAX_HEADERS, MAX_MESSAGE, json_events, messages_of
from wire.shapes import Shapes

STREAM = (
    event("messageStart", {"role": "assistant", "p": "abc"})
    + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello Æ"}, "p": "abcdef"})
    + event("contentBlockStop", {"contentBlockIndex": 0})
    + event("messageStop", {"stopReason": "end_turn"})
)
# What botocore's EventStreamBuffer (1.44.5) reads as {":event-type": "chunk", "n": 5} with this payload, and the
# message without headers and payload, whose checksums every implementation must come to.
KNOWN = bytes.fromhex(
    "000000320000001b34a6fd630b3a6576656e742d747970650700056368756e6b016e04000000057b2261223a317d4846f1a3"
)
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")


def read(data: bytes) -> tuple[list[tuple[int, Any]], str | None]:
    shapes = Shapes()
    return [(offset, json.loads(said)) for offset, said in json_events(data, shapes)], shapes.problem


def broken(length: int, headers_length: int, rest: bytes = b"") -> bytes:
    """A prelude that is sound and says this."""
    prelude = struct.pack("!II", length, headers_length)
    return prelude + struct.pack("!I", zlib.crc32(prelude)) + rest


def test_events_come_with_their_type_and_place() -> None:
    events, problem = read(STREAM)
    assert problem is None
    assert [next(iter(said)) for _, said in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
    ]
    assert events[1][1]["contentBlockDelta"]["delta"] == {"text": "Hello Æ"}
    assert all(STREAM[offset : offset + 3] == b"\0\0\0" for offset, _ in events)


def test_nothing_is_no_event() -> None:
    assert read(b"") == ([], None)


def test_every_cut_gives_the_messages_before_it() -> None:
    whole, _ = read(STREAM)
    starts = {offset for offset, _ in whole} | {len(STREAM)}
    for length in range(len(STREAM)):
        events, problem = read(STREAM[:length])
        assert events == [one for one, after in zip(whole, sorted(starts)[1:], strict=True) if after <= length]
        assert problem == (None if length in starts else "event_cut")


def test_every_flipped_bit_is_noticed_and_ends_the_reading() -> None:
    whole, _ = read(STREAM)
    for bit in range(8 * len(STREAM)):
        flipped = bytearray(STREAM)
        flipped[bit // 8] ^= 1 << bit % 8
        events, problem = read(bytes(flipped))
        assert problem == "event_broken"
        assert events == [one for one in whole if one[0] + length_at(one[0]) <= bit // 8]


def length_at(offset: int) -> int:
    return int.from_bytes(STREAM[offset : offset + 4], "big")


SOME_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678").bytes
HEADERS: list[tuple[int, Any, Any]] = [
    (0, None, True),
    (1, None, False),
    (2, -5, -5),
    (3, -300, -300),
    (4, 70_000, 70_000),
    (5, -(2**40), -(2**40)),
    (6, b"\x00\xff", b"\x00\xff"),
    (7, "Æ", "Æ"),
    (8, 1_700_000_000_000, 1_700_000_000_000),
    (9, SOME_UUID, SOME_UUID),
]


@pytest.mark.parametrize(("kind", "value", "told"), HEADERS)
def test_header_of_every_type(kind: int, value: Any, told: Any) -> None:
    data = message(header("first", "x") + header("second", value, kind) + header("third", "y"), b"")
    shapes = Shapes()
    (only,) = messages_of(data, shapes)
    assert only.headers == {"first": "x", "second": told, "third": "y"}
    assert (type(only.headers["second"]), shapes.problem) == (type(told), None)


@pytest.mark.parametrize(
    "headers",
    [
        header("name", "value")[:-1],
        header("name", 5, 4)[:-1],
        header("name", "value")[:6],
        header("name", "value")[:3],
        b"\x04name\x0a",
        b"\x04name\xff",
        b"\x02\xff\xff\x00",
        b"\x01n\x07\x00\x01\xff",
    ],
)
def test_headers_that_are_none_are_broken_whatever_the_checksum_says(headers: bytes) -> None:
    assert read(message(headers, b"{}")) == ([], "event_broken")


@pytest.mark.parametrize(
    "data",
    [
        broken(MAX_MESSAGE + 1, 0),
        broken(MAX_HEADERS + 100, MAX_HEADERS + 1),
        broken(15, 0),
        broken(0, 0),
        broken(20, 5),
        b"\xff" * 40,
        b'{"message": "not a stream at all"}',
    ],
)
def test_lengths_beyond_limits_or_reason_are_broken(data: bytes) -> None:
    assert read(STREAM + data)[1] == "event_broken"


def test_largest_message_that_is_allowed_is_only_cut() -> None:
    assert read(broken(MAX_MESSAGE, MAX_HEADERS)) == ([], "event_cut")


def test_what_the_official_library_reads() -> None:
    (first, second) = messages_of(EMPTY + KNOWN, Shapes())
    assert (first.headers, first.payload, second.offset) == ({}, b"", 16)
    assert (second.headers, second.payload) == ({":event-type": "chunk", "n": 5}, b'{"a":1}')


def test_exception_and_error_are_errors() -> None:
    by_header = header(":message-type", "error") + header(":error-code", "InternalError")
    told = message(by_header + header(":error-message", "Try again"), b"")
    assert read(failure("throttlingException", "Too many") + told)[0] == [
        (0, {"error": {"type": "throttlingException", "message": "Too many"}}),
        (len(failure("throttlingException", "Too many")), {"error": {"type": "InternalError", "message": "Try again"}}),
    ]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b'{"Message":"No"}', {"type": "x", "message": "No"}),
        (b"plain words", {"type": "x", "message": "plain words"}),
        (b"[]", {"type": "x"}),
        (b"", {"type": "x"}),
        (b'{"message":5}', {"type": "x"}),
    ],
)
def test_what_an_exception_tells(payload: bytes, told: Any) -> None:
    headers = header(":message-type", "exception") + header(":exception-type", "x")
    assert read(message(headers, payload))[0] == [(0, {"error": told})]


def test_nameless_error_is_still_one() -> None:
    assert read(message(header(":message-type", "error"), b""))[0] == [(0, {"error": {"type": "_OTHER"}})]


def test_event_without_payload_or_type() -> None:
    assert read(message(header(":event-type", "ping"), b"") + EMPTY)[0][0] == (0, {"ping": {}})
    assert read(EMPTY)[0] == [(0, {"": {}})]


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_never_raise(data: bytes) -> None:
    assert read(data)[0] == []


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(max_examples=300)
def test_any_sound_message_never_raises(headers: bytes, payload: bytes) -> None:
    for _, said in json_events(message(headers, payload), Shapes()):
        assert said.startswith(b"{")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
VALUES = st.one_of(
    st.tuples(st.integers(-128, 127), st.just(2)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from([5, 8])),
    st.tuples(st.binary(max_size=30), st.just(6)),
    st.tuples(st.text(st.characters(codec="utf-8"), max_size=30), st.just(7)),
)


@given(st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=50)), max_size=4))
@settings(max_examples=200)
def test_what_was_written_is_read(written: list[tuple[dict[str, tuple[Any, int]], bytes]]) -> None:
    data = b"".join(message(b"".join(header(n, *v) for n, v in headers.items()), body) for headers, body in written)
    shapes = Shapes()
    told = [(one.headers, one.payload) for one in messages_of(data, shapes)]
    assert told == [({name: value for name, (value, _) in headers.items()}, body) for headers, body in written]
    assert shapes.problem is None


@given(st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_payloads_are_kept_as_they_are(payload: Any) -> None:
    (said,) = json_events(event("x", payload), Shapes())
    assert orjson.loads(said[1]) == {"x": payload}

"""The ways of streaming: told apart, in every cut, at any size."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Headers
from tests.support.event_stream import event, message
from tests.wire.cases import STREAMS, read_case
from tests.wire.cases import streaming_of as written_as
from wire.shapes import Shapes
from wire.streams import (
    BOM,
    MAX_PIECES,
    READERS,
    Piece,
    Streaming,
    is_lines,
    read_amazon,
    read_array,
    read_events,
    read_lines,
    streaming_of,
    times_at,
)

ELEMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('"\\[]{},: aé\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\]},a', max_size=3), inner, max_size=3),
    max_leaves=8,
)
SPACE = st.text(" \t\r\n", max_size=3).map(str.encode)


def typed(content_type: str) -> Headers:
    return (("Content-Type", content_type),)


def pieces(streaming: Streaming, data: bytes) -> list[Piece]:
    return list(READERS[streaming](data, Shapes()))


def seconds(streaming: Streaming, data: bytes) -> float:
    began = time.perf_counter()
    for _ in READERS[streaming](data, Shapes()):
        pass
    return time.perf_counter() - began


# How a body is streamed


@pytest.mark.parametrize(
    ("data", "content_type", "own", "streaming"),
    [
        (b"data: {}", "text/event-stream", "events", "events"),
        (b"data: {}", "application/json", "events", "events"),
        (b": hello\n\n", "", "events", "events"),
        (b"event: ping\ndata: {}", "text/plain", "events", "events"),
        (BOM + b"data: {}", "application/json", "events", "events"),
        (b"\r\n\r\ndata: {}", "application/json", "events", "events"),
        (b"", "text/event-stream", "events", "events"),
        (b"<html>", "text/event-stream", "events", "events"),
        (b'{"error": 1}', "text/event-stream", "events", None),
        (b'{"a": 1}', "application/json", "events", None),
        (b'{"a": 1}\n{"a": 2}', "application/json", "events", None),
        (b'{"a": 1}\n{"a": 2}', "application/x-ndjson", "events", "lines"),
        (b'{"a": 1}\n{"a": 2}', "Application/JSONL; charset=utf-8", "events", "lines"),
        (b'{"a": 1}', "application/json", "lines", "lines"),
        (BOM + b' \n{"a": 1}', "application/json", "lines", "lines"),
        (b"data: {}", "application/json", "lines", "events"),
        (b"[{}]", "application/json", "events", None),
        (b"[{}]", "text/event-stream", "events", None),
        (b" \n[{}]", "application/json", "array", "array"),
        (b"data: {}", "text/event-stream", "array", "events"),
        (b'{"error": 1}', "application/json", "array", None),
        (b"\0\0\0", "application/vnd.amazon.eventstream", "events", "amazon"),
        (b"data: sound that begins so", "audio/mpeg", "events", None),
        (b"data:", "IMAGE/png", "events", None),
        (b"", "", "events", None),
        (b"<html>", "text/html", "lines", None),
    ],
)
def test_a_body_is_read_as_it_looks_before_what_is_said_of_it(
    data: bytes, content_type: str, own: Streaming, streaming: Streaming | None
) -> None:
    assert streaming_of(data, typed(content_type), own) == streaming


def test_lines_are_told_by_their_content_type_alone() -> None:
    assert is_lines(typed("application/x-ndjson ; charset=utf-8"))
    assert not is_lines(typed("application/json"))
    assert not is_lines(())


# Every reader


@pytest.mark.parametrize("case", STREAMS)
def test_every_piece_is_where_its_offset_says(case: str) -> None:
    body, streaming = read_case(case).response_body, written_as(case)
    read = pieces(streaming, body)
    starts = [piece.offset for piece in read]
    assert starts == sorted(set(starts))
    for piece, end in zip(read, [*starts[1:], len(body)], strict=True):
        if streaming in ("lines", "array"):
            assert body[piece.offset :].startswith(piece.data)
        elif streaming == "events":
            assert b"data:" in body[piece.offset : end]


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_cut_anywhere_gives_the_whole_pieces_before_the_cut(case: str) -> None:
    body, streaming = read_case(case).response_body, written_as(case)
    whole = pieces(streaming, body)
    for length in range(len(body)):
        read = pieces(streaming, body[:length])
        sound = [piece for piece in read if not piece.cut]
        assert sound == [piece._replace(cut=False) for piece in whole[: len(sound)]]
        assert len(read) - len(sound) <= 1
        assert all(piece.cut is (n == len(read) - 1 and len(read) > len(sound)) for n, piece in enumerate(read))


@pytest.mark.parametrize("streaming", ["events", "lines", "array", "amazon"])
@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"[", b"{", b"data:", BOM]))
def test_any_bytes_are_read(streaming: Streaming, data: bytes, start: bytes) -> None:
    for piece in pieces(streaming, start + data):
        assert 0 <= piece.offset < len(start + data)


@pytest.mark.parametrize(
    ("streaming", "unit", "start"),
    [
        ("events", b"data: 1\n\n", b""),
        ("lines", b"1\n", b""),
        ("array", b"1,", b"["),
        ("amazon", message(b"", b"1"), b""),
    ],
)
def test_more_pieces_than_an_answer_has_are_not_read(streaming: Streaming, unit: bytes, start: bytes) -> None:
    shapes = Shapes()
    read = READERS[streaming](start + unit * (MAX_PIECES + 1) + b" ", shapes)
    assert sum(1 for _ in read) == MAX_PIECES
    assert shapes.problem == "too_many_events"


# Lines


@given(values=st.lists(ELEMENTS, max_size=6), ends=st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \r\n\r\n "]))
def test_lines_come_back_whatever_their_ends(values: list[object], ends: bytes) -> None:
    data = b"".join(json.dumps(value).encode() + ends for value in values)
    read = pieces("lines", data)
    assert [orjson.loads(piece.data) for piece in read] == values
    assert not any(piece.cut for piece in read)
    assert all(data[piece.offset :].startswith(piece.data) for piece in read)


def test_a_mark_of_byte_order_is_no_part_of_the_first_line() -> None:
    assert pieces("lines", BOM + b"{}\n") == [Piece(3, b"{}")]


def test_the_last_line_may_be_cut() -> None:
    assert pieces("lines", b'{}\n{"a') == [Piece(0, b"{}"), Piece(3, b'{"a', cut=True)]


# Arrays


@given(values=st.lists(ELEMENTS, max_size=6), space=SPACE, ascii_only=st.booleans())
def test_elements_of_an_array_come_back(values: list[object], space: bytes, ascii_only: bool) -> None:
    encoded = [json.dumps(value, ensure_ascii=ascii_only).encode() for value in values]
    data = space + b"[" + space + (space + b"," + space).join(encoded) + space + b"]" + space
    read = pieces("array", data)
    assert [piece.data for piece in read] == encoded
    assert not any(piece.cut for piece in read)
    assert all(data[piece.offset :].startswith(piece.data) for piece in read)


@given(values=st.lists(ELEMENTS, max_size=4), data=st.data())
def test_an_array_cut_anywhere_gives_what_came(values: list[object], data: st.DataObject) -> None:
    whole = json.dumps(values).encode()
    length = data.draw(st.integers(0, len(whole) - 1))
    read = pieces("array", whole[:length])
    sound = [piece for piece in read if not piece.cut]
    assert [orjson.loads(piece.data) for piece in sound] == values[: len(sound)]
    assert [piece for piece in read if piece.cut] == read[len(sound) :]
    assert len(read) <= len(sound) + 1


def test_brackets_and_quotes_in_texts_end_nothing() -> None:
    first, second = rb'{"a": "]},{\"[\\"}', rb'["\\\"", {"b]": {}}]'
    data = BOM + b"\r\n[" + first + b"\r\n,\r\n" + second + b"]\r\n"
    assert pieces("array", data) == [Piece(6, first), Piece(6 + len(first) + 5, second)]


def test_what_follows_an_array_is_none_of_it() -> None:
    assert [piece.data for piece in pieces("array", b"[1] [2]")] == [b"1"]


def test_an_array_deeper_than_any_parser_goes_is_one_broken_piece() -> None:
    assert [piece.cut for piece in pieces("array", b"[{}," + b"[" * 100_000)] == [False, True]


# Events and messages


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_whatever_their_line_ends(end: bytes) -> None:
    data = end.join([BOM + b"event: a", b"data: 1", b"data: 2", b"", b": comment", b"", b"data: 3"])
    first, last = read_events(data, Shapes())
    assert (first.offset, first.data, first.cut, first.type) == (3, b"1\n2", False, "a")
    assert (last.data, last.cut, last.type) == (b"3", True, "message")
    assert data[last.offset :] == b"data: 3"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_events_are_the_same_wherever_the_reading_pauses(end: bytes) -> None:
    data = b"".join(b"data: " + b"x" * (size % 977) + end for size in range(2500))
    read = list(read_events(data, Shapes()))
    assert [len(piece.data) for piece in read] == [size % 977 for size in range(2500)]
    steps = [following.offset - piece.offset for piece, following in pairwise(read)]
    assert steps == [len(piece.data) + 6 + len(end) for piece in read[:-1]]


def test_messages_are_events_by_their_type() -> None:
    chunk = event("chunk", {"a": 1})
    assert list(read_amazon(chunk * 2, Shapes())) == [
        Piece(0, b'{"chunk":{"a":1}}'),
        Piece(len(chunk), b'{"chunk":{"a":1}}'),
    ]


# Times


def test_a_piece_came_when_the_bytes_it_begins_with_did() -> None:
    arrivals = ((0, 5), (10, 6), (20, 7))
    assert times_at([0, 9, 10, 19, 25], arrivals) == (5, 5, 6, 6, 7)
    assert times_at([0, 1], ((5, 9),)) == (9, 9)
    assert times_at([3], ()) == ()
    assert times_at([], arrivals) == ()


# Sizes

ELEMENT = b'{"candidates":[{"content":{"parts":[{"text":"a ]}\\"[{ text of some words"}]}}]}'


@pytest.mark.parametrize(
    ("streaming", "data"),
    [
        ("array", b"[" + ELEMENT + (b",\r\n" + ELEMENT) * 50_000 + b"]"),
        ("array", b"[" + (ELEMENT + b",") * 50_000),
        ("array", b'["' + b"[{" * 2_500_000),
        ("array", b'["' + b'\\"' * 2_500_000 + b'"]'),
        ("array", b"[" + b"[" * 5_000_000),
        ("array", b"[" + b" " * 5_000_000),
        ("lines", (ELEMENT + b"\n") * 50_000),
        ("lines", b"{" + b" " * 5_000_000),
        ("lines", b"\n" * 5_000_000),
        ("lines", b"{" + b"\r" * 5_000_000),
        ("events", b"data: " + b"a" * 5_000_000),
        ("events", b"data: a\n" * 600_000),
        ("events", b"data: a\r" * 600_000),
        ("events", b"\n" * 5_000_000),
        ("events", (b"data: " + ELEMENT + b"\n\n") * 50_000),
        ("amazon", event("chunk", {"bytes": "e30="}) * 30_000),
        ("amazon", b"\0" * 5_000_000),
    ],
    ids=range(17),
)
def test_five_megabytes_take_no_longer_than_they_must(streaming: Streaming, data: bytes) -> None:
    assert seconds(streaming, data) < 5  # what is quadratic takes minutes


def test_lines_and_arrays_are_read_by_the_readers_of_their_names() -> None:
    assert [piece.data for piece in read_lines(b"1\n2\n", Shapes())] == [b"1", b"2"]
    assert [piece.data for piece in read_array(b"[1,2]", Shapes())] == [b"1", b"2"]

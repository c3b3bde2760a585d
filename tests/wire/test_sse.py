"""Server-sent events by the WHATWG rules, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.sse import Event, SseParser

LINE_ENDS = [b"\n", b"\r", b"\r\n"]
LINES = [
    b"data: a",
    b"data:b",
    b"data",
    b"event: e",
    b"id: 1",
    b"retry: 9",
    b":c",
    b"odd: x",
    b"",
    b"",
    b"data: \xf0\x9f",
]


def data_of(stream: bytes) -> list[bytes]:
    return [event.data for event in SseParser().feed(stream)]


def in_pieces(stream: bytes, cuts: list[int]) -> tuple[list[Event], Event | None]:
    parser = SseParser()
    bounds = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(bounds)]
    return [event for piece in pieces for event in parser.feed(piece)], parser.leftover()


def by_the_book(stream: bytes) -> list[tuple[bytes, str, str]]:
    """The standard's own algorithm, line after line, slow and plain."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, data, kind, last_id = [], b"", b"", b""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append((data[:-1], kind.decode() or "message", last_id.decode()))
            data, kind = b"", b""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data += value + b"\n"
        elif name == b"event":
            kind = value
        elif name == b"id" and b"\0" not in value:
            last_id = value
    return events


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\r\rdata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b": comment\n\n:\n\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"Data: a\n\n data: b\n\nfoo\n\n", []),
        (b"data: a\n", []),
        (b"", []),
    ],
)
def test_data(stream: bytes, data: list[bytes]) -> None:
    assert data_of(stream) == data


def test_event_type_and_id_are_kept_with_the_event() -> None:
    stream = b"event: delta\nid: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"
    assert [(event.type, event.id) for event in SseParser().feed(stream)] == [
        ("delta", "7"),
        ("message", "7"),
        ("message", ""),
    ]


def test_id_with_nul_is_ignored() -> None:
    assert SseParser().feed(b"id: 1\nid: 2\0\ndata: a\n\n")[0].id == "1"


@pytest.mark.parametrize(
    ("value", "retry"), [(b"250", 250), (b"2s", None), (b"", None), (b"-1", None), (b"9" * 5000, None)]
)
def test_retry_is_digits_alone(value: bytes, retry: int | None) -> None:
    parser = SseParser()
    parser.feed(b"retry: " + value + b"\n\n")
    assert parser.retry == retry


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_offset_is_where_the_first_field_began(line_end: bytes) -> None:
    blocks = [b"data: a", b": wait" + line_end + b"event: e" + line_end + b"data: b", b"", b"data: c"]
    stream = (2 * line_end).join(blocks) + 2 * line_end
    offsets = [event.offset for event in SseParser().feed(stream)]
    assert offsets == [stream.index(b"data: a"), stream.index(b"event: e"), stream.index(b"data: c")]


def test_offset_after_a_byte_order_mark() -> None:
    assert SseParser().feed(b"\xef\xbb\xbfdata: a\n\n")[0].offset == 3


def test_event_is_given_as_soon_as_its_blank_line_may_have_ended() -> None:
    parser = SseParser()
    assert [event.data for event in parser.feed(b"data: a\r\n\r")] == [b"a"]
    assert parser.feed(b"") == []
    assert [(event.data, event.offset) for event in parser.feed(b"\ndata: b\n\n")] == [(b"b", 11)]


def test_leftover_is_the_event_the_stream_ended_in() -> None:
    parser = SseParser()
    parser.feed(b"data: a\n\nevent: e\ndata: [DO")
    assert parser.leftover() == Event(9, b"[DO", "e", "")


@pytest.mark.parametrize("stream", [b"", b"data: a\n\n", b"data: a\r\n\r", b"data: a\n\n: bye"])
def test_nothing_is_left_over_after_whole_events(stream: bytes) -> None:
    parser = SseParser()
    parser.feed(stream)
    assert parser.leftover() is None


def test_large_event_in_small_pieces_is_linear() -> None:
    parser = SseParser()
    assert not any(parser.feed(b"x" * 64 if n else b"data: ") for n in range(20_000))
    assert len(parser.feed(b"\n\n")[0].data) == 19_999 * 64


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(LINE_ENDS)), max_size=12), st.data())
def test_pieces_do_not_matter(lines: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(line + end for line, end in lines)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    events, leftover = in_pieces(stream, cuts)
    assert (events, leftover) == in_pieces(stream, [])
    assert (events, leftover) == in_pieces(stream, list(range(len(stream))))
    assert [(event.data, event.type, event.id) for event in events] == by_the_book(stream)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_any_bytes_in_any_pieces(stream: bytes, cuts: list[int]) -> None:
    whole = in_pieces(stream, [])
    assert in_pieces(stream, [cut for cut in cuts if cut < len(stream)]) == whole
    assert all(0 <= event.offset < len(stream) for event in whole[0])

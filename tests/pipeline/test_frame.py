"""A frame's way to the other side: everything comes back, bodies without their framing, arrivals at the right bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.frame import Frame, Place, decode, encode, read_lines, tail_of, unchunk, without_secret_query

BEGAN = 5_000_000
STARTED_AT = 1_700_000_000_000_000_000
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def a_frame(**changes: Any) -> Frame:
    """One plain exchange, unless told otherwise."""
    frame = Frame(
        started_at=STARTED_AT,
        began=BEGAN,
        sent_at=BEGAN + 10,
        first_byte_at=BEGAN + 20,
        ended_at=BEGAN + 30,
        trace_id=b"4bf92f3577b34da6a3ce929d0e0e4736",
        server_span_id=b"b7ad6b7169203331",
        client_span_id=b"00f067aa0ba902b7",
        parent_span_id=b"0102030405060708",
        flags=3,
        tracestate=b"v=1",
        place=Place("up", "/v1", "https", "up.test", 443, "openai"),
        client_address="127.0.0.1",
        client_port=54321,
        request_head=b"POST /v1/x?a=b HTTP/1.1\r\nHost: a.test\r\nX-A:  1 \r\nx-a:2\r\n\r\n",
        response_head=b"HTTP/1.1 201 Made It\r\nContent-Length: 6\r\n\r\n",
        request_body=[b"ques", b"tion"],
        response_body=[b"ans", b"wer"],
        request_size=8,
        response_size=6,
        request_cut=False,
        response_cut=False,
        marks=[0, BEGAN + 21, 3, BEGAN + 25],
        error_type=None,
    )
    return msgspec.structs.replace(frame, **changes)


def there(**changes: Any) -> Any:
    """The frame's capture on the other side."""
    return decode(encode(a_frame(**changes)))


# -- the way there ----------------------------------------------------------------------------------------------------


def test_everything_known_arrives() -> None:
    capture = there()
    assert (capture.upstream, capture.route, capture.provider, capture.scheme) == ("up", "/v1", "openai", "https")
    assert (capture.method, capture.target, capture.http_version, capture.status) == ("POST", "/v1/x?a=b", "1.1", 201)
    assert (capture.server_address, capture.server_port) == ("up.test", 443)
    assert (capture.client_address, capture.client_port) == ("127.0.0.1", 54321)
    assert capture.request_headers == (("Host", "a.test"), ("X-A", "1"), ("x-a", "2"))
    assert capture.response_headers == (("Content-Length", "6"),)
    assert (capture.request_body, capture.response_body) == (b"question", b"answer")
    assert (capture.request_size, capture.response_size) == (8, 6)
    assert (capture.started_at, capture.error_type) == (STARTED_AT, None)


def test_times_become_nanoseconds_after_the_start() -> None:
    capture = there()
    assert (capture.sent_at, capture.first_byte_at, capture.ended_at) == (10, 20, 30)
    assert capture.arrivals == ((0, 21), (3, 25))


def test_ids_become_lower_case_hex_of_their_whole_width() -> None:
    trace = there().trace
    assert (trace.trace_id, trace.server_span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "b7ad6b7169203331")
    assert (trace.client_span_id, trace.parent_span_id) == ("00f067aa0ba902b7", "0102030405060708")
    assert (trace.sampled, trace.tracestate) == (True, "v=1")


def test_what_never_was_is_none() -> None:
    capture = there(
        sent_at=0, first_byte_at=0, response_head=b"", parent_span_id=b"", flags=2, tracestate=b"", marks=[]
    )
    assert (capture.sent_at, capture.first_byte_at, capture.status, capture.response_headers) == (None, None, None, ())
    assert (capture.trace.parent_span_id, capture.trace.sampled, capture.trace.tracestate) == (None, False, None)
    assert capture.arrivals == ()


@given(st.lists(st.binary(max_size=20), max_size=5), st.lists(st.binary(max_size=20), max_size=5), st.text(max_size=9))
def test_bodies_and_words_survive_the_way(request: list[bytes], response: list[bytes], word: str) -> None:
    capture = there(
        request_body=request, response_body=response, error_type=word, place=Place(word, "/", "http", word, 80, None)
    )
    assert (capture.request_body, capture.response_body) == (b"".join(request), b"".join(response))
    assert (capture.error_type, capture.upstream, capture.provider) == (word, word, None)


def test_a_frame_read_from_a_borrowed_view_is_the_same() -> None:
    data = encode(a_frame())
    assert decode(memoryview(data)) == decode(data)


NO_FRAMES = [b"", b"\xc0", b"\x93\1\2\3", b"junk", encode(a_frame())[:-1], encode(a_frame()) + b"x"]


@pytest.mark.parametrize("data", NO_FRAMES)
def test_bytes_that_are_no_frame_are_a_decode_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)


@pytest.mark.parametrize("start", [b"GET", b"GET /", b"", b"GET  HTTP/1.1"])
def test_even_an_odd_first_line_is_read(start: bytes) -> None:
    assert there(request_head=start + b"\r\n\r\n").method == start[:3].decode()


def test_header_lines_keep_order_case_duplicates_and_bytes_beyond_ascii() -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-A: 1\r\nset-a:\t2\t\r\nEmpty:\r\nB: \xe9:x\r\n\r\n"
    fields = (("Set-A", "1"), ("set-a", "2"), ("Empty", ""), ("B", "é:x"))
    assert read_lines(head) == ("HTTP/1.1 200 OK", fields)
    assert read_lines(b"") == ("", ())


def test_the_size_is_the_bodys_own_unless_the_copy_was_cut() -> None:
    body = [b"5\r\nhello\r\n0\r\n\r\n"]
    whole = there(response_head=CHUNKED_HEAD, response_body=body, response_size=15)
    cut = there(response_head=CHUNKED_HEAD, response_body=[body[0][:6]], response_size=15, response_cut=True)
    assert (whole.response_body, whole.response_size, whole.response_cut) == (b"hello", 5, False)
    assert (cut.response_body, cut.response_size, cut.response_cut) == (b"hel", 15, True)


def test_a_chunked_request_body_loses_its_framing_too() -> None:
    head = b"POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n"
    assert there(request_head=head, request_body=[b"5\r\nhe", b"llo\r\n0\r\n\r\n"]).request_body == b"hello"


def test_what_only_looks_like_chunks_is_left_alone() -> None:
    assert there(response_body=[b"5\r\nhello\r\n0\r\n\r\n"]).response_body == b"5\r\nhello\r\n0\r\n\r\n"


# -- the id -----------------------------------------------------------------------------------------------------------

TIMES = st.integers(0, 2**63 - 1)
SPANS = st.integers(1, 2**64 - 1)


@given(TIMES, SPANS, TIMES, SPANS)
def test_ids_sort_by_time_and_differ_by_span(one_at: int, one: int, other_at: int, other: int) -> None:
    first = there(started_at=one_at, client_span_id=b"%016x" % one).id
    second = there(started_at=other_at, client_span_id=b"%016x" % other).id
    assert len(first) == len(second) == 32
    assert int(first, 16) >= 0
    assert (first < second) == ((one_at, one) < (other_at, other))
    assert (first == second) == ((one_at, one) == (other_at, other))


# -- chunks and arrivals ----------------------------------------------------------------------------------------------

CHUNKS = st.lists(st.binary(min_size=1, max_size=12) | st.sampled_from([b"\r\n", b"0\r\n\r\n"]), max_size=5)


def encoded(chunks: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    lines = [b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks]
    return b"".join([*lines, b"0", extension, b"\r\n", trailer, b"\r\n"])


def payload_places(chunks: list[bytes], extension: bytes) -> Iterator[int]:
    """Where in the encoded body each payload byte stands."""
    at = 0
    for chunk in chunks:
        at += len(b"%x%s\r\n" % (len(chunk), extension))
        yield from range(at, at + len(chunk))
        at += len(chunk) + 2


def arrival_of(place: int, arrivals: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> int | None:
    """When the byte at this offset came, by the last arrival at or before it."""
    return next((time for offset, time in reversed(arrivals) if offset <= place), None)


EXTENSIONS = st.sampled_from([b"", b";a=b", b" ;x"])


@given(CHUNKS, EXTENSIONS, st.sampled_from([b"", b"X: 1\r\n"]), st.lists(st.integers(0, 100), max_size=8))
@example([b"hello", b"world"], b"", b"", [0, 8, 9, 10, 13])
def test_every_payload_byte_keeps_the_time_it_came_wherever_the_copy_is_cut(
    chunks: list[bytes], extension: bytes, trailer: bytes, reads: list[int]
) -> None:
    raw, payload = encoded(chunks, extension, trailer), b"".join(chunks)
    arrivals = [(offset, 100 + index) for index, offset in enumerate(sorted({0, *reads})) if offset <= len(raw)]
    places = list(payload_places(chunks, extension))
    for cut in range(len(raw) + 1):
        body, moved = unchunk(raw[:cut], [(min(offset, cut), time) for offset, time in arrivals])
        kept = [place for place in places if place < cut]
        assert body == payload[: len(kept)]
        assert [arrival_of(index, moved) for index in range(len(body))] == [arrival_of(at, arrivals) for at in kept]
        assert all(0 <= offset <= len(body) for offset, _ in moved)
        assert list(moved) == sorted(moved)


def test_an_arrival_inside_the_framing_is_the_next_payload_bytes() -> None:
    raw = b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
    for offset, expected in [(0, 0), (2, 0), (3, 0), (4, 1), (7, 4), (8, 5), (9, 5), (12, 5), (13, 5), (14, 6)]:
        assert unchunk(raw, [(offset, 7)]) == (b"helloworld", ((expected, 7),))


def test_the_arrival_of_the_last_chunk_alone_is_the_end_of_the_body() -> None:
    assert unchunk(b"5\r\nhello\r\n0\r\n\r\n", [(0, 1), (10, 2)]) == (b"hello", ((0, 1), (5, 2)))


def test_an_empty_body_has_no_chunks() -> None:
    assert unchunk(b"", []) == unchunk(b"0\r\n\r\n", []) == (b"", ())


MALFORMED_SIZES = [b"zz", b"5g", b"0x", b"\xff", b"5 5", b"-", b"+", b"1_", b"--5", b" ", b"\0"]
INTEGERS_BUT_NO_SIZES = [b"-6", b"+5", b"0x5", b"0_5", b" 5"]  # what int() takes, and a chunk size is not


@pytest.mark.timeout(2)
@pytest.mark.parametrize("size", MALFORMED_SIZES + INTEGERS_BUT_NO_SIZES)
def test_a_malformed_chunk_size_ends_the_body_and_raises_nothing(size: bytes) -> None:
    for before in (b"", b"5\r\nhello\r\n"):
        body, _ = unchunk(before + size + b"\r\nworld\r\n0\r\n\r\n", [(0, 1)])
        assert body == before[3:8]


@pytest.mark.parametrize("status", [b"", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_an_answer_without_a_body_has_none_whatever_its_head_says(status: bytes) -> None:
    assert there(response_head=status, response_body=[], marks=[]).response_body == b""


# -- secrets in the query ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/x?key=canary", "/v1/x?key=REDACTED"),
        ("/v1/x?a=b&KEY=canary&c=d", "/v1/x?a=b&KEY=REDACTED&c=d"),
        ("/x?api_key=canary&api-key=canary&apikey=canary", "/x?api_key=REDACTED&api-key=REDACTED&apikey=REDACTED"),
        ("/x?X-Amz-Signature=canary&X-Amz-Date=1", "/x?X-Amz-Signature=REDACTED&X-Amz-Date=1"),
        ("/x?access_token=canary?&sig=canary", "/x?access_token=REDACTED&sig=REDACTED"),
        ("/x?AWSAccessKeyId=canary&Signature=canary%3D", "/x?AWSAccessKeyId=REDACTED&Signature=REDACTED"),
        ("/x?key=canary&key=canary=canary", "/x?key=REDACTED&key=REDACTED"),
        ("/x?key=", "/x?key=REDACTED"),
        ("http://a.test/x?token=canary", "http://a.test/x?token=REDACTED"),
    ],
)
def test_secret_query_values_are_replaced_and_nothing_else(target: str, expected: str) -> None:
    assert without_secret_query(target) == expected
    assert there(request_head=f"GET {target} HTTP/1.1\r\n\r\n".encode()).target == expected


@pytest.mark.parametrize("target", ["/x", "/x?", "/key=1", "/x?monkey=1&keys=2&a=key=3", "/x?a=%26key%3D1", "/key=1?"])
def test_other_targets_are_left_alone(target: str) -> None:
    assert without_secret_query(target) == target


@given(st.text("abk=&?ey", max_size=30), st.text("xyz9=?", min_size=1, max_size=10))
def test_a_secret_never_stays_whatever_stands_around_it(around: str, rest: str) -> None:
    secret = "CANARY" + rest
    assert "CANARY" not in without_secret_query(f"/x?{around}&api_key={secret}&{around}")
    assert "CANARY" not in without_secret_query(f"/x?key={secret}")


def test_parts_of_a_spliced_connection_have_ids_of_their_own_and_both_sides_times() -> None:
    parts = [there(part=n, last=n == 2, request_marks=[0, BEGAN + 5, 4, BEGAN + 9]) for n in range(3)]
    assert [(each.part, each.last) for each in parts] == [(0, False), (1, False), (2, True)]
    assert len({each.id for each in parts}) == 3
    assert {each.trace.client_span_id for each in parts} == {"00f067aa0ba902b7"}
    assert parts[0].request_arrivals == ((0, 5), (4, 9))
    assert len(there(client_span_id=b"f" * 16, part=1).id) == 32


def test_a_credentials_hash_arrives_where_there_is_one() -> None:
    assert (there(credential="0123").credential, there().credential) == ("0123", None)


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)


def is_chunked(data: bytes) -> bool:
    """Is this, from its first byte to its last, a sequence of chunks and the end of a body?"""
    while size_line := re.match(rb"([0-9a-fA-F]{1,8})\r\n", data):
        size, rest = int(size_line[1], 16), data[size_line.end() :]
        if not size or rest[size : size + 2] != b"\r\n":
            return not size and rest == b"\r\n"
        data = rest[size + 2 :]
    return False


def test_an_end_that_can_be_read_in_two_ways_is_read_in_the_longer() -> None:
    """A chunk of `a`, cut off in its size line, may as well be the size of ten bytes that are chunks themselves."""
    tail = b"\r\na\r\n1\r\n0\r\n1\r\n0\r\n0\r\n\r\n"
    capture = there(response_head=CHUNKED_HEAD, response_body=[], response_cut=True, response_tail=[tail])
    assert capture.response_tail == b"1\r\n0\r\n1\r\n0"


@given(CHUNKS, st.integers(0, 400))
@example([b"0", b"ab"], 3)
@example([b"x\r\n1\r\n", b"ab"], 4)
def test_the_end_of_a_chunked_body_is_joined_wherever_it_begins(chunks: list[bytes], start: int) -> None:
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    raw = b"".join(framed) + b"0\r\n\r\n"
    start = min(start, len(raw) - 5)
    tail, begins = raw[start:], [len(b"".join(framed[:n])) for n in range(len(framed))]
    first = min((at for at in begins if at >= start), default=len(raw) - 5) - start
    assume(
        not any(is_chunked(tail[at:]) for at in range(first))
    )  # then it can be read in two ways, and no one can tell
    capture = there(response_head=CHUNKED_HEAD, response_body=[], response_cut=True, response_tail=[tail[:3], tail[3:]])
    # Whatever comes before, the chunks that are there from their beginning are joined.
    assert capture.response_tail.endswith(b"".join(c for c, at in zip(chunks, begins, strict=True) if at >= start))
    if start == 0:
        assert capture.response_tail == b"".join(chunks)


def test_the_end_of_a_body_without_framing_is_as_it_came() -> None:
    assert there(response_tail=[b"ab", b"c"]).response_tail == b"abc"


def test_an_end_that_is_no_end_of_chunks_says_nothing() -> None:
    assert there(response_head=CHUNKED_HEAD, response_tail=[b"abc\r\n5\r\nab"]).response_tail == b""


@pytest.mark.parametrize("name", ["%6bey", "api%5Fkey", "api%2Dkey", "%74oken", "x-goog-%73ignature"])
def test_a_secret_name_in_the_query_may_be_percent_encoded(name: str) -> None:
    assert without_secret_query(f"/x?a=1&{name}=canary&b=2") == f"/x?a=1&{name}=REDACTED&b=2"


@pytest.mark.parametrize("query", ["token" * 13_000, "a-" * 32_000, "&" * 65_000, "=" * 65_000, "%74" * 20_000])
def test_a_long_query_takes_no_time(query: str) -> None:
    began = perf_counter()
    without_secret_query(f"/x?{query}")
    assert perf_counter() - began < 0.25


@pytest.mark.parametrize("text", [b"\r\n1\r\nA", b"\r\n0;:", b"\r\n1;", b"\r\n0000001\r\nA"])
def test_a_tail_of_what_looks_like_chunks_takes_no_time(text: bytes) -> None:
    began = perf_counter()
    assert tail_of([text * (32_768 // len(text))], (("Transfer-Encoding", "chunked"),)) == b""
    assert perf_counter() - began < 0.25

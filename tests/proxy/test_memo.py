"""What is recalled is what reading the head anew would have given; anything new is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.settings import Upstream
from proxy.framing import NO_BODY, Chunked, Counted, Framing
from proxy.heads import BadHead, RequestHead, ResponseHead, read_request_head, read_response_head
from proxy.memo import (
    LONGEST,
    MOST_SEEN,
    MOST_SHAPES,
    SEEN_OFTEN,
    HeadShape,
    HeadShapes,
    Recalled,
    Remembered,
    remember,
)
from proxy.rewrite import trace_of, upstream_head
from proxy.routing import Match, Origin
from proxy.trace_context import Trace

LINES = [
    b"Host: a.test",
    b"Authorization: Bearer x",
    b"Connection: keep-alive, x-hop",
    b"X-Hop: 1",
    b"x-a:2",
    b"X-A: 3",
]
PARENTS = (
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
)
LENGTHS = st.sampled_from([b"0", b"1", b"007", b"42", b"1000", b"123456789012345678"])


def raw_head(length: bytes, lines: list[bytes], spelling: bytes = b"Content-Length: ") -> bytes:
    return b"\r\n".join([b"POST /v1/x?n=42 HTTP/1.1", *lines, spelling + length, b"", b""])


def a_match(**changes: Any) -> Match:
    return Match("/v1", True, Origin("up", Upstream.model_validate({"url": "http://up.test/base"} | changes)))


def remembered(raw: bytes, match: Match) -> Remembered | None:
    head = read_request_head(raw, 100)
    trace = trace_of(head.trace_fields)
    return remember(head, match, upstream_head(head, match, trace), trace)


def told(head: RequestHead, framing: Framing) -> list[Any]:
    """Everything a head says but its length, its trace and its bytes; and how its body is framed."""
    size = framing.remaining if isinstance(framing, Counted) else framing
    holes = (head.length_name, *(name for name, _ in head.trace_fields if name.lower() == b"traceparent"))
    fields = [[field for field in each if field[0] not in holes] for each in (head.fields, head.trace_fields)]
    names = set(RequestHead.__slots__) - {"framing", "fields", "trace_fields", "raw"}
    return [size, fields, *(getattr(head, name) for name in sorted(names))]


def continued(trace: Trace) -> tuple[Any, ...]:
    """What a trace has from its caller."""
    return (trace.trace_id if trace.parent_span_id else None, trace.parent_span_id, trace.flags, trace.tracestate)


def check_recalled(raw: bytes, recalled: Recalled, match: Match) -> None:
    """Is it what reading gives?"""
    head, framing, trace, sent = recalled
    read = read_request_head(raw, 100)
    zero = framing is NO_BODY and isinstance(read.framing, Counted)  # 00 and 0 say the same length in two ways
    assert told(head, framing)[1:] == told(read, read.framing)[1:]
    assert zero or told(head, framing)[0] == told(read, read.framing)[0]
    assert framing.done is read.framing.done
    assert continued(trace) == continued(trace_of(read.trace_fields))
    assert sent == upstream_head(read, match, trace)


@settings(max_examples=500)
@given(
    st.permutations([*LINES, b"LENGTH", b"PARENT"]),
    st.booleans(),
    st.tuples(LENGTHS, LENGTHS),
    st.sampled_from([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t "]),
    st.sampled_from(
        [b"traceparent: ", b"Traceparent:", b"X-Same: 00-4bf92f3577b34da6a3ce929d0e0e4736-\r\ntraceparent:\t"]
    ),
    st.sampled_from([[], [b"tracestate: v=1"], [b"baggage: a=1", b"tracestate: v=1"]]),
    st.sampled_from(["participate", "passthrough", "none"]),
    st.sampled_from([{}, {"set": {"X-Set": "42"}, "remove": ["x-a"]}, {"remove": ["traceparent"]}]),
)
def test_a_recalled_head_is_the_head_that_reading_gives(
    lines: list[bytes],
    traced: bool,
    lengths: tuple[bytes, bytes],
    length_name: bytes,
    parent_name: bytes,
    states: list[bytes],
    mode: str,
    headers: dict[str, Any],
) -> None:
    match = a_match(trace_context=mode, headers=headers)
    if not traced:
        lines, states = [line for line in lines if line != b"PARENT"], []
    first, second = (
        b"\r\n".join(
            {b"LENGTH": length_name + length, b"PARENT": parent_name + parent}.get(line, line)
            for line in (b"POST /v1/x?n=42 HTTP/1.1", *lines, *states, b"", b"")
        )
        for length, parent in zip(lengths, PARENTS, strict=True)
    )
    memory = remembered(first, match)
    assert memory is not None
    recalled = memory.recall(second)
    assert recalled is not None
    check_recalled(second, recalled, match)


@settings(max_examples=1000)
@given(st.booleans(), st.booleans(), st.integers(0, 10_000), st.binary(min_size=0, max_size=3))
def test_a_head_that_differs_anywhere_else_is_not_recalled_as_another(
    traced: bool, length_first: bool, place: int, piece: bytes
) -> None:
    trace = [b"Traceparent: " + PARENTS[0], b"tracestate: v=1"] if traced else []
    first = raw_head(b"42", [*LINES, *trace])
    if length_first:
        first = first.replace(b"\r\nContent-Length: 42", b"").replace(b"\r\n", b"\r\nContent-Length: 42\r\n", 1)
    match = a_match()
    memory = remembered(first, match)
    assert memory is not None
    at = place % len(first)
    changed = first[:at] + piece + first[at + 1 :]
    recalled = memory.recall(changed)
    if recalled is None:
        return
    try:
        check_recalled(changed, recalled, match)
    except BadHead:
        pytest.fail("a head that is not valid was recalled")


@pytest.mark.parametrize(
    "length", [b"", b"+1", b"-1", b" 1", b"1 ", b"0x1", b"1\r\nX: y", b"1_0", b"1" * 19, b"\xc2\xb2", b"1,1"]
)
def test_only_digits_are_a_length(length: bytes) -> None:
    memory = remembered(raw_head(b"42", LINES), a_match())
    assert memory is not None
    assert memory.recall(raw_head(length, LINES)) is None


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        PARENTS[1].upper(),
        PARENTS[1][:-1],
        PARENTS[1] + b"0",
        b"ff" + PARENTS[1][2:],
    ],
)
def test_only_a_valid_parent_is_recalled(parent: bytes) -> None:
    memory = remembered(raw_head(b"42", [b"Host: a", b"traceparent: " + PARENTS[0]]), a_match())
    assert memory is not None
    assert memory.recall(raw_head(b"42", [b"Host: a", b"traceparent: " + parent])) is None
    assert memory.recall(raw_head(b"42", [b"Host: a", b"traceparent: " + PARENTS[1]])) is not None


@pytest.mark.parametrize(
    "lines",
    [
        [b"Host: a", b"traceparent: " + PARENTS[0], b"traceparent: " + PARENTS[1]],
        [b"Host: a", b"traceparent: nonsense"],
        [b"Host: a", b"traceparent: 01" + PARENTS[0][2:] + b"-what-the-future-brings"],
        [b"Host: a", b"baggage: a=1"],
        [b"Host: a", b"X-Long: " + b"a" * LONGEST],
    ],
)
def test_a_head_that_says_something_new_each_time_or_is_large_is_not_remembered(lines: list[bytes]) -> None:
    assert remembered(raw_head(b"42", lines), a_match()) is None


def test_a_head_without_a_length_is_not_remembered() -> None:
    assert remembered(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n", a_match()) is None


def test_every_request_that_is_recalled_gets_a_trace_of_its_own() -> None:
    memory = remembered(raw_head(b"42", LINES), a_match())
    assert memory is not None
    recalled = [memory.recall(raw_head(b"42", LINES)) for _ in range(10)]
    sent = {each[3] for each in recalled if each}
    assert len(sent) == 10
    assert all(each.count(b"traceparent: 00-") == 1 for each in sent)


@pytest.mark.parametrize("one", [b"0", b"5"])
def test_a_head_that_asks_for_a_websocket_is_not_remembered(one: bytes) -> None:
    lines = [b"Host: a", b"Connection: upgrade", b"Upgrade: websocket"]
    assert remembered(raw_head(one, lines).replace(b"POST", b"GET"), a_match()) is None


# -- answers ----------------------------------------------------------------------------------------------------------

ANSWER_LINES = [
    b"Date: Mon, 01 Jan 2026 00:00:00 GMT",
    b"x-request-id: req_1",
    b"Set-Cookie: a=1",
    b"set-cookie:b=2",
    b"X-Hop: 1",
    b"Connection: keep-alive, x-hop",
    b"Keep-Alive: timeout=5, max=100",
    b"Server: \xff",
]
FRAMINGS = st.sampled_from([b"Content-Length: 12", b"content-length:\t0 ", b"Transfer-Encoding: chunked"])


def answer_head(lines: list[bytes], start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *lines, b"", b""])


def says(head: ResponseHead, framing: Framing | None) -> list[Any]:
    """Everything that the proxy asks of an answer's head; the values of fields that mean nothing to it are not."""
    size = framing.remaining if isinstance(framing, Counted) else type(framing)
    names = set(ResponseHead.__slots__) - {"framing", "fields", "raw"}
    return [size, [name for name, _ in head.fields], *(getattr(head, name) for name in sorted(names))]


@settings(max_examples=500)
@given(
    st.permutations(ANSWER_LINES),
    FRAMINGS,
    st.integers(0, 10_000),
    st.binary(max_size=4),
    st.sampled_from([b"GET", b"POST"]),
)
@example(ANSWER_LINES, b"Content-Length: 12", 0, b"H", b"POST")
def test_an_answers_recalled_head_is_the_head_that_reading_gives(
    lines: list[bytes], framing: bytes, place: int, piece: bytes, method: bytes
) -> None:
    raw = answer_head([*lines, framing])
    shape = HeadShape(read_response_head(raw, b"POST"))
    assert shape.recall(raw) is not None
    at = place % len(raw)
    changed = raw[:at] + piece + raw[at + 1 :]
    recalled = shape.recall(changed)
    if recalled is None:
        return
    read = read_response_head(changed, method)
    assert says(*recalled) == says(read, read.framing)


@pytest.mark.parametrize(
    "line",
    [
        b"x-request-id: " + b"r" * 200,
        b"x-request-id:",
        b"Set-Cookie: \t \x80",
        b"Keep-Alive: timeout=5, max=99",
    ],
)
def test_other_values_are_the_same_shape(line: bytes) -> None:
    name = line.partition(b":")[0]
    others = [line if each.partition(b":")[0] == name else each for each in ANSWER_LINES]
    shape = HeadShape(read_response_head(answer_head([*ANSWER_LINES, b"Content-Length: 12"]), b"POST"))
    assert shape.recall(answer_head([*others, b"Content-Length: 7"])) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"x-request-id: a\x00b",
        b"x-request-id: a\rb",
        b"x-request-id: a\r\nContent-Length: 3",
        b"X-Request-Id: req_1",
        b"Connection: close",
        b"Keep-Alive: timeout=1, max=100",
        b"Content-Length: 1x",
        b"Content-Length: +1",
        b"Content-Length: 1234567890123456789",
        b"Transfer-Encoding: chunked",
    ],
)
def test_what_means_something_else_is_another_shape(line: bytes) -> None:
    name = line.partition(b":")[0].lower()
    lines = [*ANSWER_LINES, b"Content-Length: 12"]
    others = [line if each.partition(b":")[0].lower() == name else each for each in lines]
    others += [] if line in others else [line]
    assert HeadShape(read_response_head(answer_head(lines), b"POST")).recall(answer_head(others)) is None


def learned(shapes: HeadShapes, raw: bytes, times: int = SEEN_OFTEN, method: bytes = b"POST") -> bool:
    """Is a head recalled once it came so often?"""
    for _ in range(times):
        if shapes.recall(raw):
            return True
        shapes.learn(read_response_head(raw, method))
    return shapes.recall(raw) is not None


def test_a_shape_is_remembered_once_it_came_often_enough() -> None:
    raw = answer_head([*ANSWER_LINES, b"Transfer-Encoding: chunked"])
    assert not learned(HeadShapes(), raw, SEEN_OFTEN - 1)
    shapes = HeadShapes()
    assert learned(shapes, raw)
    recalled = shapes.recall(raw)
    assert recalled is not None
    assert isinstance(recalled[1], Chunked)


@pytest.mark.parametrize(
    ("start", "line", "method"),
    [
        (b"HTTP/1.1 200 OK", b"X: until the end", b"POST"),
        (b"HTTP/1.1 204 No Content", b"X: nothing", b"POST"),
        (b"HTTP/1.1 304 Not Modified", b"Content-Length: 5", b"GET"),
        (b"HTTP/1.1 103 Early Hints", b"Link: </a>", b"POST"),
        (b"HTTP/1.1 200 OK", b"Content-Length: 5", b"HEAD"),
        (b"HTTP/1.1 200 OK", b"Content-Length: 5\r\nX: " + b"a" * LONGEST, b"POST"),
    ],
)
def test_an_answer_whose_end_its_head_alone_does_not_tell_is_not_remembered(
    start: bytes, line: bytes, method: bytes
) -> None:
    assert not learned(HeadShapes(), answer_head([line], start), 3 * SEEN_OFTEN, method)


def test_an_upstream_that_answers_in_ever_new_shapes_fills_no_memory() -> None:
    shapes = HeadShapes()
    for number in range(3 * MOST_SEEN):
        learned(shapes, answer_head([b"Content-Length: 5", b"x-%d: 1" % number]), 1)
        assert len(shapes._seen) <= MOST_SEEN
    kept = [learned(shapes, answer_head([b"Content-Length: 5", b"y-%d: 1" % number])) for number in range(50)]
    assert sum(kept) == MOST_SHAPES


def test_the_shape_that_came_last_is_tried_first() -> None:
    shapes = HeadShapes()
    raws = [answer_head([b"Content-Length: 5"], b"HTTP/1.1 %d X" % status) for status in (200, 429, 500)]
    assert all(learned(shapes, raw) for raw in raws)
    for raw in (*raws, *raws[::-1], *raws):
        assert shapes.recall(raw) is not None
        assert shapes._shapes[0].recall(raw) is not None

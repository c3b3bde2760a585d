"""What is recalled is what reading the head anew would have given; anything new is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Upstream
from proxy.framing import NO_BODY, Counted
from proxy.heads import BadHead, RequestHead, read_request_head
from proxy.memo import LONGEST, Remembered, remember
from proxy.rewrite import trace_of, upstream_head
from proxy.routing import Match, Origin
from proxy.trace_context import new_trace

LINES = [
    b"Host: a.test",
    b"Authorization: Bearer x",
    b"Connection: keep-alive, x-hop",
    b"X-Hop: 1",
    b"x-a:2",
    b"X-A: 3",
]
LENGTHS = st.sampled_from([b"0", b"1", b"007", b"42", b"1000", b"123456789012345678"])


def raw_head(length: bytes, lines: list[bytes], spelling: bytes = b"Content-Length: ") -> bytes:
    return b"\r\n".join([b"POST /v1/x?n=42 HTTP/1.1", *lines, spelling + length, b"", b""])


def a_match(**changes: Any) -> Match:
    return Match("/v1", True, Origin("up", Upstream.model_validate({"url": "http://up.test/base"} | changes)))


def remembered(raw: bytes, match: Match) -> Remembered | None:
    head = read_request_head(raw, 100)
    trace = trace_of(head.trace_fields)
    return remember(head, match, upstream_head(head, match, trace), trace)


def told(head: RequestHead) -> list[Any]:
    """Everything a head says."""
    framing = head.framing.remaining if isinstance(head.framing, Counted) else head.framing
    fields = [field for field in head.fields if field[0] != head.length_name]
    rest = [getattr(head, name) for name in RequestHead.__slots__ if name not in ("framing", "fields")]
    return [framing, fields, *rest]


@settings(max_examples=300)
@given(
    st.permutations(LINES),
    st.integers(0, 6),
    LENGTHS,
    LENGTHS,
    st.sampled_from([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t "]),
    st.sampled_from(["participate", "passthrough", "none"]),
    st.sampled_from([{}, {"set": {"X-Set": "42"}, "remove": ["x-a"]}]),
)
def test_a_recalled_head_is_the_head_that_reading_gives(
    lines: list[bytes], place: int, one: bytes, other: bytes, spelling: bytes, mode: str, headers: dict[str, Any]
) -> None:
    match = a_match(trace_context=mode, headers=headers)
    first, second = (
        b"\r\n".join([b"POST /v1/x?n=42 HTTP/1.1", *lines[:place], spelling + length, *lines[place:], b"", b""])
        for length in (one, other)
    )
    memory = remembered(first, match)
    assert memory is not None
    assert memory.digits_of(second) == other
    read, trace = read_request_head(second, 100), new_trace()
    again = memory.head_for(second, other)
    if read.framing is not NO_BODY and int(other) == 0:  # 007 and 0 say the same length in two ways
        again.framing = read.framing
    assert told(again)[1:] == told(read)[1:]
    assert again.framing.done is read.framing.done
    assert memory.sent_for(other, trace) == upstream_head(read, match, trace)


@settings(max_examples=500)
@given(st.integers(0, 10_000), st.binary(min_size=0, max_size=3))
def test_a_head_that_differs_anywhere_else_is_not_recalled_as_another(place: int, piece: bytes) -> None:
    first = raw_head(b"42", LINES)
    memory = remembered(first, a_match())
    assert memory is not None
    at = place % len(first)
    changed = first[:at] + piece + first[at + 1 :]
    digits = memory.digits_of(changed)
    if digits is None:
        return
    try:
        read = read_request_head(changed, 100)
    except BadHead:
        pytest.fail("a head that is not valid was recalled")
    assert told(memory.head_for(changed, digits))[1:] == told(read)[1:]


@pytest.mark.parametrize(
    "length", [b"", b"+1", b"-1", b" 1", b"1 ", b"0x1", b"1\r\nX: y", b"1_0", b"1" * 19, b"\xc2\xb2", b"1,1"]
)
def test_only_digits_are_a_length(length: bytes) -> None:
    memory = remembered(raw_head(b"42", LINES), a_match())
    assert memory is not None
    assert memory.digits_of(raw_head(length, LINES)) is None


@pytest.mark.parametrize(
    "lines",
    [
        [b"Host: a", b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
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
    sent = {memory.sent_for(b"42", new_trace()) for _ in range(10)}
    assert len(sent) == 10
    assert all(each.count(b"traceparent: 00-") == 1 for each in sent)


@pytest.mark.parametrize("one", [b"0", b"5"])
def test_a_head_that_asks_for_a_websocket_is_not_remembered(one: bytes) -> None:
    lines = [b"Host: a", b"Connection: upgrade", b"Upgrade: websocket"]
    assert remembered(raw_head(one, lines).replace(b"POST", b"GET"), a_match()) is None

"""W3C trace context: what is continued, what is started anew, and what goes upstream."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.trace_context import Trace, continued_trace, new_trace

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALUE = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
HEX = "0123456789abcdef"


def parent(version: str = "00", trace: str = TRACE_ID, span: str = SPAN_ID, flags: str = "01", rest: str = "") -> bytes:
    return f"{version}-{trace}-{span}-{flags}{rest}".encode()


def continued(value: bytes, tracestate: bytes = b"") -> Trace:
    trace = continued_trace(value, tracestate)
    assert trace
    return trace


def test_a_valid_parent_is_continued() -> None:
    trace = continued(parent(), b"vendor=1")
    assert (trace.trace_id, trace.parent_span_id) == (TRACE_ID.encode(), SPAN_ID.encode())
    assert (trace.flags, trace.tracestate) == (1, b"vendor=1")


def test_our_client_span_is_the_parent_told_upstream() -> None:
    trace = continued(parent())
    match = VALUE.fullmatch(trace.traceparent())
    assert match
    assert (match[1].decode(), match[2], match[3]) == (TRACE_ID, trace.client_span_id, b"01")
    assert len({trace.client_span_id, trace.server_span_id, trace.parent_span_id}) == 3


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("fe", 2), ("ff", 3)])
def test_only_the_known_flags_go_on(flags: str, kept: int) -> None:
    trace = continued(parent(flags=flags))
    assert (trace.flags, trace.traceparent()[-3:]) == (kept, b"-%02x" % kept)


@pytest.mark.parametrize("rest", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_it_is_known(rest: str) -> None:
    trace = continued(parent(version="cc", rest=rest))
    assert trace.trace_id == TRACE_ID.encode()
    assert trace.traceparent().startswith(b"00-")


INVALID = {
    "empty": b"",
    "version ff": parent(version="ff"),
    "version of one digit": parent(version="0"),
    "no trace": parent(trace="0" * 32),
    "no span": parent(span="0" * 16),
    "short trace": parent(trace=TRACE_ID[1:]),
    "long trace": parent(trace=TRACE_ID + "0"),
    "short span": parent(span=SPAN_ID[1:]),
    "upper case": parent(trace=TRACE_ID.upper()),
    "upper-case flags": parent(flags="0A"),
    "not hex": parent(span="g" + SPAN_ID[1:]),
    "flags of one digit": parent(flags="1"),
    "more in version 00": parent(rest="-x"),
    "more without a dash": parent(version="01", rest="x"),
    "space before": b" " + parent(),
    "two values": parent() + b"," + parent(),
    "line end": parent() + b"\n",
    "sign": parent(span="+" + SPAN_ID[1:]),
    "underscores": parent(span="00f0_67a_ba902b7"),
    "bytes beyond ASCII": parent()[:-1] + b"\xb2",
}


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
def test_an_invalid_parent_is_not_continued(value: bytes) -> None:
    assert continued_trace(value, b"vendor=1") is None


def test_a_new_trace_is_a_sampled_random_root() -> None:
    trace = new_trace()
    assert (trace.parent_span_id, trace.flags, trace.tracestate) == (b"", 3, b"")
    match = VALUE.fullmatch(trace.traceparent())
    assert match
    assert match[1] == trace.trace_id
    assert [len(each) for each in (trace.trace_id, trace.server_span_id, trace.client_span_id)] == [32, 16, 16]


def test_ids_do_not_repeat() -> None:
    traces = [new_trace() for _ in range(1000)]
    assert len({trace.trace_id for trace in traces}) == 1000
    assert len({span for trace in traces for span in (trace.client_span_id, trace.server_span_id)}) == 2000


@given(
    st.text(HEX, min_size=32, max_size=32), st.text(HEX, min_size=16, max_size=16), st.text(HEX, min_size=2, max_size=2)
)
def test_whatever_is_continued_is_told_on_in_its_own_trace(trace_id: str, span_id: str, flags: str) -> None:
    trace = continued_trace(parent(trace=trace_id, span=span_id, flags=flags), b"")
    assert (trace is not None) == (int(trace_id, 16) > 0 < int(span_id, 16))
    if trace:
        assert trace.traceparent().startswith(b"00-" + trace_id.encode())
        assert continued_trace(trace.traceparent(), b"")

"""W3C trace context, level 2: read what the caller says, decide what the upstream is told."""

from __future__ import annotations

import re
from random import getrandbits
from typing import Final

TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED: Final = 0x01
RANDOM: Final = 0x02  # level 2: the trace id is random, so it may decide sampling


class Trace:
    """Ids as integers; 0 for no parent. `flags` is what goes upstream."""

    __slots__ = ("client_span_id", "flags", "parent_span_id", "server_span_id", "trace_id", "tracestate")

    trace_id: int
    parent_span_id: int
    server_span_id: int
    client_span_id: int
    flags: int
    tracestate: bytes

    def traceparent(self) -> bytes:
        """The field's value that makes our CLIENT span the upstream's parent."""
        return b"00-%032x-%016x-%02x" % (self.trace_id, self.client_span_id, self.flags)


def new_trace() -> Trace:
    """A root of our own, sampled: what is worth keeping is decided behind the proxy."""
    trace = Trace()
    trace.trace_id = getrandbits(128) or 1
    trace.parent_span_id = 0
    trace.flags = SAMPLED | RANDOM
    trace.tracestate = b""
    return _with_spans(trace)


def continued_trace(traceparent: bytes, tracestate: bytes) -> Trace | None:
    """The caller's trace, or None when the value is invalid (then a new one starts and tracestate is dropped)."""
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5] is not None):
        return None
    trace = Trace()
    trace.trace_id = int(match[2], 16)
    trace.parent_span_id = int(match[3], 16)
    if not trace.trace_id or not trace.parent_span_id:
        return None
    trace.flags = int(match[4], 16) & (SAMPLED | RANDOM)
    trace.tracestate = tracestate
    return _with_spans(trace)


def _with_spans(trace: Trace) -> Trace:
    trace.server_span_id = getrandbits(64) or 1
    trace.client_span_id = getrandbits(64) or 1
    return trace

"""W3C trace context, level 2: read what the caller says, decide what the upstream is told."""

from __future__ import annotations

import re
from binascii import hexlify
from random import getrandbits
from typing import Final

TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
NO_TRACE_ID: Final = b"0" * 32
NO_SPAN_ID: Final = b"0" * 16
SAMPLED: Final = 0x01
RANDOM: Final = 0x02  # level 2: the trace id is random, so it may decide sampling


class Trace:
    """Ids in lower-case hex, as they are told; empty for no parent. `flags` is what goes upstream."""

    __slots__ = ("client_span_id", "flags", "parent_span_id", "server_span_id", "trace_id", "tracestate")

    trace_id: bytes
    parent_span_id: bytes
    server_span_id: bytes
    client_span_id: bytes
    flags: int
    tracestate: bytes

    def traceparent(self) -> bytes:
        """The field's value that makes our CLIENT span the upstream's parent."""
        return b"00-%b-%b-%02x" % (self.trace_id, self.client_span_id, self.flags)


def new_trace() -> Trace:
    """A root of our own, sampled: what is worth keeping is decided behind the proxy."""
    trace = Trace()
    # One id of zeros, which none may be, in 2**64: it would be this process's first in millions of years.
    digits = hexlify(getrandbits(256).to_bytes(32))
    trace.trace_id, trace.server_span_id, trace.client_span_id = digits[:32], digits[32:48], digits[48:]
    trace.parent_span_id = b""
    trace.flags = SAMPLED | RANDOM
    trace.tracestate = b""
    return trace


def continued_trace(traceparent: bytes, tracestate: bytes) -> Trace | None:
    """The caller's trace, or None when the value is invalid (then a new one starts and tracestate is dropped)."""
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if trace_id == NO_TRACE_ID or span_id == NO_SPAN_ID:
        return None
    trace = Trace()
    digits = hexlify(getrandbits(128).to_bytes(16))
    trace.trace_id, trace.server_span_id, trace.client_span_id = trace_id, digits[:16], digits[16:]
    trace.parent_span_id = span_id
    trace.flags = int(flags, 16) & (SAMPLED | RANDOM)
    trace.tracestate = tracestate
    return trace

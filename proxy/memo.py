"""What a connection remembers of its last request head, so that the next one need not be read again.

An SDK on a kept connection sends the same head again and again; only the digits of Content-Length change. When nothing
else does, byte for byte, everything that was found out about the last head holds for this one: it is as valid, goes to
the same upstream, and is changed in the same places. Rule 1: any other difference, and the head is read as a new one.
"""

from __future__ import annotations

from typing import Final

from proxy.framing import NO_BODY, Counted
from proxy.heads import MAX_LENGTH_DIGITS, RequestHead
from proxy.routing import Match
from proxy.trace_context import Trace

LONGEST: Final = 4096  # bytes of a head worth remembering: every connection has its memory


class Remembered:
    """A request head with a hole where the digits of its Content-Length were, and the upstream's head likewise."""

    __slots__ = ("_head", "_prefix", "_sent_after", "_sent_before", "_suffix", "_tells_trace", "match")

    def __init__(self, head: RequestHead, match: Match, digits: bytes, sent: bytes, trace: Trace) -> None:
        field = b"\r\n" + head.length_name + b":"
        self.match = match
        self._head = head
        self._prefix, self._suffix = around(head.raw, field, digits)
        self._sent_before, after = around(sent, field, digits)
        told = trace.traceparent() + b"\r\n\r\n"
        self._tells_trace = after.endswith(told)
        self._sent_after = after.removesuffix(told)

    def digits_of(self, raw: bytes) -> bytes | None:
        """The Content-Length of a head that differs in nothing else; None when it does."""
        prefix, suffix = self._prefix, self._suffix
        if raw.startswith(prefix) and raw.endswith(suffix):
            digits = raw[len(prefix) : len(raw) - len(suffix)]
            if digits.isdigit() and len(digits) <= MAX_LENGTH_DIGITS:
                return digits
        return None

    def head_for(self, raw: bytes, digits: bytes) -> RequestHead:
        """The head that reading `raw` would give."""
        length = int(digits)
        return self._head.again(raw, Counted(length) if length else NO_BODY)

    def sent_for(self, digits: bytes, trace: Trace) -> bytes:
        """The head that the upstream gets."""
        if self._tells_trace:
            return self._sent_before + digits + self._sent_after + trace.traceparent() + b"\r\n\r\n"
        return self._sent_before + digits + self._sent_after


def around(raw: bytes, field: bytes, digits: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the digits of this field."""
    start = raw.index(digits, raw.index(field) + len(field))
    return raw[:start], raw[start + len(digits) :]


def asks_to_upgrade(head: RequestHead) -> bool:
    """Whether it may depends on its length."""
    return head.upgrades or any(name.lower() == b"upgrade" for name in head.hop_names)


def remember(head: RequestHead, match: Match, sent: bytes, trace: Trace) -> Remembered | None:
    """What to remember of a head that was read; None for one that says something new each time."""
    if not head.length_name or head.trace_fields or len(head.raw) > LONGEST or asks_to_upgrade(head):
        return None
    digits = next(value for name, value in head.fields if name == head.length_name).rstrip(b" \t")
    return Remembered(head, match, digits, sent, trace)

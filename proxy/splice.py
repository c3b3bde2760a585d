"""A connection that stopped being HTTP: after a 101 both sides' bytes pass as they come, until one of them ends.

The copy is handed over in parts, or a connection that lives for hours would be seen only when it ends, and no further
than the copy's bound. A part ends only where both sides are between two messages, so each part can be read by itself;
where that cannot be seen (messages compressed with what came before, or frames that are none) there is one part.
"""

from __future__ import annotations

from typing import Final

from proxy.tee import Budget, Tee

SECOND: Final = 1_000_000_000
OLD: Final = 30 * SECOND  # a part this old ends as soon as both sides are
QUIET: Final = 1 * SECOND  # silent for this long

FIN: Final = 0x80
MASKED: Final = 0x80
CONTROL: Final = 0x08
LONGEST_HEAD: Final = 14


class FrameWalker:
    """Follows the frames of one direction (RFC 6455 §5.2) by their lengths alone."""

    __slots__ = ("_head", "_remaining", "in_message", "sound")

    def __init__(self) -> None:
        self._head = b""  # of the frame to come, as far as it came
        self._remaining = 0  # payload bytes of the frame under way
        self.in_message = False  # a message's last frame is still to come
        self.sound = True  # these are frames

    @property
    def between_messages(self) -> bool:
        """Did the last byte end a message?"""
        return self.sound and not self.in_message and not self._remaining and not self._head

    def feed(self, data: bytes) -> None:
        """Bytes as they pass."""
        if self._head:
            data, self._head = self._head + data, b""
        position, size = self._remaining, len(data)
        while position < size and self.sound:
            head = data[position : position + LONGEST_HEAD]
            length = head_length(head) if len(head) >= 2 else 2
            if len(head) < length:
                self._head = head
                break
            self._begin(head)
            position += length + self._remaining
        self._remaining = max(position - size, 0)

    def _begin(self, head: bytes) -> None:
        opcode = head[0] & 0x0F
        if opcode < CONTROL:
            self.in_message = not head[0] & FIN
        self._remaining = payload_length(head)
        if head[0] & 0x30 or (opcode & 0x07) > 2 or self._remaining >= 2**63:
            self.sound = False  # no extension was agreed that uses these bits, and no such frame exists


def head_length(head: bytes) -> int:
    """How long a frame's head is, by its first two bytes."""
    length = head[1] & 0x7F
    return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & MASKED else 0)


def payload_length(head: bytes) -> int:
    """By a whole head."""
    length = head[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(head[2:4] if length == 126 else head[2:10], "big")


class Splice:
    """What one spliced connection needs beyond its flight: where its messages end, and when its part began."""

    __slots__ = ("_limit", "client", "divisible", "part", "part_began", "upstream")

    def __init__(self, divisible: bool, limit: int, now: int) -> None:
        self.client = FrameWalker()
        self.upstream = FrameWalker()
        self.divisible = divisible
        self.part = 0
        self.part_began = now
        self._limit = limit // 2

    def feed(self, walker: FrameWalker, data: bytes) -> None:
        """Bytes of one side, before they are copied."""
        if self.divisible:
            walker.feed(data)
            self.divisible = walker.sound

    def is_full(self, request: Tee, response: Tee) -> bool:
        """May the part end here, and is its copy large enough?"""
        return max(request.size, response.size) >= self._limit and self._between_messages

    def is_old(self, request: Tee, response: Tee, active_at: int, now: int) -> bool:
        """May the part end here, and is there something in it that has waited long enough?"""
        waited = now - self.part_began > OLD and now - active_at > QUIET
        return waited and bool(request.size or response.size) and self._between_messages

    @property
    def _between_messages(self) -> bool:
        return self.divisible and self.client.between_messages and self.upstream.between_messages

    def next_part(self, limit: int, budget: Budget, now: int) -> tuple[Tee, Tee]:
        """Begin another part; the copies it fills."""
        self.part += 1
        self.part_began = now
        return Tee(limit, budget), Tee(limit, budget)

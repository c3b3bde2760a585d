"""The bounded copy on the side: references to the bytes as they pass, joined only when the exchange is over.

Rule 1: the client's bytes go first; a copy that would pass its bound is cut and marked, never the client's bytes.
Rule 2: nothing here looks into the bytes. What they mean, and when the first token came, is found later from the
arrival marks: (offset in the copy, time) for every read.
"""

from __future__ import annotations

TAIL = 16 * 1024  # bytes of the end of a body that are kept though its middle is not: there the tokens are told
MAX_MARKS = 1 << 14
MAX_PIECES = 1024  # more small pieces than this are joined, so the copy's overhead is bounded too


NO_TAIL: list[bytes] = []  # shared by all copies that are whole, and never changed


class Budget:
    """How many bytes all copies of this process may hold together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Tee:
    """The copy of one body."""

    __slots__ = ("budget", "cut", "kept", "limit", "marks", "pieces", "size", "tail", "tail_limit", "tail_size")

    def __init__(self, limit: int, budget: Budget, tail_limit: int = 0) -> None:
        self.limit = limit
        self.tail_limit = tail_limit
        self.tail_size = 0
        self.tail = NO_TAIL  # the last bytes, once the copy is cut
        self.budget = budget
        self.pieces: list[bytes] = []
        self.marks: list[int] = []  # offset, time, offset, time, …
        self.kept = 0
        self.size = 0
        self.cut = False

    def add(self, data: bytes, time: int = 0) -> None:
        """Keep `data`, as much of it as the bounds allow, and when it arrived; 0: nobody will ask."""
        size = len(data)
        self.size += size
        if self.cut:
            if self.tail_limit:
                self.keep_tail(data)
            return
        kept, budget = self.kept, self.budget
        if time and len(self.marks) < 2 * MAX_MARKS:
            self.marks += (kept, time)
        if kept + size > self.limit or budget.used + size > budget.limit:
            self.end_copy(data, max(min(self.limit - kept, budget.limit - budget.used), 0))
            return
        self.pieces.append(data)
        self.kept = kept + size
        budget.used += size
        if len(self.pieces) > MAX_PIECES:
            self.pieces = [b"".join(self.pieces)]

    def end_copy(self, data: bytes, room: int) -> None:
        """Keep what there is room for; of the rest no more than the end."""
        self.cut = True
        self.pieces.append(data[:room])
        self.kept += room
        self.budget.used += room
        if self.tail_limit:
            self.tail = []
            self.keep_tail(data[room:])

    def keep_tail(self, data: bytes) -> None:
        """Keep the last bytes, not those kept as the last before; where there is no room, none: a tail has no gap."""
        if len(data) > self.tail_limit:
            data = data[-self.tail_limit :]
        tail = self.tail
        tail.append(data)
        before = self.tail_size
        self.tail_size += len(data)
        while self.tail_size - len(tail[0]) >= self.tail_limit:
            self.tail_size -= len(tail.pop(0))
        self.budget.used += self.tail_size - before
        if self.budget.used > self.budget.limit:
            self.budget.used -= self.tail_size
            self.tail_size = 0
            tail.clear()

    def release(self) -> None:
        """The copy has been handed on: its bytes count no more."""
        self.budget.used -= self.kept
        self.kept = 0
        self.pieces = []
        if self.tail_size:
            self.budget.used -= self.tail_size
            self.tail_size = 0
            self.tail = NO_TAIL

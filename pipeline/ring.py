"""The hand-off from a proxy process to the pipeline process: two bounded rings in shared memory and a doorbell.

        page 0                     data
    ┌──────────────────────┬───────────────────────────────────────────────┐
    │ written · consumed   │ … │ size │ record │ size │ record │ free … │   │
    │ published counters   │       ▲ consumed              ▲ written        │
    └──────────────────────┴───────────────────────────────────────────────┘

Rule 1: one writer, one reader. Only the writer stores `written`, only the reader `consumed`; both only grow, and
        their difference is what the ring holds. A process that takes over after a crash goes on from them; what kills
        its reader `MAX_LIVES` times is dropped.
Rule 2: `offer` never waits and makes no system call. What finds no room is refused and counted by reason.
Rule 3: a record never wraps; the space before the end that cannot hold it is marked and skipped.
Rule 4: positions are published only behind a `fence`, so that it is right on Arm too, where stores may be seen out
        of order. Releasing and taking a lock is the one fence Python has.
Rule 5: the doorbell, a pipe, is rung at most once per `BELL_INTERVAL`, from the loop and not from `offer`.

Records up to 1/16 of the small ring go there: it stays in the cache, which is what makes it fast (measured in
docs/decisions/0002-shared-memory-ring.md). Larger ones go through the large ring, whose pages cost nothing until used.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from typing import Final

PAGE: Final = mmap.PAGESIZE
SIZE = struct.Struct("<I")
SKIP: Final = 0xFFFFFFFF  # the rest of the ring, up to its end, is empty
FIRST_COUNTER: Final = 64  # word of the first page at which the published counters begin
BELL_INTERVAL: Final = 0.002  # seconds
SMALL_SHARE: Final = 16  # the small ring takes records up to this part of its size
MAX_LIVES: Final = 5  # reader processes that may die over the same records
RING_FULL: Final = "ring_full"
TOO_LARGE: Final = "too_large"

_lock = Lock()
_lock.acquire()


def fence() -> None:
    """Everything before is visible to other processes before anything after."""
    _lock.release()
    _lock.acquire()


def shared_memory(size: int) -> int:
    """A file descriptor of anonymous memory of `size` bytes that children may map."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("sidelight")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


class Ring:
    """One ring, mapped; the half that both sides share."""

    def __init__(self, fd: int) -> None:
        self.capacity = os.fstat(fd).st_size - PAGE
        self._map = mmap.mmap(fd, self.capacity + PAGE)
        self.words = memoryview(self._map)[:PAGE].cast("Q")
        self.data = memoryview(self._map)[PAGE:]

    def close(self) -> None:
        """Unmap; nothing may be in use any more."""
        self.words.release()
        self.data.release()
        self._map.close()

    @property
    def held(self) -> int:
        """Bytes written and not yet consumed."""
        return self.words[0] - self.words[1]


class RingWriter(Ring):
    """The proxy's end."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._written = self.words[0]
        self._consumed = self.words[1]

    def offer(self, record: bytes) -> bool:
        """Copy the record in if there is room now."""
        size = len(record) + SIZE.size
        position = self._written % self.capacity
        skipped = self.capacity - position if self.capacity - position < size else 0
        needed = size + skipped
        if self.capacity - (self._written - self._consumed) < needed:
            self._consumed = self.words[1]
            fence()
            if self.capacity - (self._written - self._consumed) < needed:
                return False
        if skipped:
            if skipped >= SIZE.size:
                SIZE.pack_into(self.data, position, SKIP)
            position = 0
        SIZE.pack_into(self.data, position, size - SIZE.size)
        self.data[position + SIZE.size : position + size] = record
        self._written += needed
        fence()
        self.words[0] = self._written
        return True


class RingReader(Ring):
    """The pipeline's end. What was read and is not `done` is read again by the next life of this process."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._read = self.words[1]
        self._life_counted = False
        self.dropped = 0  # records given up, because something among them kills whoever reads it
        if self.words[2] >= MAX_LIVES:
            self.dropped = sum(1 for _ in self.read(self.held))
            self.done()

    def read(self, limit: int) -> Iterator[bytes]:
        """Up to `limit` records, oldest first."""
        written = self.words[0]
        fence()
        if written != self._read and not self._life_counted:
            self._life_counted = True
            self.words[2] += 1
        while self._read < written and limit > 0:
            position = self._read % self.capacity
            left = self.capacity - position
            size = SIZE.unpack_from(self.data, position)[0] if left >= SIZE.size else SKIP
            if size == SKIP:
                self._read += left
            else:
                yield bytes(self.data[position + SIZE.size : position + SIZE.size + size])
                self._read += size + SIZE.size
                limit -= 1

    def done(self) -> None:
        """Everything read so far is safe elsewhere: its room is the writer's again."""
        fence()
        self.words[1] = self._read
        self.words[2] = 0


class HandOffFds:
    """The descriptors of one proxy process's hand-off; the supervisor owns them, so they outlive both ends."""

    def __init__(self, small: int, large: int, bell_read: int, bell_write: int) -> None:
        self.small, self.large, self.bell_read, self.bell_write = small, large, bell_read, bell_write

    @classmethod
    def create(cls, ring: int, max_record: int) -> HandOffFds:
        """Rings of `ring` bytes and of four times the largest record."""
        bell_read, bell_write = os.pipe()
        return cls(shared_memory(PAGE + ring), shared_memory(PAGE + 4 * max_record), bell_read, bell_write)

    def as_list(self) -> list[int]:
        """In the constructor's order, for another process that inherits them."""
        return [self.small, self.large, self.bell_read, self.bell_write]

    def close(self) -> None:
        """Close all of them in this process."""
        for fd in self.as_list():
            os.close(fd)


class HandOffWriter:
    """What the proxy offers its captures to; belongs to one loop."""

    def __init__(self, fds: HandOffFds) -> None:
        self._small = RingWriter(fds.small)
        self._large = RingWriter(fds.large)
        self._bell = fds.bell_write
        os.set_blocking(self._bell, False)
        self._loop = asyncio.get_running_loop()
        self._bell_due = False
        self.offered = 0
        self.refused = {RING_FULL: 0, TOO_LARGE: 0}

    def offer(self, record: bytes) -> bool:
        """Room now? Never waits."""
        self.offered += 1
        small = len(record) * SMALL_SHARE <= self._small.capacity
        taken = (self._small if small else self._large).offer(record)
        if not taken:
            self.refused[RING_FULL if len(record) + SIZE.size <= self._large.capacity else TOO_LARGE] += 1
        if not self._bell_due:
            self._bell_due = True
            self._loop.call_later(BELL_INTERVAL, self._ring_bell)
        return taken

    def _ring_bell(self) -> None:
        self._bell_due = False
        with suppress(BlockingIOError):  # the reader has thousands of rings to hear already
            os.write(self._bell, b"\0")

    def publish(self, counters: list[int]) -> None:
        """Show this process's counters to the reader; each store is one aligned word."""
        words = self._small.words
        for slot, value in enumerate(counters, start=FIRST_COUNTER):
            words[slot] = value

    def published(self, count: int) -> list[int]:
        """What this process, or the one before it, published last."""
        return self._small.words[FIRST_COUNTER : FIRST_COUNTER + count].tolist()


class HandOffReader:
    """What the pipeline takes captures from."""

    def __init__(self, fds: HandOffFds) -> None:
        self._rings = (RingReader(fds.small), RingReader(fds.large))
        self.bell = fds.bell_read
        os.set_blocking(self.bell, False)

    def hear_bell(self) -> None:
        """Take every ring out of the pipe."""
        try:
            while len(os.read(self.bell, 65536)) == 65536:
                pass
        except BlockingIOError:
            pass

    def read(self, limit: int) -> list[bytes]:
        """Up to `limit` captures from each ring, without waiting."""
        return [record for ring in self._rings for record in ring.read(limit)]

    def done(self) -> None:
        """Everything read is safe elsewhere."""
        for ring in self._rings:
            ring.done()

    @property
    def dropped(self) -> int:
        """Records that this process gave up, because those before it died over them."""
        return sum(ring.dropped for ring in self._rings)

    @property
    def held(self) -> int:
        """Bytes that wait to be read, or to be done with."""
        return sum(ring.held for ring in self._rings)

    def counters(self, count: int) -> list[int]:
        """What the proxy published last."""
        return self._rings[0].words[FIRST_COUNTER : FIRST_COUNTER + count].tolist()

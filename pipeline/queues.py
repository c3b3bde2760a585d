"""What waits for one destination: in memory, or in memory while the destination is there and on disk while it is not.

    Memory      offer ──▶ deque ──take──▶ under way ──done──▶ gone

    Durable     offer ──▶ deque ──take──▶ under way ──done──▶ gone         direct: the destination takes what comes
                  │         │ spill, everything not yet done   ▲
                  ▼         ▼                                  │
                buffer ──flush──▶ backlog on disk ──take──▶ a copy under way    spilled: over the disk, oldest first,
                                                                                until nothing is left there

Rule 1: nothing waits to be offered; a full queue refuses the newest.
Rule 2: first in, first out; what is taken stays in the queue until it is done, and is taken again after a crash.
Rule 3: a disk that cannot be written costs durability, not the exchanges: they stay in memory, as many as it may hold.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from time import time_ns
from typing import Final, Protocol, TypeVar

import msgspec

from pipeline.records import EvaluatedExchange

T = TypeVar("T")
SECOND: Final = 1_000_000_000
AGAIN: Final = 1.0  # seconds until a disk that failed is asked again
DISK_ERRORS: Final = (sqlite3.Error, OSError)
UNREADABLE: Final = "unreadable"
EXPIRED: Final = "expired"

log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(EvaluatedExchange)


class Backlog(Protocol):
    """Bodies on disk, oldest first; see store.backlog.Backlog."""

    count: int
    size: int

    async def add(self, bodies: Sequence[bytes]) -> None: ...
    async def oldest(self, most: int) -> list[bytes]: ...
    async def remove(self, count: int) -> None: ...
    async def expire(self, before: int) -> int: ...


class Queue(Protocol):
    """What a Delivery takes its batches from."""

    durable: bool
    spilled: bool
    capacity: int
    closed: bool
    lost: Counter[str]  # exchanges that left otherwise than by `take`, by reason; whoever counts them takes them out

    def __len__(self) -> int: ...

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        """Take it in, unless full or closed; never waits."""
        ...

    async def ready(self) -> int:
        """Wait until there is something to take; how many there are. 0 only when closed: nothing more will come."""
        ...

    async def take(self, most: int) -> list[EvaluatedExchange]:
        """The oldest, at most so many; they count as queued until `done`."""
        ...

    async def done(self) -> None:
        """What was taken is dealt with, one way or the other."""
        ...

    def spill(self) -> None:
        """The destination is away: what is durable goes to the disk from now on."""
        ...

    async def flush(self) -> None:
        """Wait until everything that is to be on disk is there, or cannot be."""
        ...

    def close(self) -> None:
        """Take in no more; what is there can still be taken."""
        ...

    async def leave(self) -> int:
        """The end: keep what can be kept; how many cannot, taken or not."""
        ...


class Memory:
    """Exchanges in memory, oldest first."""

    durable = False
    spilled = False

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.closed = False
        self.lost: Counter[str] = Counter()
        self._items: deque[EvaluatedExchange] = deque()
        self._taken: list[EvaluatedExchange] = []
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items) + len(self._taken)

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        if self.closed or len(self) >= self.capacity:
            return False
        self._items.append(evaluated)
        self._ready.set()
        return True

    async def ready(self) -> int:
        while not self._items and not self.closed:
            self._ready.clear()
            await self._ready.wait()
        return len(self._items)

    async def take(self, most: int) -> list[EvaluatedExchange]:
        self._taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        return self._taken

    async def done(self) -> None:
        self._taken = []

    def spill(self) -> None:
        pass

    async def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        self._ready.set()

    async def leave(self) -> int:
        left = len(self)
        self._items.clear()
        self._taken = []
        return left


class Durable(Memory):
    """Memory that goes over a backlog on disk while its destination is away."""

    durable = True

    def __init__(
        self,
        capacity: int,
        backlog: Backlog,
        *,
        max_size: int,
        max_age: float,
        form: Callable[[EvaluatedExchange], EvaluatedExchange] = lambda evaluated: evaluated,
        clock: Callable[[], int] = time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """At most `max_size` bytes on disk, none of them older than `max_age` s; `form` is what may be on a disk."""
        super().__init__(capacity)
        self.spilled = backlog.count > 0
        self._backlog = backlog
        self._max_size = max_size
        self._max_age = int(max_age * SECOND)
        self._form = form
        self._clock = clock
        self._sleep = sleep
        self._buffer: list[tuple[EvaluatedExchange, bytes]] = []  # to be written
        self._buffered = 0  # bytes
        self._under_way = 0  # of the backlog's, or the buffer's, first: taken and not done
        self._unreadable = 0  # of these
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None
        self._trouble = False

    def __len__(self) -> int:
        return super().__len__() + len(self._buffer) + self._backlog.count

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        if self.closed:
            return False
        if not self.spilled:
            if super().__len__() < self.capacity:
                return super().offer(evaluated)
            self.spill()
        body = msgspec.msgpack.encode(self._form(evaluated))
        full = self._backlog.size + self._buffered + len(body) > self._max_size
        if full or len(self._buffer) >= 2 * self.capacity:  # what a full memory has just left, and as many again
            return False
        self._put(evaluated, body)
        return True

    def _put(self, evaluated: EvaluatedExchange, body: bytes) -> None:
        self._buffer.append((evaluated, body))
        self._buffered += len(body)
        self._ready.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="backlog's writer")

    def spill(self) -> None:
        if self.spilled:
            return
        self.spilled = True
        self._under_way = len(self._taken)
        for evaluated in (*self._taken, *self._items):
            self._put(evaluated, msgspec.msgpack.encode(self._form(evaluated)))
        self._taken = []
        self._items.clear()

    async def _write(self) -> None:
        """Until the buffer is empty: what comes meanwhile goes with the next transaction."""
        while self._buffer and not await self._flush_once():
            await self._sleep(AGAIN)

    async def flush(self) -> None:
        if self.spilled:
            await self._flush_once()

    async def _flush_once(self) -> bool:
        """Is everything that was in the buffer on disk?"""
        async with self._writing:
            bodies = [body for _, body in self._buffer]
            try:
                if bodies:
                    await self._backlog.add(bodies)
            except DISK_ERRORS as error:
                self._note(error)
                return False
            self._leave_buffer(len(bodies))
            self._note(None)
            return True

    def _leave_buffer(self, count: int) -> None:
        self._buffered -= sum(len(body) for _, body in self._buffer[:count])
        del self._buffer[:count]

    async def ready(self) -> int:
        while True:
            if self.spilled:
                async with self._writing:
                    if self._backlog.count:
                        return self._backlog.count
                    self._return_to_memory()
            if self._items or self.closed:
                return len(self._items)
            self._ready.clear()
            await self._ready.wait()

    def _return_to_memory(self) -> None:
        """Nothing is left on disk, and what was not written yet need not be."""
        self.spilled = False
        self._items.extend(evaluated for evaluated, _ in self._buffer)
        self._leave_buffer(len(self._buffer))

    async def take(self, most: int) -> list[EvaluatedExchange]:
        if not self.spilled:
            return await super().take(most)
        self.lost[EXPIRED] += await self._insist(lambda: self._backlog.expire(self._clock() - self._max_age))
        bodies = await self._insist(lambda: self._backlog.oldest(most))
        self._under_way = len(bodies)
        read = [evaluated for body in bodies if (evaluated := decoded(body))]
        self._unreadable = len(bodies) - len(read)
        return read

    async def done(self) -> None:
        if not self.spilled:
            return await super().done()
        async with self._writing:
            if self._backlog.count:
                await self._insist(lambda: self._backlog.remove(self._under_way))
            else:
                self._leave_buffer(self._under_way)
            self.lost[UNREADABLE] += self._unreadable
            self._under_way = self._unreadable = 0

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """A disk that fails is asked until it answers: what was delivered must not be delivered for ever."""
        while True:
            try:
                result = await work()
            except DISK_ERRORS as error:
                self._note(error)
                await self._sleep(AGAIN)
            else:
                self._note(None)
                return result

    async def leave(self) -> int:
        self.spill()
        await self.flush()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        left = len(self._buffer)
        self._leave_buffer(left)
        return left

    def _note(self, error: Exception | None) -> None:
        """Said when it begins, not each time."""
        if error is not None and not self._trouble:
            log.error("the queue on disk: %s", error)
        self._trouble = error is not None


def decoded(body: bytes) -> EvaluatedExchange | None:
    """What `offer` put there; None for what another version, or the disk, made of it."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

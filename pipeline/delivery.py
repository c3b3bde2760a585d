"""Gets evaluated exchanges to one exporter: a queue, batches, and another try when it is worth one.

    offer() ──▶ Waiting ──take──▶ batch ──▶ exporter.export()
       │ full     (bounded)         ▲            │ returns, PartialSuccess ──▶ sent      (rejected items counted)
       ▼                            │            │ Permanent, any other    ──▶ failed    (lost)
    refused                         └── wait ◀───┤ Retryable
                               back-off, jitter, │
                               Retry-After       └ for longer than max_elapsed ──▶ failed (lost)

Each exporter has its own, so a slow one delays only itself. What was offered is at every moment
sent + failed + refused + queued, where queued includes the batch on its way. `Waiting` keeps exchanges in memory; a
durable queue is another class with the same `offer`, `take` and `done`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from pipeline.contracts import Exporter
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import EvaluatedExchange
from pipeline.telemetry import Telemetry

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retry:
    """When to try again, in seconds; the Collector's `retry_on_failure` under its names."""

    initial_interval: float = 1.0
    multiplier: float = 2.0
    max_interval: float = 30.0
    randomization_factor: float = 0.5
    max_elapsed_time: float = 300.0  # 0: never give up

    def waits(self) -> Iterator[float]:
        """How long to wait before each further try."""
        interval = self.initial_interval
        while True:
            yield interval * random.uniform(1 - self.randomization_factor, 1 + self.randomization_factor)
            interval = min(interval * self.multiplier, self.max_interval)

    def allows(self, elapsed: float) -> bool:
        """May a batch still be tried this long after its first try?"""
        return self.max_elapsed_time == 0 or elapsed <= self.max_elapsed_time


class Sums(NamedTuple):
    """Exchanges; offered = sent + failed + refused + queued."""

    offered: int
    sent: int
    failed: int
    refused: int
    queued: int


class Waiting:
    """Exchanges in memory, oldest first. What is taken stays counted until it is done."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.closed = False
        self._items: deque[EvaluatedExchange] = deque()
        self._taken = 0
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items) + self._taken

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        """Take it in, unless full or closed; never waits."""
        if self.closed or len(self) >= self.capacity:
            return False
        self._items.append(evaluated)
        self._ready.set()
        return True

    async def ready(self) -> int:
        """Wait until there is something to take; how many there are. 0 only when closed: nothing will ever come."""
        await self._ready.wait()
        return len(self._items)

    def take(self, most: int) -> list[EvaluatedExchange]:
        """The oldest, at most so many; each counts as queued until `done`."""
        taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        self._taken += len(taken)
        if not self._items and not self.closed:
            self._ready.clear()
        return taken

    def done(self, count: int) -> None:
        """So many that were taken are dealt with, one way or the other."""
        self._taken -= count

    def close(self) -> None:
        """Take in no more; what is there can still be taken."""
        self.closed = True
        self._ready.set()

    def drop(self) -> int:
        """Forget what is left, taken or not; how many there were."""
        left = len(self)
        self._items.clear()
        self._taken = 0
        return left


class Delivery:
    """Feeds one exporter. Use it as a context manager inside the exporter's own."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        telemetry: Telemetry,
        *,
        queue_size: int = 10_000,
        batch_size: int = 512,
        linger: float = 0.2,
        retry: Retry = Retry(),
        drain: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`linger` s at most a batch waits to be filled; on exit, what is left has `drain` s to get through."""
        self.name = name
        self.problem: str | None = None  # what the destination last complained of; None: the last export went well
        self._exporter = exporter
        self._telemetry = telemetry
        self._waiting = Waiting(queue_size)
        self._batch_size = batch_size
        self._linger = linger
        self._retry = retry
        self._drain = drain
        self._clock = clock
        self._sleep = sleep
        self._attributes = (("exporter", name),)
        self._offered = self._sent = self._failed = self._refused = 0

    @property
    def sums(self) -> Sums:
        """What became of everything that was offered."""
        return Sums(self._offered, self._sent, self._failed, self._refused, len(self._waiting))

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        """Take it on, or refuse and count it when the queue is full or closed; never waits."""
        self._offered += 1
        if self._waiting.offer(evaluated):
            return True
        self._refused += 1
        self._telemetry.exporter_enqueue_failed.add(1, self._attributes)
        return False

    async def __aenter__(self) -> Self:
        size, capacity = self._telemetry.exporter_queue_size, self._telemetry.exporter_queue_capacity
        self._stop_observing = (
            size.observe(lambda: [(len(self._waiting), self._attributes)]),
            capacity.observe(lambda: [(self._waiting.capacity, self._attributes)]),
        )
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"delivery of {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.close()
        try:
            await asyncio.wait((self._task,), timeout=self._drain)
        finally:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._give_up_the_rest()
            for stop in self._stop_observing:
                stop()

    async def _run(self) -> None:
        while count := await self._waiting.ready():
            if count < self._batch_size and not self._waiting.closed:
                await self._sleep(self._linger)
            await self._deliver(self._waiting.take(self._batch_size))

    async def _deliver(self, batch: Sequence[EvaluatedExchange]) -> None:
        first_try = self._clock()
        for wait in self._retry.waits():
            try:
                await self._exporter.export(batch)
            except Retryable as error:
                pause = max(wait, error.after or 0.0)
                if not self._retry.allows(self._clock() - first_try + pause):
                    return self._lost(batch, "max_elapsed_time", str(error))
                self._note(str(error))
                self._telemetry.exporter_retries.add(1, self._attributes)
                await self._sleep(pause)
            except PartialSuccess as error:
                return self._delivered(batch, error)
            except Permanent as error:
                return self._lost(batch, "permanent", str(error))
            except Exception as error:
                logger.exception("exporter %s failed", self.name)
                return self._lost(batch, type(error).__name__, type(error).__name__)
            else:
                return self._delivered(batch)

    def _delivered(self, batch: Sequence[EvaluatedExchange], partial: PartialSuccess | None = None) -> None:
        self._sent += len(batch)
        self._waiting.done(len(batch))
        self._telemetry.exporter_sent.add(len(batch), self._attributes)
        if partial is not None:
            self._telemetry.exporter_rejected.add(partial.rejected, self._attributes)
        self._note(None if partial is None else f"{partial.rejected} items rejected: {partial}")

    def _lost(self, batch: Sequence[EvaluatedExchange], error_type: str, message: str) -> None:
        self._waiting.done(len(batch))
        self._count_lost(len(batch), error_type)
        self._note(message)

    def _count_lost(self, count: int, error_type: str) -> None:
        self._failed += count
        self._telemetry.exporter_send_failed.add(count, (*self._attributes, ("error.type", error_type)))

    def _give_up_the_rest(self) -> None:
        if left := self._waiting.drop():
            self._count_lost(left, "shutdown")
            logger.warning("exporter %s: %d exchanges were not delivered before the end", self.name, left)

    def _note(self, problem: str | None) -> None:
        """Log when the destination's state changes, not at every failure of a long outage."""
        if problem is not None and self.problem is None:
            logger.warning("exporter %s: %s", self.name, problem)
        if problem is None and self.problem is not None:
            logger.info("exporter %s works again", self.name)
        self.problem = problem

"""Gets evaluated exchanges to one exporter: a queue, batches, and another try when it is worth one.

    offer() ──▶ queue ──take──▶ batch ──▶ exporter.export()
       │ full  (bounded)          ▲            │ returns, PartialSuccess ──▶ sent      (rejected items counted)
       ▼                          │            │ Permanent, any other    ──▶ failed    (lost)
    refused                       └── wait ◀───┤ Retryable: what is durable goes to the disk
                             back-off, jitter, │
                             Retry-After       └ for longer than max_elapsed ──▶ failed (lost)

Each exporter has its own, so a slow one delays only itself. What was offered, and what a former life left on disk, is
at every moment sent + failed + refused + queued, where queued includes the batch on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from pipeline.condition import Condition
from pipeline.contracts import Exporter
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.queues import Memory, Queue
from pipeline.records import EvaluatedExchange
from pipeline.telemetry import Telemetry

QUEUE_SIZE: Final = 10_000
PATIENCE: Final = 1.0  # seconds a destination has before what it was to take goes to the disk

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


class Outcome(NamedTuple):
    """What became of a batch."""

    error_type: str | None = None  # None: the destination took it
    message: str | None = None
    rejected: int = 0  # items of it that were refused
    lost: int | None = None  # exchanges, where there was an error; None: all


class Delivery:
    """Feeds one exporter. Use it as a context manager inside the exporter's own."""

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        telemetry: Telemetry,
        queue: Queue | None = None,
        *,
        batch_size: int = 512,
        linger: float = 0.2,
        retry: Retry = Retry(),
        drain: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`linger` s at most a batch waits to be filled; on exit, what is left has `drain` s to get through."""
        self.name = name
        self.condition = Condition()  # of the destination, by the last export
        self._exporter = exporter
        self._telemetry = telemetry
        self._queue = Memory(QUEUE_SIZE) if queue is None else queue
        self._batch_size = batch_size
        self._linger = linger
        self._retry = retry
        self._drain = drain
        self._clock = clock
        self._sleep = sleep
        self._attributes = (("exporter", name),)
        self._offered = len(self._queue)  # what a former life left
        self._sent = self._failed = self._refused = 0
        self._progress = asyncio.Event()
        telemetry.exporter_restored.add(self._offered, self._attributes)

    @property
    def sums(self) -> Sums:
        """What became of everything that was offered."""
        failed = self._failed + self._queue.lost.total()
        return Sums(self._offered, self._sent, failed, self._refused, len(self._queue))

    def offer(self, evaluated: EvaluatedExchange) -> bool:
        """Take it on, or refuse and count it when the queue is full or closed; never waits."""
        self._offered += 1
        if self._queue.offer(evaluated):
            return True
        self._refused += 1
        self._telemetry.exporter_enqueue_failed.add(1, self._attributes)
        return False

    async def settle(self, patience: float = PATIENCE) -> None:
        """Wait until nothing that was offered so far would be lost with this process, if the queue is durable.

        A destination has `patience` s to take it; then it goes to the disk.
        """
        if not self._queue.durable:
            return
        accepted = self._offered - self._refused
        try:
            async with asyncio.timeout(patience):
                while not self._queue.spilled and self._sent + self._failed < accepted:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            self._queue.spill()
        await self._queue.flush()

    async def __aenter__(self) -> Self:
        size, capacity = self._telemetry.exporter_queue_size, self._telemetry.exporter_queue_capacity
        self._stop_observing = (
            size.observe(lambda: [(len(self._queue), self._attributes)]),
            capacity.observe(lambda: [(self._queue.capacity, self._attributes)]),
        )
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"delivery of {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queue.close()
        try:
            kept_anyway = self._queue.spilled and self.condition.error is not None  # the destination is away
            await asyncio.wait((self._task,), timeout=0 if kept_anyway else self._drain)
        finally:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._give_up_the_rest()
            for stop in self._stop_observing:
                stop()

    async def _run(self) -> None:
        while count := await self._queue.ready():
            if count < self._batch_size and not self._queue.closed:
                await self._sleep(self._linger)
            batch = await self._queue.take(self._batch_size)
            outcome = await self._deliver(batch) if batch else Outcome()
            if outcome is None:
                return
            await self._queue.done()
            self._record(len(batch), outcome)

    async def _deliver(self, batch: Sequence[EvaluatedExchange]) -> Outcome | None:
        """Export it, as often as that is worth it; None when it is left on disk for the next life."""
        first_try = self._clock()
        for wait in self._retry.waits():
            try:
                await self._exporter.export(batch)
            except Retryable as error:
                pause = max(wait, error.after or 0.0)
                if not self._retry.allows(self._clock() - first_try + pause):
                    return Outcome("max_elapsed_time", str(error))
                self._queue.spill()
                self._progress.set()
                self._note(str(error), permanent=False)
                if self._queue.closed and self._queue.spilled:
                    return None  # nobody has the time to wait for it
                self._telemetry.exporter_retries.add(1, self._attributes)
                await self._sleep(pause)
            except PartialSuccess as error:
                return Outcome(None, f"{error.rejected} items rejected: {error}", error.rejected)
            except Permanent as error:
                return Outcome("permanent", str(error), lost=error.lost)
            except Exception as error:
                logger.exception("exporter %s failed", self.name)
                return Outcome(type(error).__name__, type(error).__name__)
            else:
                return Outcome()
        raise AssertionError("a Retry waits for ever")

    def _record(self, count: int, outcome: Outcome) -> None:
        lost = 0
        if outcome.error_type is not None:
            lost = count if outcome.lost is None else outcome.lost
            self._count_lost(lost, outcome.error_type)
        if sent := count - lost:
            self._sent += sent
            self._telemetry.exporter_sent.add(sent, self._attributes)
        if outcome.rejected:
            self._telemetry.exporter_rejected.add(outcome.rejected, self._attributes)
        self._count_left_out()
        if count:
            self._note(outcome.message, permanent=outcome.error_type is not None)
        self._progress.set()

    def _count_left_out(self) -> None:
        """What left the queue without being taken."""
        lost = self._queue.lost
        for reason in list(lost):
            if count := lost.pop(reason):
                self._count_lost(count, reason)
                logger.error("exporter %s: %d exchanges in its queue on disk were %s", self.name, count, reason)

    def _count_lost(self, count: int, error_type: str) -> None:
        self._failed += count
        self._telemetry.exporter_send_failed.add(count, (*self._attributes, ("error.type", error_type)))

    async def _give_up_the_rest(self) -> None:
        if left := await self._queue.leave():
            self._count_lost(left, "shutdown")
            logger.warning("exporter %s: %d exchanges were not delivered before the end", self.name, left)
        if kept := len(self._queue):
            logger.warning("exporter %s: %d exchanges wait on disk for the next start", self.name, kept)

    def _note(self, problem: str | None, *, permanent: bool) -> None:
        """Log when the destination's state changes, not at every failure of a long outage."""
        known = self.condition.error
        if problem is not None:
            if known is None:
                logger.warning("exporter %s: %s", self.name, problem)
            self.condition.failing(problem, permanent=permanent)
        else:
            if known is not None:
                logger.info("exporter %s works again", self.name)
            self.condition.well()

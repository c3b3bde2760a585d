"""The evaluator processes and their supervisor: feed, watch, kill, replace, set aside.

    submit ──▶ queue ──▶ slot 1 ──▶ process         one batch at a time per slot; the heartbeat page says what it is at
                    └──▶ slot 2 ──▶ process

Rule 1: every submitted exchange comes back exactly once, with one entry for every evaluator.
Rule 2: an evaluator over its time limit loses its process; that pair's outcome is error/timeout, and the rest of the
        batch is evaluated again, by a new process.
Rule 3: an exchange under whose evaluation a process died is tried again `max_attempts` times in all; then that
        evaluator's outcome is error/worker_crashed and the others still get their turn.
Rule 4: submitting never waits. A full queue gives every evaluator the outcome skipped/queue_full, at once.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic_ns, time_ns
from typing import Final

import msgspec

from pipeline.evaluate import Heartbeat, Task
from pipeline.records import Evaluation, Exchange, LedgerEntry
from pipeline.ring import shared_memory

BATCH: Final = 16
WATCH: Final = 0.05  # seconds between looks at the heartbeats
FIRST_BACKOFF: Final = 0.05
MAX_BACKOFF: Final = 5.0
SECOND: Final = 1_000_000_000

TIMEOUT: Final = "timeout"
CRASHED: Final = "worker_crashed"
NOT_STARTED: Final = "not_started"

Spawn = Callable[[int, int], Awaitable[asyncio.subprocess.Process]]  # (channel fd, heartbeat fd), both inherited
Done = Callable[[Exchange, tuple[LedgerEntry, ...]], None]


class Item:
    """One exchange on its way through a worker."""

    __slots__ = ("attempts", "entries", "exchange")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.attempts = 0
        self.entries: dict[str, LedgerEntry] = {}  # outcomes that the supervisor gave, not a worker

    def fail(self, evaluator: str, reason: str, duration: int) -> None:
        """This evaluator will not be asked again about this exchange."""
        failed = Evaluation(name=evaluator.partition("/")[0], error_type=reason)
        started_at = time_ns() - duration
        self.entries[evaluator] = LedgerEntry(evaluator, "error", reason, (failed,), started_at, duration)


class WorkerDied(Exception):
    """The process ended before it answered; `reason` is why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """One evaluator process and the parent's end of its channel and heartbeat."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket, page: mmap.mmap) -> None:
        self.process = process
        self.heartbeat = Heartbeat(memoryview(page)[: Heartbeat.SIZE].cast("Q"))
        self._channel = channel
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @classmethod
    async def start(cls, spawn: Spawn) -> Worker:
        """A new process with a channel and a heartbeat of its own."""
        ours, theirs = socket.socketpair()
        heartbeat_fd = shared_memory(mmap.PAGESIZE)
        try:
            page = mmap.mmap(heartbeat_fd, mmap.PAGESIZE)
            process = await spawn(theirs.fileno(), heartbeat_fd)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(heartbeat_fd)
        worker = cls(process, ours, page)
        worker._streams = await asyncio.open_connection(sock=ours)
        return worker

    async def evaluate(self, tasks: Sequence[Task], timeout: float) -> list[list[LedgerEntry]]:  # noqa: ASYNC109
        """The batch's entries; kills the process and raises WorkerDied when one evaluator takes over `timeout`."""
        assert self._streams
        reader, writer = self._streams
        payload = msgspec.msgpack.encode(tasks)
        reply = asyncio.ensure_future(self._reply(reader))
        try:
            writer.write(len(payload).to_bytes(4, "big") + payload)
            while not (await asyncio.wait((reply,), timeout=WATCH))[0]:
                since = self.heartbeat.read()[2]
                if since and monotonic_ns() - since > timeout * SECOND:
                    raise WorkerDied(TIMEOUT)
            return msgspec.msgpack.decode(reply.result(), type=list[list[LedgerEntry]])
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerDied(CRASHED) from None
        finally:
            reply.cancel()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        size = int.from_bytes(await reader.readexactly(4), "big")
        return await reader.readexactly(size)

    async def stop(self) -> None:
        """Kill it and wait until it is gone."""
        if self._streams:
            self._streams[1].close()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class WorkerPool:
    """An async context manager; `on_done` is called once for every exchange submitted."""

    def __init__(
        self,
        spawn: Spawn,
        evaluators: tuple[str, ...],
        on_done: Done,
        *,
        workers: int,
        timeout: float,
        max_attempts: int,
        queue_size: int,
        on_restart: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.evaluators = evaluators
        self._spawn = spawn
        self._on_done = on_done
        self._on_restart = on_restart
        self._slots = workers
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._queue_size = queue_size
        self._queue: deque[Item] = deque()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._unfinished = 0
        self._generation = 0
        self.tasks: list[asyncio.Task[None]] = []  # run as long as this does; one that ends early is a fault

    async def __aenter__(self) -> WorkerPool:
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self._run_slot()) for _ in range(self._slots)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def submit(self, exchange: Exchange) -> None:
        """Have it evaluated. Never waits."""
        if not self.evaluators:
            self._on_done(exchange, ())
        elif self._unfinished >= self._queue_size:
            now = time_ns()
            entries = (LedgerEntry(name, "skipped", "queue_full", started_at=now) for name in self.evaluators)
            self._on_done(exchange, tuple(entries))
        else:
            self._unfinished += 1
            self._queue.append(Item(exchange))
            self._more.set()

    @property
    def unfinished(self) -> int:
        """Exchanges submitted and not yet back."""
        return self._unfinished

    async def drained(self) -> None:
        """Wait until everything submitted is back."""
        while self._unfinished:
            self._idle.clear()
            await self._idle.wait()

    def replace(self, spawn: Spawn, evaluators: tuple[str, ...]) -> None:
        """From the next batch on, other evaluators: each slot changes its process when it is between two."""
        self._spawn = spawn
        self.evaluators = evaluators
        self._generation += 1
        self._more.set()

    async def _run_slot(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            generation, evaluators = self._generation, self.evaluators
            try:
                worker = await Worker.start(self._spawn)
            except OSError:  # no process or memory to be had just now
                self._on_restart(NOT_STARTED)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF)
                continue
            batch: list[Item] = []
            try:
                while generation == self._generation:
                    batch = await self._take()
                    if generation != self._generation:
                        break
                    tasks = [Task(item.exchange, tuple(item.entries)) for item in batch]
                    for item, entries in zip(batch, await worker.evaluate(tasks, self._timeout), strict=True):
                        self._finish(item, evaluators, entries)
                    batch = []
                    backoff = FIRST_BACKOFF
            except WorkerDied as death:
                self._on_restart(death.reason)
                culprit_known = self._blame(batch, evaluators, death.reason, worker.heartbeat)
                await worker.stop()
                if not culprit_known:  # it dies whatever it is given
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, MAX_BACKOFF)
            finally:
                self._queue.extendleft(reversed(batch))
                await asyncio.shield(worker.stop())

    async def _take(self) -> list[Item]:
        """The next batch; empty when the evaluators changed meanwhile."""
        if not self._queue:
            self._more.clear()
            await self._more.wait()
        return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _blame(self, batch: list[Item], evaluators: tuple[str, ...], reason: str, heartbeat: Heartbeat) -> bool:
        """Whom the process died under; that pair gets its outcome once it has had its chances."""
        task, evaluator, since = heartbeat.read()
        if not since or task >= len(batch):
            self._blame_all(batch, evaluators, reason)
            return False
        item, name = batch[task], evaluators[evaluator]
        item.attempts += 1
        if reason == TIMEOUT or item.attempts >= self._max_attempts:
            item.fail(name, reason, monotonic_ns() - since)
        return True

    def _blame_all(self, batch: list[Item], evaluators: tuple[str, ...], reason: str) -> None:
        """It died outside any evaluator: each of its batch may be why, and has only so many chances."""
        for item in batch:
            item.attempts += 1
        given_up = [item for item in batch if item.attempts >= self._max_attempts]
        batch[:] = [item for item in batch if item.attempts < self._max_attempts]
        for item in given_up:
            for name in evaluators:
                item.fail(name, reason, 0)
            self._finish(item, evaluators, [])

    def _finish(self, item: Item, evaluators: tuple[str, ...], entries: list[LedgerEntry]) -> None:
        by_name = item.entries | {entry.evaluator: entry for entry in entries}
        self._unfinished -= 1
        self._idle.set()
        self._on_done(item.exchange, tuple(by_name[name] for name in evaluators))

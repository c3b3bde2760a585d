"""The way of every capture: decode → describe → redact → journal (pending) → evaluate → sample → journal (done) →
export.

    hand-off ──read──▶ decode … redact ──▶ journal.add ──▶ worker pool ──▶ sample ──▶ journal.finish ──▶ deliveries
                          one batch at a time                  on_done: one by one, gathered into batches

Rule 1: content is redacted before anything is written or sent to another process.
Rule 2: what was added to the journal is finished there exactly once, in this life or the next, and not before every
        exporter has delivered it, lost and counted it, or has it on disk.
Rule 3: a journal that cannot write (full disk) costs durability, not traffic or results: the failure is counted and the
        exchange goes on in memory.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, time_ns
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from pipeline import frame
from pipeline.condition import Condition
from pipeline.judge_queue import Debts, JudgeQueue
from pipeline.own_calls import is_own_call
from pipeline.records import Capture, EvaluatedExchange, Exchange, LedgerEntry
from pipeline.telemetry import Telemetry
from pipeline.workers import WorkerPool

READ: Final = 64  # captures decoded in one go, before other tasks get their turn
GATHER_FOR: Final = 0.025  # seconds, well below the time in which the fastest proxy fills the ring
GATHER_ROUNDS: Final = 4
GATHER_BYTES: Final = 128 * 1024
RESUME: Final = 256
MAX_LIVES: Final = 20  # pipeline processes that may die while an exchange is pending
UNREADABLE: Final = "stored_body_unreadable"
LINGER: Final = 0.1  # seconds that finished exchanges are gathered before they are written
GATHER: Final = 256  # or until there are this many
LOG_EVERY: Final = 10.0  # seconds between two lines about the same trouble

log = logging.getLogger("sidelight.pipeline")


class Journal(Debts, Protocol):
    """What the runner needs of the store; see store.journal.Journal."""

    async def add(self, exchanges: Sequence[tuple[Exchange, bytes | None]]) -> None: ...
    async def finish(self, evaluated: Sequence[EvaluatedExchange]) -> None: ...
    async def pending(self, after: str, limit: int) -> list[tuple[str, int, Exchange | None]]: ...
    async def abandon(self, identity: str, evaluators: Sequence[str], reason: str) -> None: ...
    async def enter(self, identity: str, entries: Sequence[LedgerEntry]) -> None: ...


class Source(Protocol):
    """Where captures come from; see pipeline.ring.HandOffReader."""

    bell: int

    @property
    def held(self) -> int: ...
    def hear_bell(self) -> None: ...
    def read(self, limit: int) -> list[bytes]: ...
    def done(self) -> None: ...


async def at_once() -> None:
    """Nothing to wait for."""


class Stages:
    """The pure steps, as configured; replaced as a whole when the configuration is reloaded."""

    def __init__(
        self,
        decode: Callable[[Capture], tuple[Exchange, ...]],
        describe: Callable[[Capture, Exchange], Exchange],
        redact: Callable[[Exchange], Exchange],
        sample: Callable[[EvaluatedExchange], EvaluatedExchange],
        stored: Callable[[Exchange], Exchange],
    ) -> None:
        self.decode = decode
        self.describe = describe  # who asked, in which session, what it cost: what needs the texts as they were
        self.redact = redact
        self.sample = sample
        self.stored = stored  # the exchange as the store may hold it


class Runner:
    """An async context manager: runs from enter to exit; exit finishes what the hand-off still holds."""

    def __init__(
        self,
        sources: Sequence[Source],
        stages: Stages,
        journal: Journal,
        telemetry: Telemetry,
        deliver: Callable[[EvaluatedExchange], None],
        measure: Callable[[EvaluatedExchange], None],
        settle: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        self.stages = stages
        self.pool: WorkerPool  # set by whoever wires: the pool is built with `on_done`
        self.judges = JudgeQueue(journal, self.tell_late)  # nobody, unless whoever wires seats some
        self.pending = 0  # accepted and not yet finished
        self.journal_condition = Condition()
        self._sources = sources
        self._journal = journal
        self._telemetry = telemetry
        self._deliver = deliver
        self._measure = measure
        self._settle = settle  # what was delivered is safe elsewhere: only then is an exchange done
        self._rung = asyncio.Event()
        self._finished: list[EvaluatedExchange] = []
        self._unwritten: dict[str, tuple[Exchange, bytes]] = {}  # in flight, and not in the journal yet
        self._more_finished = asyncio.Event()
        self._resumed: set[str] = set()
        self.tasks: list[asyncio.Task[None]] = []  # run as long as this does; one that ends early is a fault
        self._log_due = 0.0
        self._ending = False

    async def __aenter__(self) -> Runner:
        loop = asyncio.get_running_loop()
        for source in self._sources:
            loop.add_reader(source.bell, self._on_bell, source)
        self._rung.set()  # a life before this one may have left something
        self.tasks = [loop.create_task(self._resume_and_take()), loop.create_task(self._write_finished())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take what the hand-off holds and let the pool finish; whoever wires bounds the time."""
        loop = asyncio.get_running_loop()
        for source in self._sources:
            loop.remove_reader(source.bell)
        try:
            await self._drain()
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self._write(self._take_finished())

    async def _drain(self) -> None:
        self._ending = True
        self._rung.set()
        await self.tasks[0]
        await self.pool.drained()

    def on_done(self, exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        """An exchange came back from the pool: decide whether it is kept; it is written with the next batch."""
        evaluated = self.judges.consider(self.stages.sample(EvaluatedExchange(exchange, entries)))
        self._measure(evaluated)
        if evaluated.kept != "sampled_out":
            self._deliver(evaluated)
        self._finished.append(evaluated)
        self._more_finished.set()

    # -- front ----------------------------------------------------------------------------------------------------

    def _on_bell(self, source: Source) -> None:
        source.hear_bell()
        self._rung.set()

    async def _resume_and_take(self) -> None:
        try:
            await self._resume()
        except sqlite3.Error as error:
            self._trouble(f"journal: {error}")
        while True:
            self._rung.clear()
            while await self._take_once():
                pass
            if self._ending:
                return
            await self._rung.wait()
            await self._gather()

    async def _gather(self) -> None:
        """One round for many captures costs little more than for one: wait for company, unless there is plenty."""
        for _ in range(GATHER_ROUNDS):
            if self._ending or sum(source.held for source in self._sources) > GATHER_BYTES:
                return
            await asyncio.sleep(GATHER_FOR)

    async def _resume(self) -> None:
        """Evaluate again what a crash left pending."""
        after = ""
        while rows := await self._journal.pending(after, RESUME):
            for identity, attempts, exchange in rows:
                after = identity
                self._resumed.add(identity)
                if exchange is None:
                    await self._journal.abandon(identity, self.pool.evaluators, UNREADABLE)
                    continue
                self.pending += 1
                if attempts >= MAX_LIVES:
                    self.on_done(exchange, set_aside(self.pool.evaluators))
                else:
                    self._evaluate(exchange)
            await self.pool.drained()  # a backlog is no reason to skip anything

    async def _take_once(self) -> bool:
        """One batch from every source; False when there was nothing."""
        records = [record for source in self._sources for record in source.read(READ)]
        if not records:
            self._resumed.clear()  # what a former life journaled and had not let go of has come by
            return False
        captures = sorted(filter(None, map(self._decoded, records)), key=ended_at)  # of all proxies, as they ended
        read = [row for capture in captures for row in self._read(capture)]
        rows = [(exchange, body) for exchange, body in read if exchange.id not in self._resumed]
        self.pending += len(rows)
        await self._add(rows)
        for source in self._sources:
            source.done()
        for exchange, _ in rows:
            self._evaluate(exchange)
        await asyncio.sleep(0)
        return True

    def _evaluate(self, exchange: Exchange) -> None:
        """By everybody, unless it is a judge's own call: judgements are not judged."""
        if is_own_call(exchange):
            self.on_done(exchange, filtered(self.pool.evaluators))
        else:
            self.pool.submit(exchange)

    def _decoded(self, record: bytes) -> Capture | None:
        """Bytes → capture; bytes that nobody can read are counted and lost."""
        try:
            return frame.decode(record)
        except Exception as error:
            self._unreadable(error)
            return None

    def _read(self, capture: Capture) -> list[tuple[Exchange, bytes]]:
        """Capture → redacted exchanges, each with its body for the journal; one that fails is counted and lost."""
        stages = self.stages
        try:
            exchanges = [stages.redact(stages.describe(capture, exchange)) for exchange in stages.decode(capture)]
            rows = [(exchange, msgspec.msgpack.encode(stages.stored(exchange))) for exchange in exchanges]
        except Exception as error:  # one capture must not stop the others
            self._unreadable(error)
            return []
        for exchange in exchanges:
            self._telemetry.exchange_accepted.add(1, (("wire", exchange.wire),))
            if exchange.decode_error is not None:
                self._telemetry.decode_errors.add(1, (("kind", exchange.decode_error),))
        return rows

    def _unreadable(self, error: Exception) -> None:
        self._telemetry.decode_errors.add(1, (("kind", "unreadable_capture"),))
        self._trouble(f"decode: {type(error).__name__}")  # its text could quote content

    async def _add(self, rows: list[tuple[Exchange, bytes]]) -> None:
        try:
            await self._journal.add(rows)
        except sqlite3.Error as error:
            self._unwritten |= {exchange.id: (exchange, body) for exchange, body in rows}
            self._telemetry.journal_failed.add(len(rows), (("operation", "add"),))
            self._unwritable(error)

    # -- back -----------------------------------------------------------------------------------------------------

    async def _write_finished(self) -> None:
        while True:
            await self._more_finished.wait()
            if len(self._finished) < GATHER:
                await asyncio.sleep(LINGER)
            await self._write(self._take_finished())

    def _take_finished(self) -> list[EvaluatedExchange]:
        finished, self._finished = self._finished, []
        self._more_finished.clear()
        return finished

    async def _write(self, finished: list[EvaluatedExchange]) -> None:
        if not finished:
            return
        late = [row for each in finished if (row := self._unwritten.pop(each.exchange.id, None))]
        try:
            if late:  # the journal may write again by now
                await self._journal.add(late)
            await self._settle()
            await asyncio.shield(self._journal.finish(finished))
        except sqlite3.Error as error:
            self._telemetry.journal_failed.add(len(finished), (("operation", "finish"),))
            self._unwritable(error)
            for each in finished:
                if each.owed:
                    self._measure(replace(each, entries=self.judges.unwritten(each), owed=(), late=True))
        else:
            self.journal_condition.well()
            self.judges.written()
        finally:  # also when the runner ends meanwhile: the journal's thread still finishes them
            self.pending -= len(finished)
            self._telemetry.exchange_done.add(len(finished))
            self._observe_delays(finished)

    async def tell_late(self, evaluated: EvaluatedExchange) -> None:
        """What was learned of an exchange after it was done: into the ledger first, then to all who were told of it.

        Safe when this returns, as far as the exporters' queues are; told again it is the same again.
        """
        await self._journal.enter(evaluated.exchange.id, evaluated.entries)
        self._measure(evaluated)
        if evaluated.kept != "sampled_out":
            self._deliver(evaluated)
            await self._settle()

    def _observe_delays(self, finished: Sequence[EvaluatedExchange]) -> None:
        now = time_ns()
        ends = [each.exchange.timing.started_at + each.exchange.timing.ended_at for each in finished]
        self._telemetry.exchange_delay.record_many([max(now - end, 0) / 1e9 for end in ends])

    def _unwritable(self, error: sqlite3.Error) -> None:
        self.journal_condition.failing(str(error))
        self._trouble(f"journal: {error}")

    def _trouble(self, what: str) -> None:
        """One line now and then: trouble that can come with every exchange must not flood the log."""
        if monotonic() >= self._log_due:
            self._log_due = monotonic() + LOG_EVERY
            log.error("%s", what)


def set_aside(evaluators: tuple[str, ...]) -> tuple[LedgerEntry, ...]:
    """The outcomes of an exchange under which Sidelight died too often."""
    now = time_ns()
    return tuple(LedgerEntry(name, "error", "pipeline_crashed", started_at=now) for name in evaluators)


def filtered(evaluators: tuple[str, ...]) -> tuple[LedgerEntry, ...]:
    """The outcomes of an exchange that is not for evaluators."""
    now = time_ns()
    return tuple(LedgerEntry(name, "skipped", "filtered", started_at=now) for name in evaluators)


def ended_at(capture: Capture) -> int:
    """When its last byte passed; ns since the epoch."""
    return capture.started_at + capture.ended_at


def unchanged(exchange: Exchange) -> Exchange:
    """The stage that does nothing."""
    return exchange


def without_content(exchange: Exchange) -> Exchange:
    """What a store that may not hold content gets: the shape, the numbers, no text."""
    return replace(
        exchange,
        content="off",
        system_instructions=(),
        input_messages=(),
        output_messages=tuple(replace(message, parts=()) for message in exchange.output_messages),
        tool_definitions=(),
        output_schema=None,
        error_message=None,
        context=(),
        ground_truth=None,
    )

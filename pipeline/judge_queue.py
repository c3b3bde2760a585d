"""The judges beside traffic: who is asked about what, in what order, and how the answer finds its exchange again.

    consider ──▶ skipped, at once: the exchange's own ledger says why
            └──▶ owed: written with the exchange, when it is done; or later, after bad feedback
                   │  oldest first, as many at a time as the judge takes
                   ▼
                 judge ──▶ told late, in the exchange's trace ──▶ paid

Rule 1: for each exchange and each judge there is one outcome at once, or one debt in the journal and one outcome later.
Rule 2: the journal is the queue: nothing waits in memory but what is being judged, so a judge may be away or closed for
        a day, and a crash loses no debt. What was being judged then is asked again, or remembered.
Rule 3: a debt that nobody can pay any more (the judge has gone from the configuration, the content from the store) has
        an outcome that says so.
Rule 4: an outcome that has come is told and paid without interruption, whoever judges next; told twice it would be
        counted twice.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import time, time_ns
from typing import Final, Protocol

from msgspec.structs import replace

from pipeline.inputs import missing_input
from pipeline.judging import Judging
from pipeline.own_calls import is_own_call
from pipeline.records import EvaluatedExchange, Exchange, LedgerEntry, Owed

BATCH: Final = 16
TRY_AGAIN: Final = 5.0  # seconds after the journal could not be read or written
SETTLE_WITHIN: Final = 1.0  # seconds that outcomes which have come may take at the end
LONGEST_SLEEP: Final = 60.0  # seconds between two looks at the clock

log = logging.getLogger("sidelight.judges")


class Known(Protocol):
    """An exchange as the journal has it; see store.journal.Known."""

    @property
    def weight(self) -> float: ...
    @property
    def kept(self) -> str: ...
    @property
    def exchange(self) -> Exchange: ...


class Debt(Protocol):
    """An outcome that is owed; see store.journal.Debt."""

    @property
    def number(self) -> int: ...
    @property
    def weight(self) -> float: ...
    @property
    def known(self) -> Known: ...


class Debts(Protocol):
    """What the judges need of the journal; see store.journal.Journal."""

    async def owed(self, evaluator: str, after: int, limit: int) -> Sequence[Debt]: ...
    async def debtors(self) -> dict[str, int]: ...
    async def owe_after_all(self, identity: str, evaluator: str) -> bool: ...
    async def paid(self, identity: str, evaluator: str) -> None: ...


Tell = Callable[[EvaluatedExchange], Awaitable[None]]


class JudgeQueue:
    """An async context manager; nobody judges until judges are seated, and what is being judged when it ends is owed
    still."""

    def __init__(self, debts: Debts, tell: Tell) -> None:
        self._debts = debts
        self._tell = tell
        self._judgings: dict[str, Judging] = {}
        self._selectors: dict[str, Callable[[EvaluatedExchange], float]] = {}
        self._pending: Counter[str] = Counter()
        self._more: dict[str, asyncio.Event] = {}
        self._left = asyncio.Event()  # judges that are no longer there may owe something
        self._settling: dict[int, asyncio.Task[None]] = {}  # by the debt's number
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> JudgeQueue:
        self._pending.update(await self._debts.debtors())
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._serving)
        if settling := list(self._settling.values()):
            await asyncio.wait(settling, timeout=SETTLE_WITHIN)
            await end(settling)

    async def seat(self, judgings: Mapping[str, Judging]) -> None:
        """These judge from now on, also what is owed in their names; when this returns, those before them are free."""
        self._judgings = dict(judgings)
        self._selectors = {name: each.options.selector() for name, each in judgings.items()}
        await end(self._serving)
        self._more = {name: asyncio.Event() for name in judgings}
        works = {"judges that left": self._forgive} | {name: partial(self._serve, name) for name in judgings}
        start = asyncio.get_running_loop().create_task
        self._serving = [start(always(name, work)) for name, work in works.items()]

    @property
    def pending(self) -> Mapping[str, int]:
        """Judge → outcomes that it owes, those included that will be written with their exchange."""
        return {name: self._pending[name] for name in {*self._judgings, *+self._pending}}

    def consider(self, evaluated: EvaluatedExchange) -> EvaluatedExchange:
        """The exchange with each judge's outcome, where it has none to wait for, and with what will come later."""
        if not self._judgings:
            return evaluated
        entries, owed = list(evaluated.entries), []
        for name, judging in self._judgings.items():
            reason, weight = self._decision(name, judging, evaluated)
            if reason is not None:
                entries.append(judging.skipped(reason))
            else:
                self._pending[name] += 1
                owed.append(Owed(name, weight))
        return replace(evaluated, entries=tuple(entries), owed=tuple(owed))

    def _decision(self, name: str, judging: Judging, evaluated: EvaluatedExchange) -> tuple[str | None, float]:
        """(why it is not judged, or None; the weight of its judgement)."""
        if is_own_call(evaluated.exchange):
            return "filtered", 0.0
        if missing_input(judging.options.requires, evaluated.exchange) is not None:
            return "missing_input", 0.0
        weight = self._selectors[name](evaluated) if evaluated.kept != "sampled_out" else 0.0
        if not weight:
            return "sampled_out", 0.0
        return ("queue_full", 0.0) if self._pending[name] >= judging.options.queue else (None, weight)

    def written(self) -> None:
        """Debts have been written: there is something to do."""
        for event in (*self._more.values(), self._left):
            event.set()

    def unwritten(self, evaluated: EvaluatedExchange) -> tuple[LedgerEntry, ...]:
        """The journal did not take these debts: nobody will pay them, and this is their outcome."""
        for owed in evaluated.owed:
            self._pending[owed.evaluator] -= 1
        return tuple(LedgerEntry(owed.evaluator, "error", "journal_failed") for owed in evaluated.owed)

    async def reconsider(self, identity: str) -> None:
        """Somebody says that this answer is bad: judges who look at such, and have not, look at it after all."""
        for name, judging in self._judgings.items():
            if "feedback" not in judging.options.always or self._pending[name] >= judging.options.queue:
                continue
            try:
                self._pending[name] += await self._debts.owe_after_all(identity, name)
            except sqlite3.Error as error:
                log.error("journal: %s", error)
        self.written()

    # -- paying ---------------------------------------------------------------------------------------------------

    async def _serve(self, name: str) -> None:
        """As many at a time as the judge takes, oldest first."""
        judging = self._judgings[name]
        waiting: asyncio.Queue[Debt] = asyncio.Queue(maxsize=1)

        async def work() -> None:
            while True:
                await self._pay(judging, await waiting.get())

        async with asyncio.TaskGroup() as group:
            for _ in range(judging.options.concurrency):
                group.create_task(work())
            await self._feed(name, waiting)

    async def _feed(self, name: str, waiting: asyncio.Queue[Debt]) -> None:
        after, more = 0, self._more[name]
        while True:
            more.clear()
            debts = await self._owed(name, after)
            for debt in [debt for debt in debts if debt.number not in self._settling]:
                await waiting.put(debt)
            if debts:
                after = debts[-1].number
            else:
                await more.wait()

    async def _owed(self, name: str, after: int) -> Sequence[Debt]:
        """The next ones; a disk that cannot be read is tried again."""
        while True:
            try:
                return await self._debts.owed(name, after, BATCH)
            except sqlite3.Error as error:
                log.error("journal: %s", error)
                await asyncio.sleep(TRY_AGAIN)

    async def _pay(self, judging: Judging, debt: Debt) -> None:
        entry = await self._outcome(judging, debt.known.exchange)
        await self._settle(debt, replace(entry, weight=debt.weight))

    async def _outcome(self, judging: Judging, exchange: Exchange) -> LedgerEntry:
        """Ask when it may be asked, one alone whether it is back; what has waited too long for that is skipped."""
        ended = (exchange.timing.started_at + exchange.timing.ended_at) / 1e9
        while True:
            if wait := self._wait(judging):
                if time() - ended > judging.options.max_wait:
                    return judging.skipped("window")
                await asyncio.sleep(min(wait, LONGEST_SLEEP))
            elif not judging.breaker.on_trial:
                return await judging.judge(exchange)
            else:
                async with judging.trial:
                    if judging.breaker.on_trial:
                        return await judging.judge(exchange)

    def _wait(self, judging: Judging) -> float:
        hours = judging.options.open
        return max(judging.breaker.wait, hours.wait(time()) if hours else 0.0)

    async def _settle(self, debt: Debt, entry: LedgerEntry) -> None:
        """Goes on to its end also when whoever waits for it does not."""
        task = asyncio.get_running_loop().create_task(self._tell_and_pay(debt, entry))
        self._settling[debt.number] = task
        task.add_done_callback(lambda _: self._settling.pop(debt.number, None))
        await asyncio.shield(task)

    async def _tell_and_pay(self, debt: Debt, entry: LedgerEntry) -> None:
        """Into the ledger and to everybody, then off the list; a disk that will not have it is tried again."""
        known = debt.known
        late = EvaluatedExchange(known.exchange, (entry,), known.weight, known.kept, late=True)
        told = False
        while True:
            try:
                if not told:
                    await self._tell(late)
                    told = True
                await self._debts.paid(known.exchange.id, entry.evaluator)
            except sqlite3.Error as error:
                log.error("journal: %s", error)
                await asyncio.sleep(TRY_AGAIN)
            else:
                self._pending[entry.evaluator] -= 1
                return

    async def _forgive(self) -> None:
        """Judges that are no longer there owe nothing."""
        while True:
            self._left.clear()
            for name in [name for name in +self._pending if name not in self._judgings]:
                await self._forgive_one(name)
            await self._left.wait()

    async def _forgive_one(self, name: str) -> None:
        after = 0
        while debts := await self._owed(name, after):
            for debt in [debt for debt in debts if debt.number not in self._settling]:
                entry = LedgerEntry(name, "skipped", "filtered", started_at=time_ns(), weight=debt.weight)
                await self._settle(debt, entry)
            after = debts[-1].number


async def always(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """A fault of ours costs a moment, not the judge."""
    while True:
        try:
            await work()
        except* Exception as errors:  # their texts could quote content
            log.error("%s begins again: %s", name, ", ".join(type(each).__name__ for each in errors.exceptions))
        await asyncio.sleep(TRY_AGAIN)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

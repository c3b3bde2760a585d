"""One judge at work: the cache, the budget, the breaker and the attempts around each time it is asked.

    exchange ─▶ judged before? ─▶ affordable? ─▶ ask, again where the endpoint is busy ─▶ settle ─▶ remember
                  its verdict       skipped/budget            error/<what it said>

Money is set aside before each attempt and settled after, so that many at once cannot spend more than there is. What an
attempt without an answer cost nobody knows: it stays spent.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic_ns, time, time_ns
from typing import Final, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from pipeline.breaker import Breaker
from pipeline.budget import HOUR, Limit, Spend
from pipeline.condition import Condition
from pipeline.errors import Permanent, Retryable
from pipeline.inputs import missing_input
from pipeline.records import CalibrationState, EvaluatedExchange, Evaluation, Exchange, LedgerEntry, outcome_of
from pipeline.telemetry import Telemetry

FIRST_BACKOFF: Final = 1.0  # seconds
LONGEST_BACKOFF: Final = 60.0
MINUTES: Final = 24 * 60
AWAY: Final = "judge_away"


class Verdict(Struct, frozen=True):
    """What a judge said, and what it cost."""

    evaluations: tuple[Evaluation, ...]
    spend: Spend = Spend()


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day, UTC, in minutes; it may span midnight."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """`22:00-06:00`; ValueError for what is none."""
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)", text.strip())
        if not found:
            raise ValueError(f"hours is {text!r}; write UTC times like 22:00-06:00")
        begin, end = (int(found[place]) * 60 + int(found[place + 1]) for place in (1, 3))
        return cls(begin, end)

    def wait(self, now: float) -> float:
        """Seconds from `now` (s since the epoch) until they begin; 0: they have."""
        minute = now / 60 % MINUTES
        inside = self.start <= minute < self.end if self.start < self.end else not self.end <= minute < self.start
        return 0.0 if inside or self.start == self.end else (self.start - minute) % MINUTES * 60


class Judge(Protocol):
    """Judges exchanges by asking somebody who takes time and money; see processors.judge.Judge."""

    @property
    def limits(self) -> tuple[Limit, ...]: ...
    @property
    def always(self) -> tuple[str, ...]: ...
    @property
    def open(self) -> Hours | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def max_wait(self) -> float: ...
    @property
    def requires(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> str: ...
    @property
    def calibration_state(self) -> CalibrationState: ...
    def selector(self) -> Callable[[EvaluatedExchange], float]: ...
    def key(self, exchange: Exchange) -> str: ...
    def estimate(self, exchange: Exchange) -> Spend: ...
    async def judge(self, exchange: Exchange) -> Verdict: ...


class Memory(Protocol):
    """What was judged, and what it cost; see store.judgements.Judgements."""

    async def find(self, key: str) -> tuple[Evaluation, ...] | None: ...
    async def keep(self, key: str, evaluations: tuple[Evaluation, ...]) -> None: ...
    async def reserve(self, judge: str, limits: Sequence[Limit], spend: Spend, hour: int) -> Limit | None: ...
    async def settle(self, judge: str, difference: Spend, hour: int) -> None: ...


class Found(NamedTuple):
    """What came of it, and what it cost now in US dollars, where that is known."""

    evaluations: tuple[Evaluation, ...]
    cost: float | None


class Judging:
    """One judge by its id in the configuration; `judge` gives exactly one outcome, whatever happens."""

    def __init__(self, name: str, judge: Judge, memory: Memory, telemetry: Telemetry) -> None:
        self.name = name
        self.options = judge
        self.condition = Condition()
        self.breaker = Breaker()
        self.trial = asyncio.Lock()  # while the breaker is on trial, who holds it asks
        self._memory = memory
        self._telemetry = telemetry

    def skipped(self, reason: str) -> LedgerEntry:
        """The outcome where it is not asked."""
        return LedgerEntry(self.name, "skipped", reason, started_at=time_ns(), version=self.options.version)

    def away(self) -> LedgerEntry:
        """The outcome where nobody waits until its endpoint is back."""
        failed = Evaluation(self.name.partition("/")[0], error_type=AWAY)
        return LedgerEntry(self.name, "error", AWAY, (failed,), time_ns(), version=self.options.version)

    async def judge(self, exchange: Exchange) -> LedgerEntry:
        """Its outcome on this exchange: from memory, or by asking."""
        if missing_input(self.options.requires, exchange) is not None:
            return self.skipped("missing_input")
        began, started_at = monotonic_ns(), time_ns()
        try:
            found = await self._remembered_or_asked(exchange)
        except (Permanent, Retryable) as error:
            found = self._failed(str(error))
        except Exception as error:  # a judge of somebody's own: its failure ends here
            found = self._failed(type(error).__name__)
        return self.skipped("budget") if found is None else self._entry(found, started_at, began)

    async def _remembered_or_asked(self, exchange: Exchange) -> Found | None:
        """None: it cannot be afforded."""
        key = await asyncio.to_thread(self.options.key, exchange)  # a digest of all that is shown
        if (remembered := await self._memory.find(key)) is not None:
            self._count("cached")
            return Found(remembered, 0.0)
        verdict = await self._asked(exchange)
        if verdict is None:
            self._count("budget")
            return None
        self._count("answered", verdict.spend)
        if not any(each.error_type for each in verdict.evaluations):
            await self._memory.keep(key, verdict.evaluations)
        return Found(verdict.evaluations, verdict.spend.usd)

    async def _asked(self, exchange: Exchange) -> Verdict | None:
        """The first answer of as many attempts as there may be, and can be afforded."""
        estimate, backoff = await asyncio.to_thread(self.options.estimate, exchange), FIRST_BACKOFF
        for attempt in range(1, self.options.attempts + 1):
            try:
                return await self._attempt(exchange, estimate)
            except Retryable as error:
                if attempt == self.options.attempts or self.breaker.wait:
                    raise
                await asyncio.sleep(min(error.after or random.uniform(0.5, 1) * backoff, LONGEST_BACKOFF))
                backoff *= 2
        raise AssertionError("attempts is at least 1")

    async def _attempt(self, exchange: Exchange, estimate: Spend) -> Verdict | None:
        """An endpoint that answers with a status has not been at work; one that does not answer may have been."""
        hour = int(time()) // HOUR
        if await self._memory.reserve(self.name, self.options.limits, estimate, hour) is not None:
            return None
        try:
            verdict = await self.options.judge(exchange)
        except (Permanent, Retryable) as error:
            self.breaker.failed()
            if self.breaker.wait:
                self.condition.failing(str(error), permanent=isinstance(error, Permanent))
            self._count("failed")
            if str(error).startswith("HTTP "):
                await self._memory.settle(self.name, Spend().minus(estimate), hour)
            raise
        self.breaker.well()
        self.condition.well()
        await self._memory.settle(self.name, verdict.spend.minus(estimate), hour)
        return verdict

    def _failed(self, said: str) -> Found:
        reason = "judge_" + re.sub("[^a-z0-9]+", "_", said.lower())
        return Found((Evaluation(self.name.partition("/")[0], error_type=reason),), None)

    def _entry(self, found: Found, started_at: int, began: int) -> LedgerEntry:
        evaluations = found.evaluations
        outcome = outcome_of(evaluations)
        entry = LedgerEntry(
            self.name,
            outcome,
            next((each.error_type for each in evaluations if each.error_type), None) if outcome == "error" else None,
            evaluations,
            started_at,
            monotonic_ns() - began,
        )
        options = self.options
        return replace(entry, version=options.version, cost=found.cost, calibration=options.calibration_state)

    def _count(self, result: str, spend: Spend | None = None) -> None:
        """Apart from all traffic."""
        judge = (("judge", self.name),)
        self._telemetry.judge_asked.add(1, (*judge, ("result", result)))
        if spend is not None:
            self._telemetry.judge_calls.add(spend.calls, judge)
            self._telemetry.judge_tokens.add(spend.tokens, judge)
            self._telemetry.judge_cost.add(spend.usd, judge)

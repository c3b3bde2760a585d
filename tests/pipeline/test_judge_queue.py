"""For each exchange and each judge one outcome at once, or one debt and one outcome later, whatever happens between."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.breaker import FAILURES, Breaker
from pipeline.errors import Retryable
from pipeline.judge_queue import Debt, JudgeQueue
from pipeline.judging import Hours, Judging, Verdict
from pipeline.own_calls import USER_AGENT
from pipeline.records import EvaluatedExchange, Exchange, Owed
from pipeline.telemetry import Telemetry
from store.journal import Journal
from store.judgements import Judgements
from tests.support.judges import GOOD, ScriptedJudge, good
from tests.support.records import STARTED_AT, an_exchange
from tests.support.sidecar import eventually

FULL = sqlite3.OperationalError("database or disk is full")
NOON = STARTED_AT / 1e9 // 86_400 * 86_400 + 43_200.0  # of the day of all these exchanges
CLOSED_NOW = Hours.parse("18:00-19:00")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says (its only element), and nobody sleeps for long before he looks at it again."""
    clock = [NOON]
    monkeypatch.setattr("pipeline.judge_queue.time", lambda: clock[0])
    monkeypatch.setattr("pipeline.judge_queue.TRY_AGAIN", 0.01)
    monkeypatch.setattr("pipeline.judge_queue.LONGEST_SLEEP", 0.01)
    return clock


def numbered(number: int, **changes: object) -> Exchange:
    return an_exchange(id=f"{number:032x}", **changes)


class Disk:
    """The journal, on a disk that fails as often as it is told, in what it is told."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.failing: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    async def owed(self, evaluator: str, after: int, limit: int) -> Sequence[Debt]:
        self.try_to("owed")
        return await self.journal.owed(evaluator, after, limit)

    async def debtors(self) -> dict[str, int]:
        return await self.journal.debtors()

    async def owe_after_all(self, identity: str, evaluator: str) -> bool:
        self.try_to("owe_after_all")
        return await self.journal.owe_after_all(identity, evaluator)

    async def paid(self, identity: str, evaluator: str) -> None:
        self.try_to("paid")
        await self.journal.paid(identity, evaluator)

    def try_to(self, operation: str) -> None:
        if self.failing[operation]:
            self.failing[operation] -= 1
            self.failed[operation] += 1
            raise FULL


class Life:
    """One life of a pipeline, as far as judges are concerned."""

    def __init__(self, disk: Disk, memory: Judgements) -> None:
        self.disk, self.memory = disk, memory
        self.told: list[EvaluatedExchange] = []
        self.telling = asyncio.Event()  # while not set, nobody can be told
        self.telling.set()
        self.queue = JudgeQueue(disk, self.tell)
        self.judgings: dict[str, Judging] = {}

    async def tell(self, evaluated: EvaluatedExchange) -> None:
        self.disk.try_to("tell")
        await self.disk.journal.enter(evaluated.exchange.id, evaluated.entries)
        self.told.append(evaluated)
        await self.telling.wait()

    async def seat(self, judges: Mapping[str, ScriptedJudge]) -> None:
        self.judgings = {name: Judging(name, judge, self.memory, Telemetry()) for name, judge in judges.items()}
        await self.queue.seat(self.judgings)

    def consider(self, *numbers: int) -> list[EvaluatedExchange]:
        return [self.queue.consider(EvaluatedExchange(numbered(number))) for number in numbers]

    async def write(self, evaluated: Sequence[EvaluatedExchange]) -> None:
        journal = self.disk.journal
        await journal.add([(each.exchange, msgspec.msgpack.encode(each.exchange)) for each in evaluated])
        await journal.finish(evaluated)
        self.queue.written()

    async def done(self, *numbers: int) -> None:
        """These exchanges have been evaluated by everybody else."""
        await self.write(self.consider(*numbers))

    async def settled(self) -> None:
        """Nobody owes anything any more."""
        await eventually(lambda: not any(self.queue.pending.values()))
        assert await self.disk.journal.debtors() == {}

    def outcomes(self) -> list[tuple[int, str, str | None]]:
        """Told late: (exchange, outcome, reason), by exchange."""
        told = [(int(each.exchange.id, 16), entry) for each in self.told for entry in each.entries]
        return sorted((number, entry.outcome, entry.reason) for number, entry in told)


@asynccontextmanager
async def life(path: Path, **judges: ScriptedJudge) -> AsyncIterator[Life]:
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(Journal(str(path / "store.db")))
        memory = await stack.enter_async_context(Judgements(str(path / "judgements")))
        new = Life(Disk(journal), memory)
        await stack.enter_async_context(new.queue)
        await new.seat(judges)
        yield new


def ledger(path: Path) -> list[tuple[str, str, str, str | None]]:
    """As the store has it: (exchange, evaluator, outcome, reason)."""
    with closing(sqlite3.connect(path / "store.db")) as db:
        return db.execute("SELECT exchange_id, evaluator, outcome, reason FROM ledger ORDER BY 1, 2").fetchall()


# -- at once or later -------------------------------------------------------------------------------------------------


async def test_each_exchange_has_one_outcome_of_each_judge(tmp_path: Path) -> None:
    async with life(tmp_path, first=ScriptedJudge(), second=ScriptedJudge(weight=0.0)) as now:
        await now.done(*range(20))
        await now.settled()
    rows = await asyncio.to_thread(ledger, tmp_path)
    assert [(evaluator, outcome, reason) for _, evaluator, outcome, reason in rows] == [
        ("first", "pass", None),
        ("second", "skipped", "sampled_out"),
    ] * 20
    assert [entry.weight for each in now.told for entry in each.entries] == [1.0] * 20


async def test_what_is_told_late_stands_for_as_many_as_was_decided(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge(weight=20.0)) as now:
        await now.done(1)
        await now.settled()
    (told,) = now.told
    assert (told.late, told.entries[0].weight, told.exchange) == (True, 20.0, numbered(1))


async def test_without_judges_an_exchange_stays_as_it_is(tmp_path: Path) -> None:
    async with life(tmp_path) as now:
        evaluated = EvaluatedExchange(numbered(1))
        assert now.queue.consider(evaluated) is evaluated


@pytest.mark.parametrize(
    ("exchange", "kept", "reason"),
    [
        (replace(numbered(1), http=replace(numbered(1).http, user_agent=USER_AGENT)), "ratio", "filtered"),
        (numbered(1, output_messages=()), "ratio", "missing_input"),
        (numbered(1), "sampled_out", "sampled_out"),
    ],
)
async def test_who_is_not_to_be_judged_knows_at_once(
    tmp_path: Path, exchange: Exchange, kept: str, reason: str
) -> None:
    async with life(tmp_path, judge=ScriptedJudge()) as now:
        considered = now.queue.consider(EvaluatedExchange(exchange, kept=kept))
        assert [(entry.outcome, entry.reason) for entry in considered.entries] == [("skipped", reason)]
        assert considered.owed == ()
        assert now.queue.pending == {"judge": 0}


async def test_a_queue_that_is_full_says_so_and_takes_more_once_it_is_not(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def gated(exchange: Exchange) -> Verdict:
        await gate.wait()
        return GOOD

    async with life(tmp_path, judge=ScriptedJudge(gated, queue=3)) as now:
        considered = now.consider(*range(5))
        reasons = [[entry.reason for entry in each.entries] for each in considered]
        assert reasons == [[], [], [], ["queue_full"], ["queue_full"]]
        await now.write(considered)
        gate.set()
        await now.settled()
        assert now.consider(6)[0].owed == (Owed("judge", 1.0),)


# -- bad feedback ------------------------------------------------------------------------------------------------------


async def test_after_bad_feedback_a_judge_that_asks_for_it_looks_at_what_it_had_left_out(tmp_path: Path) -> None:
    """Once; and it stands for no exchange, since those chosen by chance stand for this one too."""
    keen = ScriptedJudge(weight=0.0, always=("feedback",))
    async with life(tmp_path, keen=keen, other=ScriptedJudge(weight=0.0)) as run:
        await run.done(1, 2)
        for _ in range(3):
            await run.queue.reconsider(numbered(1).id)
            await run.settled()
    ((told, entry),) = [(each, entry) for each in run.told for entry in each.entries]
    assert (told.exchange.id, entry.evaluator, entry.outcome, entry.weight) == (numbered(1).id, "keen", "pass", 0.0)
    assert await asyncio.to_thread(ledger, tmp_path) == [
        (numbered(1).id, "keen", "pass", None),
        (numbered(1).id, "other", "skipped", "sampled_out"),
        (numbered(2).id, "keen", "skipped", "sampled_out"),
        (numbered(2).id, "other", "skipped", "sampled_out"),
    ]


async def test_what_was_judged_or_has_no_content_is_not_looked_at_again(tmp_path: Path) -> None:
    judge = ScriptedJudge(weight=20.0, always=("feedback",))
    async with life(tmp_path, judge=judge) as run:
        dropped = run.queue.consider(EvaluatedExchange(numbered(2), weight=0.0, kept="sampled_out"))
        await run.write([*run.consider(1), dropped])
        await run.settled()
        for number in (1, 2, 3):
            await run.queue.reconsider(numbered(number).id)
        await run.settled()
    assert judge.asked == [numbered(1).id]
    assert [entry.weight for each in run.told for entry in each.entries] == [20.0]


async def test_a_disk_that_fails_costs_the_second_look_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with life(tmp_path, judge=ScriptedJudge(weight=0.0, always=("feedback",))) as run:
        await run.done(1)
        run.disk.failing["owe_after_all"] = 1
        await run.queue.reconsider(numbered(1).id)
        assert (run.queue.pending, "disk is full" in caplog.text) == ({"judge": 0}, True)


# -- order and number -------------------------------------------------------------------------------------------------


async def test_the_oldest_are_judged_first(tmp_path: Path) -> None:
    judge = ScriptedJudge(concurrency=1)
    async with life(tmp_path, judge=judge) as now:
        await now.done(*range(40, 0, -1))
        await now.settled()
    assert judge.asked == [numbered(number).id for number in range(40, 0, -1)]  # as they were done


async def test_no_more_at_a_time_than_the_judge_takes(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def gated(exchange: Exchange) -> Verdict:
        await gate.wait()
        return GOOD

    judge = ScriptedJudge(gated, concurrency=3)
    async with life(tmp_path, judge=judge) as now:
        await now.done(*range(10))
        await eventually(lambda: judge.now == 3)
        gate.set()
        await now.settled()
    assert judge.most_at_once == 3


async def test_a_slow_judge_does_not_hold_up_another(tmp_path: Path) -> None:
    async def never(exchange: Exchange) -> Verdict:
        await asyncio.Event().wait()
        return GOOD

    async with life(tmp_path, slow=ScriptedJudge(never), quick=ScriptedJudge()) as now:
        await now.done(*range(30))
        await eventually(lambda: now.queue.pending == {"slow": 30, "quick": 0})


async def test_debts_that_come_one_by_one_are_all_found(tmp_path: Path) -> None:
    """Also one that is written just while the queue looks for more."""
    async with life(tmp_path, judge=ScriptedJudge()) as now:
        for number in range(100):
            await now.done(number)
        await now.settled()
    assert [number for number, *_ in now.outcomes()] == list(range(100))


# -- when nobody may be asked -----------------------------------------------------------------------------------------


async def test_outside_its_hours_it_waits_and_then_judges(tmp_path: Path, now: list[float]) -> None:
    judge = ScriptedJudge(open=CLOSED_NOW)
    async with life(tmp_path, judge=judge) as run:
        await run.done(*range(10))
        await run.done(11)
        assert judge.asked == []
        now[0] = NOON + 6 * 3600
        await run.settled()
    assert len(judge.asked) == 11


async def test_hours_may_span_midnight(tmp_path: Path, now: list[float]) -> None:
    judge = ScriptedJudge(open=Hours.parse("22:00-02:00"))
    now[0] = NOON + 13 * 3600  # one at night, the day after
    async with life(tmp_path, judge=judge) as run:
        await run.done(1)
        await run.settled()
    assert run.outcomes() == [(1, "pass", None)]


async def test_what_has_waited_too_long_for_its_hours_is_skipped(tmp_path: Path, now: list[float]) -> None:
    judge = ScriptedJudge(open=CLOSED_NOW, max_wait=86_400.0)
    now[0] = STARTED_AT / 1e9 + 86_400.0 * 2
    while not CLOSED_NOW.wait(now[0]):
        now[0] += 3600
    async with life(tmp_path, judge=judge) as run:
        await run.done(*range(30))
        await run.settled()
    assert {(outcome, reason) for _, outcome, reason in run.outcomes()} == {("skipped", "window")}
    assert (len(run.told), judge.asked) == (30, [])


async def test_while_the_breaker_is_open_debts_wait_and_after_an_outage_they_are_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, away, answers = [1000.0], [True], asyncio.Semaphore(0)
    answered: list[str] = []
    monkeypatch.setattr("pipeline.judging.Breaker", lambda: Breaker(lambda: clock[0]))

    async def endpoint(exchange: Exchange) -> Verdict:
        await answers.acquire()
        answered.append(exchange.id)
        if away[0]:
            raise Retryable("HTTP 503")
        return GOOD

    async def answer(expected: int) -> None:
        """Those who ask now, all at once."""
        await eventually(lambda: judge.now == expected)
        answered.clear()
        for _ in range(expected):
            answers.release()
        await eventually(lambda: len(answered) == expected)

    judge = ScriptedJudge(endpoint, concurrency=4)
    async with life(tmp_path, judge=judge) as run:
        breaker, condition = run.judgings["judge"].breaker, run.judgings["judge"].condition
        await run.done(*range(60))
        await answer(4)
        assert condition.state == "StatusOK"
        await answer(4)
        await eventually(lambda: run.queue.pending["judge"] == 52)
        assert FAILURES <= len(judge.asked) == 8
        assert (breaker.wait, condition.state, condition.error) == (15.0, "StatusRecoverableError", "HTTP 503")
        for trial in range(1, 4):  # one call each, however many there may be at a time
            clock[0] += breaker.wait
            await eventually(lambda: judge.now == 1)
            await run.done(100 + trial)  # time enough for others to ask
            await answer(1)
            await eventually(lambda: breaker.wait > 0)
            assert len(judge.asked) == 8 + trial
        away[0] = False
        clock[0] += breaker.wait
        for _ in range(60):
            answers.release()
        await run.settled()
        assert condition.state == "StatusOK"
    assert Counter(outcome for _, outcome, _ in run.outcomes()) == {"error": 11, "pass": 52}


# -- who and what has gone --------------------------------------------------------------------------------------------


async def test_a_judge_that_left_owes_nothing(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge(open=CLOSED_NOW)) as before:
        await before.done(*range(40))
    async with life(tmp_path, other=ScriptedJudge()) as now:
        await now.settled()
        assert now.queue.pending == {"other": 0}
    assert now.outcomes() == [(number, "skipped", "filtered") for number in range(40)]


async def test_content_that_has_gone_is_missing(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge(open=CLOSED_NOW)) as run:
        await run.done(1, 2)
        await asyncio.to_thread(forget_bodies, tmp_path)
        judge = ScriptedJudge()
        await run.seat({"judge": judge})
        await run.settled()
    assert run.outcomes() == [(1, "skipped", "missing_input"), (2, "skipped", "missing_input")]
    assert judge.asked == []


def forget_bodies(path: Path) -> None:
    with closing(sqlite3.connect(path / "store.db")) as db, db:
        db.execute("UPDATE exchange SET body = NULL")


async def test_a_debt_keeps_its_exchange_until_it_is_paid(tmp_path: Path) -> None:
    """One that expired meanwhile could never be paid: its ledger has gone."""
    async with life(tmp_path, judge=ScriptedJudge(open=CLOSED_NOW)) as run:
        await run.done(1)
        assert await run.disk.journal.expire(STARTED_AT + 1) == 0
        await run.seat({"judge": ScriptedJudge()})
        await run.settled()
        assert await run.disk.journal.expire(STARTED_AT + 1) == 1
    assert run.outcomes() == [(1, "pass", None)]


# -- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["owed", "tell", "paid"])
async def test_a_disk_that_fails_is_tried_again_and_nothing_is_told_twice(tmp_path: Path, operation: str) -> None:
    async with life(tmp_path, judge=(judge := ScriptedJudge())) as run:
        run.disk.failing[operation] = 7
        await run.done(*range(10))
        await eventually(lambda: run.disk.failed[operation] == 7)
        await run.settled()
    assert run.outcomes() == [(number, "pass", None) for number in range(10)]
    assert len(judge.asked) == 10


async def test_those_that_left_are_forgiven_also_on_a_disk_that_fails(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge(open=CLOSED_NOW)) as run:
        await run.done(1, 2)
        run.disk.failing.update({"owed": 2, "tell": 2, "paid": 2})
        await run.seat({})
        await run.settled()
    assert run.outcomes() == [(1, "skipped", "filtered"), (2, "skipped", "filtered")]


async def test_a_judge_that_breaks_is_one_error_and_the_others_are_unharmed(tmp_path: Path) -> None:
    async def endpoint(exchange: Exchange) -> Verdict:
        if exchange.id == numbered(3).id:
            raise ZeroDivisionError
        return await good(exchange)

    judge = ScriptedJudge(endpoint)
    async with life(tmp_path, judge=judge) as run:
        await run.done(*range(6))
        await run.settled()
    expected = [(number, "pass", None) for number in range(6)]
    expected[3] = (3, "error", "judge_zerodivisionerror")
    assert run.outcomes() == expected
    assert len(judge.asked) == 6


async def test_debts_that_the_journal_did_not_take_are_errors_and_pending_no_more(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge()) as run:
        (considered,) = run.consider(1)
        assert run.queue.pending == {"judge": 1}
        (entry,) = run.queue.unwritten(considered)
        assert (entry.evaluator, entry.outcome, entry.reason) == ("judge", "error", "journal_failed")
        assert run.queue.pending == {"judge": 0}


async def test_a_fault_in_telling_costs_a_moment_and_no_debt(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge()) as run:
        faults = [RuntimeError("ours")]

        async def faulty(evaluated: EvaluatedExchange) -> None:
            if faults:
                raise faults.pop()
            await run.tell(evaluated)

        run.queue._tell = faulty
        await run.done(*range(10))
        await run.settled()
    assert run.outcomes() == [(number, "pass", None) for number in range(10)]


# -- lives and reloads ------------------------------------------------------------------------------------------------


async def test_what_is_being_judged_at_the_end_is_owed_and_paid_once_in_the_next_life(tmp_path: Path) -> None:
    async def never(exchange: Exchange) -> Verdict:
        await asyncio.Event().wait()
        return GOOD

    async with life(tmp_path, judge=(stuck := ScriptedJudge(never))) as before:
        await before.done(*range(10))
        await eventually(lambda: stuck.now == 4)
    assert before.told == []
    async with life(tmp_path, judge=(judge := ScriptedJudge())) as now:
        assert now.queue.pending["judge"] == 10
        await now.settled()
    assert now.outcomes() == [(number, "pass", None) for number in range(10)]
    assert len(judge.asked) == 10


async def test_an_outcome_that_has_come_is_not_told_again_by_the_next_judge(tmp_path: Path) -> None:
    """The exporters are slow to take it just while the configuration is reloaded."""
    async with life(tmp_path, judge=ScriptedJudge(concurrency=2)) as run:
        run.telling.clear()
        await run.done(*range(6))
        await eventually(lambda: len(run.told) == 2)
        await run.seat({"judge": ScriptedJudge(concurrency=2)})
        await eventually(lambda: len(run.told) == 4)
        run.telling.set()
        await run.settled()
    assert run.outcomes() == [(number, "pass", None) for number in range(6)]


@pytest.mark.parametrize("stays", [True, False])
async def test_a_debt_made_under_the_former_judges_is_paid_under_the_next(tmp_path: Path, *, stays: bool) -> None:
    """Considered before a reload, written after it: by the judge of that name, or forgiven."""
    async with life(tmp_path, judge=ScriptedJudge()) as run:
        considered = run.consider(1, 2)
        await run.seat({"judge": ScriptedJudge()} if stays else {"other": ScriptedJudge()})
        await run.write(considered)
        await run.settled()
    outcome = ("pass", None) if stays else ("skipped", "filtered")
    assert run.outcomes() == [(1, *outcome), (2, *outcome)]


async def test_debts_that_were_not_written_are_no_fault_after_a_reload(tmp_path: Path) -> None:
    async with life(tmp_path, judge=ScriptedJudge()) as run:
        (considered,) = run.consider(1)
        await run.seat({})
        assert run.queue.unwritten(considered)[0].reason == "journal_failed"
        assert run.queue.pending == {}


async def test_reloads_in_the_midst_of_it_lose_and_double_nothing(tmp_path: Path) -> None:
    async def in_a_while(exchange: Exchange) -> Verdict:
        for _ in range(int(exchange.id, 16) % 7):
            await asyncio.sleep(0)
        return GOOD

    async with life(tmp_path, judge=ScriptedJudge(in_a_while)) as run:
        for number in range(0, 200, 2):
            considered = run.consider(number, number + 1)
            await run.seat({"judge": ScriptedJudge(in_a_while)})
            await run.write(considered)
        await run.settled()
        assert run.queue.pending == {"judge": 0}
    assert run.outcomes() == [(number, "pass", None) for number in range(200)]

"""One outcome whatever happens, paid for once, and never more spent than there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.breaker import FAILURES
from pipeline.budget import Limit, Spend
from pipeline.errors import Permanent, Retryable
from pipeline.judging import Hours, Judging, Memory, Verdict
from pipeline.records import Evaluation, Exchange
from pipeline.telemetry import Telemetry
from store.judgements import Judgements
from tests.support.judges import GOOD, ONE_CALL, ScriptedJudge
from tests.support.records import an_exchange

DAY = 86_400.0
A_DAY = Limit.parse("1000000 calls/day")


def numbered(number: int) -> Exchange:
    return an_exchange(id=f"{number:032x}")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Judgements]:
    async with Judgements(str(tmp_path / "judgements")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test passes midnight, and nobody waits long before he asks again."""
    monkeypatch.setattr("pipeline.judging.time", lambda: 20_000 * DAY + DAY / 2)
    monkeypatch.setattr("pipeline.judging.FIRST_BACKOFF", 0.001)


async def spent(memory: Judgements) -> Spend:
    return await memory.spent("judge", A_DAY, 20_000 * 24 + 12)


def asked(telemetry: Telemetry) -> dict[str, float]:
    return {str(dict(point.attributes)["result"]): point.value for point in telemetry.judge_asked.points()}


class Failing:
    """Raises these, one each time, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self, exchange: Exchange) -> Verdict:
        if self.errors:
            raise self.errors.pop(0)
        return GOOD


def judging(memory: Memory, judge: ScriptedJudge, telemetry: Telemetry | None = None) -> Judging:
    return Judging("judge", judge, memory, telemetry or Telemetry())


async def test_a_verdict_is_an_outcome_with_its_version_cost_and_calibration(memory: Judgements) -> None:
    telemetry = Telemetry()
    entry = await judging(memory, ScriptedJudge(), telemetry).judge(numbered(1))
    assert (entry.evaluator, entry.outcome, entry.reason) == ("judge", "pass", None)
    assert (entry.evaluations, entry.version) == (GOOD.evaluations, "v1")
    assert (entry.cost, entry.calibration) == (0.01, "uncalibrated")
    assert await spent(memory) == ONE_CALL
    assert asked(telemetry) == {"answered": 1}
    assert [counter.total() for counter in (telemetry.judge_calls, telemetry.judge_tokens)] == [1, 100]


async def test_what_was_judged_before_costs_nothing_and_says_so(memory: Judgements) -> None:
    judge, telemetry = ScriptedJudge(limits=(Limit.parse("1 calls/day"),)), Telemetry()
    first = await judging(memory, judge, telemetry).judge(numbered(1))
    again = await judging(memory, judge, telemetry).judge(numbered(1))
    assert (again.outcome, again.evaluations, again.cost) == (first.outcome, first.evaluations, 0.0)
    assert judge.asked == [numbered(1).id]
    assert await spent(memory) == ONE_CALL
    assert asked(telemetry) == {"answered": 1, "cached": 1}


async def test_an_answer_that_cannot_be_read_is_paid_for_and_not_remembered(memory: Judgements) -> None:
    async def unreadable(exchange: Exchange) -> Verdict:
        return Verdict((Evaluation("coherence", error_type="judge_parse"),), Spend(2, 300, 0.03))

    judge = ScriptedJudge(unreadable)
    for _ in range(2):
        entry = await judging(memory, judge).judge(numbered(1))
        assert (entry.outcome, entry.reason, entry.cost) == ("error", "judge_parse", 0.03)
    assert await spent(memory) == Spend(4, 600, 0.06)


async def test_without_what_it_needs_nobody_is_asked(memory: Judgements) -> None:
    judge = ScriptedJudge(requires=("context",))
    entry = await judging(memory, judge).judge(numbered(1))
    assert (entry.outcome, entry.reason, judge.asked) == ("skipped", "missing_input", [])


@pytest.mark.parametrize(
    ("error", "reason", "cost"),
    [
        (Permanent("HTTP 401"), "judge_http_401", Spend()),
        (Retryable("HTTP 429"), "judge_http_429", Spend()),
        (Retryable("timeout"), "judge_timeout", ONE_CALL),
        (Permanent("not an answer of this API"), "judge_not_an_answer_of_this_api", ONE_CALL),
        (KeyError("secret words"), "judge_keyerror", ONE_CALL),
    ],
)
async def test_a_failure_is_one_error_and_given_back_only_where_nothing_was_done(
    memory: Judgements, error: Exception, reason: str, cost: Spend
) -> None:
    entry = await judging(memory, ScriptedJudge(Failing(error))).judge(numbered(1))
    assert (entry.outcome, entry.reason, entry.cost) == ("error", reason, None)
    assert await spent(memory) == cost
    retried = await judging(memory, ScriptedJudge()).judge(numbered(1))
    assert retried.outcome == "pass"  # errors are not remembered


async def test_each_attempt_is_paid_for_that_may_have_been_at_work(memory: Judgements) -> None:
    script = Failing(Retryable("timeout"), Retryable("HTTP 503"), Retryable("timeout"))
    telemetry = Telemetry()
    entry = await judging(memory, ScriptedJudge(script, attempts=4), telemetry).judge(numbered(1))
    assert entry.outcome == "pass"
    assert (await spent(memory)).calls == 3
    assert asked(telemetry) == {"failed": 3, "answered": 1}


async def test_attempts_end_where_the_budget_does(memory: Judgements) -> None:
    judge = ScriptedJudge(Failing(*[Retryable("timeout")] * 9), attempts=9, limits=(Limit.parse("2 calls/day"),))
    entry = await judging(memory, judge).judge(numbered(1))
    assert (entry.outcome, entry.reason) == ("skipped", "budget")
    assert len(judge.asked) == 2


async def test_no_more_attempts_than_there_may_be(memory: Judgements) -> None:
    judge = ScriptedJudge(Failing(*[Retryable("HTTP 503", 0.001)] * 9), attempts=3)
    entry = await judging(memory, judge).judge(numbered(1))
    assert (entry.reason, len(judge.asked)) == ("judge_http_503", 3)


async def test_what_will_never_be_taken_is_not_tried_again(memory: Judgements) -> None:
    judge = ScriptedJudge(Failing(Permanent("HTTP 400")), attempts=3)
    assert (await judging(memory, judge).judge(numbered(1))).reason == "judge_http_400"
    assert len(judge.asked) == 1


async def test_the_breaker_opens_and_ends_the_attempts(memory: Judgements) -> None:
    judge = ScriptedJudge(Failing(*[Retryable("timeout")] * 99), attempts=99)
    at_work = judging(memory, judge)
    assert (await at_work.judge(numbered(1))).reason == "judge_timeout"
    assert len(judge.asked) == FAILURES
    assert at_work.breaker.wait > 0


@pytest.mark.parametrize("text", ["9 calls/day", "950 tokens/hour", "0.09 USD/day"])
async def test_many_at_once_never_exceed_a_limit(memory: Judgements, text: str) -> None:
    judge = ScriptedJudge(limits=(Limit.parse(text), Limit.parse("1000 calls/day")))
    at_work = judging(memory, judge)
    entries = await asyncio.gather(*(at_work.judge(numbered(n)) for n in range(40)))
    assert [entry.outcome for entry in entries].count("pass") == len(judge.asked) == 9
    assert {entry.reason for entry in entries if entry.outcome == "skipped"} == {"budget"}


class Broken(ScriptedJudge):
    """Fails before it asks."""

    def key(self, exchange: Exchange) -> str:
        raise ValueError("secret words")


async def test_a_judge_that_breaks_before_it_asks_is_one_error_too(memory: Judgements) -> None:
    entry = await judging(memory, Broken()).judge(numbered(1))
    assert (entry.outcome, entry.reason) == ("error", "judge_valueerror")


async def test_a_call_that_cannot_be_counted_is_not_made(memory: Judgements) -> None:
    await asyncio.to_thread(memory._db.execute, "PRAGMA query_only = ON")
    limited, free = ScriptedJudge(limits=(Limit.parse("5 calls/day"),)), ScriptedJudge()
    assert (await judging(memory, limited).judge(numbered(1))).reason == "budget"
    assert (await judging(memory, free).judge(numbered(1))).outcome == "pass"
    assert (limited.asked, free.asked) == ([], [numbered(1).id])


# -- hours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "22-6", "24:00-06:00", "22:60-06:00", "22:00", "22:00-06:00 UTC", "7:00-9:00"])
def test_what_are_no_hours_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write UTC times like 22:00-06:00"):
        Hours.parse(text)


@pytest.mark.parametrize(
    ("text", "at", "wait"),
    [
        ("09:00-17:00", "09:00", 0),
        ("09:00-17:00", "16:59", 0),
        ("09:00-17:00", "17:00", 16 * 60),
        ("09:00-17:00", "08:30", 30),
        ("22:00-06:00", "23:00", 0),
        ("22:00-06:00", "00:00", 0),
        ("22:00-06:00", "05:59", 0),
        ("22:00-06:00", "06:00", 16 * 60),
        ("22:00-06:00", "21:59", 1),
        ("08:00-08:00", "03:00", 0),
    ],
)
def test_hours_say_how_many_minutes_there_are_until_they_begin(text: str, at: str, wait: int) -> None:
    hours, minutes = map(int, at.split(":"))
    assert Hours.parse(text).wait(20_000 * DAY + hours * 3600 + minutes * 60) == pytest.approx(wait * 60)


@given(st.integers(0, 1439), st.integers(0, 1439), st.floats(0, 4e9))
def test_whoever_waits_as_long_as_told_is_let_in(start: int, end: int, now: float) -> None:
    hours = Hours(start, end)
    wait = hours.wait(now)
    assert 0 <= wait <= DAY
    assert hours.wait(now + wait + 0.001) == 0.0

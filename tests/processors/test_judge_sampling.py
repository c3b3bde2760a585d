"""Whatever is chosen, sums over the chosen with their weights are right for everything, and what is rare is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.records import EvaluatedExchange, LedgerEntry
from processors.judge_sampling import HOUR, MOST_STRATA, Occasion, Selector, Stratum, magnitude
from processors.sample import Rule, Sample
from tests.support.records import STARTED_AT, an_exchange, answer

NOON = STARTED_AT // HOUR * HOUR
EXCHANGE = an_exchange()
FLAGGED = (LedgerEntry("cheap", "fail"),)
FINE = (LedgerEntry("cheap", "pass"),)


def an_evaluated(
    random: Random, *, upstream: str = "openai", flagged: bool = False, error: bool = False, hour: int = 0
) -> EvaluatedExchange:
    exchange = replace(
        EXCHANGE,
        trace=replace(EXCHANGE.trace, trace_id=f"{random.getrandbits(128):032x}"),
        timing=replace(EXCHANGE.timing, started_at=NOON + hour * HOUR),
        upstream=upstream,
        error_type="500" if error else None,
    )
    return EvaluatedExchange(exchange, FLAGGED if flagged else FINE)


def traffic(random: Random, size: int, hours: int) -> Iterator[tuple[EvaluatedExchange, bool]]:
    """(an exchange, what a judge would say), some of it rare, some of it flagged, with worse answers where so."""
    for place in range(size):
        rare, flagged, error = random.random() < 0.05, random.random() < 0.1, random.random() < 0.05
        good = random.random() < 0.9 - 0.4 * rare - 0.3 * flagged - 0.2 * error
        upstream = "rare" if rare else "common"
        yield an_evaluated(random, upstream=upstream, flagged=flagged, error=error, hour=place * hours // size), good


def selector(
    ratio: float = 0.0,
    always: tuple[Occasion, ...] = (),
    strata: tuple[Stratum, ...] = ("upstream",),
    per_stratum: int = 0,
) -> Selector:
    return Selector(ratio, always, 30.0, strata, per_stratum)


def judged(sample: Sample, select: Selector, evaluated: EvaluatedExchange) -> float:
    """The weight of its judgement, as the queue asks for it; 0: there is none."""
    decided = sample.decide(evaluated)
    return select(decided) if decided.kept != "sampled_out" else 0.0


RUNS, SIZE = 60, 300


@pytest.mark.parametrize("hours", [1, 4])
@pytest.mark.parametrize(
    ("kept", "by_rule", "ratio", "always", "strata", "per_stratum"),
    [
        (1.0, (), 0.2, (), (), 0),
        (0.5, (), 0.2, (), (), 0),  # the judge takes fewer than are kept
        (0.2, (), 0.5, (), (), 0),  # more, of what is kept
        (0.3, ("flagged",), 0.2, (), (), 0),
        (0.3, ("flagged", "error"), 0.1, ("flagged",), (), 0),
        (0.3, (), 0.1, ("error",), (), 0),  # always judged, where it is kept
        (1.0, (), 0.0, (), ("upstream",), 10),
        (0.4, ("flagged",), 0.05, ("error",), ("upstream", "risk"), 5),
        (0.1, (), 0.5, (), ("upstream", "model", "length", "risk"), 3),
    ],
)
def test_weighted_sums_are_unbiased(
    *,
    kept: float,
    by_rule: tuple[Rule, ...],
    ratio: float,
    always: tuple[Occasion, ...],
    strata: tuple[Stratum, ...],
    per_stratum: int,
    hours: int,
) -> None:
    random, sample = Random(11), Sample(kept, by_rule)
    errors: dict[str, list[float]] = {"all": [], "passed": [], "rare": []}
    for _ in range(RUNS):
        select = selector(ratio, always, strata, per_stratum)
        error = dict.fromkeys(errors, 0.0)
        for evaluated, good in traffic(random, SIZE, hours):
            miss = judged(sample, select, evaluated) - 1.0
            error["all"] += miss
            error["passed"] += miss * good
            error["rare"] += miss * (evaluated.exchange.upstream == "rare")
        for name, each in errors.items():
            each.append(error[name])
    for name, each in errors.items():
        assert abs(fmean(each)) < 4 * stdev(each) / RUNS**0.5, name


def test_what_is_rare_is_all_judged_and_what_is_common_about_as_often_as_was_asked_for() -> None:
    random, select, counts = Random(3), selector(per_stratum=20), Counter[tuple[str, int]]()
    for hour in range(3):
        for place in range(4000):
            upstream = "rare" if place % 400 == 0 else "common"
            evaluated = an_evaluated(random, upstream=upstream, hour=hour)
            counts[upstream, hour] += select(evaluated) > 0
    assert [counts["rare", hour] for hour in range(3)] == [10, 10, 10]
    assert counts["common", 0] < 200  # 20 of the first 20, of the first 40 … : by the harmonic series
    assert all(5 < counts["common", hour] < 45 for hour in (1, 2))  # the hour before says how common


def test_of_what_is_kept_by_a_ratio_no_more_are_judged_than_of_everything() -> None:
    """One that is kept stands for ten: so many are counted."""
    random, sample, select, judgements = Random(5), Sample(0.1, ()), selector(per_stratum=20), Counter[int]()
    for hour in range(4):
        for _ in range(8000):
            judgements[hour] += judged(sample, select, an_evaluated(random, hour=hour)) > 0
    assert all(5 < judgements[hour] < 45 for hour in (1, 2, 3))


def test_a_quiet_hour_after_a_loud_one_is_judged_as_if_it_were_loud_and_the_next_is_not() -> None:
    random, select = Random(7), selector(per_stratum=10)
    for _ in range(1000):
        select(an_evaluated(random))
    assert sum(select(an_evaluated(random, hour=1)) > 0 for _ in range(10)) < 5
    assert sum(select(an_evaluated(random, hour=2)) > 0 for _ in range(10)) == 10


@pytest.mark.parametrize(("always", "weight"), [((), 0.0), (("flagged",), 1.0), (("error", "feedback"), 0.0)])
def test_a_rule_takes_all_that_it_names(always: tuple[Occasion, ...], weight: float) -> None:
    flagged = an_evaluated(Random(1), flagged=True)
    assert selector(always=always)(flagged) == weight
    assert selector(always=always)(an_evaluated(Random(1))) == 0.0


def test_what_a_rule_takes_stands_for_as_many_as_its_exchange() -> None:
    flagged = replace(an_evaluated(Random(1), flagged=True), weight=4.0)
    assert selector(0.01, always=("flagged",))(flagged) == 4.0


@given(st.integers(0, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_ratio_judges_a_subset_and_each_of_it_stands_for_more(trace: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    evaluated = an_evaluated(Random(1))
    exchange = replace(EXCHANGE, trace=replace(EXCHANGE.trace, trace_id=f"{trace:032x}"))
    weights = [selector(ratio)(replace(evaluated, exchange=exchange)) for ratio in (low, high)]
    assert not weights[0] or weights[0] >= weights[1] >= 1


def test_the_same_traffic_gives_the_same_choice() -> None:
    chosen = []
    for _ in range(2):
        random, select = Random(9), selector(0.1, per_stratum=5, strata=("upstream", "risk"))
        chosen.append([select(evaluated) for evaluated, _ in traffic(random, 500, 3)])
    assert chosen[0] == chosen[1]


def test_however_many_strata_there_are_memory_is_bounded() -> None:
    random, select = Random(2), selector(per_stratum=1)
    for hour in range(2):
        for number in range(10_000):
            select(an_evaluated(random, upstream=f"upstream-{number}", hour=hour))
        assert len(select._now) == MOST_STRATA + 1
    assert len(select._last) == MOST_STRATA + 1


def test_a_length_is_a_power_of_ten_of_question_and_answer() -> None:
    lengths = [magnitude(an_exchange(output_messages=(answer("x" * size),))) for size in (1, 200, 2000, 20_000)]
    assert lengths == ["1", "3", "4", "5"]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, LedgerEntry, Outcome
from processors.overall import Overall

ENTRIES = (LedgerEntry("a", "pass"), LedgerEntry("b", "fail"), LedgerEntry("c", "scored"), LedgerEntry("d", "skipped"))
OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "scored", "error", "skipped")


def summed(
    *entries: LedgerEntry, weights: dict[str, float] | None = None, threshold: float | None = None
) -> Evaluation:
    (evaluation,) = Overall(weights or {}, threshold).sum_up(entries)
    return evaluation


def test_the_score_is_the_share_of_judgements_that_passed() -> None:
    assert summed(*ENTRIES) == Evaluation("overall", 0.5, None, "1 of 2 judgements passed, of 4 evaluators")


def test_weights_count_and_zero_leaves_out() -> None:
    assert summed(*ENTRIES, weights={"a": 3.0}).score_value == 0.75
    assert summed(*ENTRIES, weights={"b": 0.0}).score_value == 1.0


def test_a_threshold_makes_it_a_judgement() -> None:
    assert summed(*ENTRIES, threshold=0.5).score_label == "pass"
    assert summed(*ENTRIES, threshold=0.6).score_label == "fail"


def test_where_nobody_judged_it_says_nothing_and_never_zero() -> None:
    assert Overall().sum_up(ENTRIES[2:]) == ()
    assert Overall({"a": 0.0, "b": 0.0}).sum_up(ENTRIES) == ()


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), st.floats(0, 100)), max_size=10))
def test_it_is_always_a_share(given: list[tuple[Outcome, float]]) -> None:
    entries = [LedgerEntry(str(number), outcome) for number, (outcome, _) in enumerate(given)]
    evaluations = Overall({str(number): weight for number, (_, weight) in enumerate(given)}).sum_up(entries)
    assert all(0 <= each.score_value <= 1 for each in evaluations if each.score_value is not None)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"weights\.a"):
        Overall({"a": weight})

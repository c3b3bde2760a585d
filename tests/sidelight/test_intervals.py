from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.intervals import MANY, bootstrap, wilson

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)],
)
def test_the_interval_of_a_share_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=0.001)


@given(SCORES)
def test_the_interval_of_a_mean_is_within_the_scores_and_the_same_every_time(scores: list[float]) -> None:
    interval = bootstrap(scores)
    assert interval == bootstrap(scores)
    assert interval is not None
    assert min(scores) - 1e-6 <= interval[0] <= interval[1] <= max(scores) + 1e-6


def test_it_holds_the_true_mean_nineteen_times_in_twenty() -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(400):
        low, high = bootstrap([draw.random() for _ in range(60)]) or (0.0, 0.0)
        held += low <= 0.5 <= high
    assert 0.91 < held / 400 < 0.98


def test_of_very_many_scores_both_ways_agree() -> None:
    draw = random.Random(7)
    scores = [draw.expovariate(1.0) for _ in range(MANY + 1)]
    assert bootstrap(scores) == pytest.approx(bootstrap(scores[:-1]), abs=0.002)


@pytest.mark.parametrize("scores", [[], [0.5]])
def test_of_one_score_nothing_is_known(scores: list[float]) -> None:
    assert bootstrap(scores) is None


def test_scores_that_are_all_the_same_leave_no_room() -> None:
    assert bootstrap([0.25] * 10) == (0.25, 0.25)

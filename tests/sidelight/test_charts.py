from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.charts import bins_of, histogram, round_step, segments

SCORES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)
OUTCOMES = ("pass", "fail", "skipped")


@given(SCORES)
def test_every_score_is_in_one_bin(scores: list[float]) -> None:
    bins = bins_of(scores)
    assert sum(each.rows for each in bins) == len(scores)
    assert 1 <= len(bins) <= 12
    assert all(one.high == pytest.approx(other.low) for one, other in pairwise(bins))


@given(SCORES)
def test_a_histogram_stays_within_its_frame(scores: list[float]) -> None:
    drawn = histogram(scores, 300, 100)
    assert drawn is not None
    assert max(column.height for column in drawn.columns) == 100
    assert all(0 <= column.x <= 300 and -1e-9 <= column.y <= 100 for column in drawn.columns)
    assert all(-1e-6 <= drawn.at(score) <= 300 + 1e-6 for score in scores)


def test_shares_have_ten_bins_of_a_tenth_and_1_is_in_the_last() -> None:
    bins = bins_of([0.05, 0.95, 1.0])
    assert [each.rows for each in bins] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[0].low, bins[-1].high) == (0.0, 1.0)


def test_other_scores_have_bins_of_a_round_width() -> None:
    bins = bins_of([1, 2, 2, 3, 5])
    assert [(each.low, each.rows) for each in bins if each.rows] == [(1.0, 1), (2.0, 2), (3.0, 1), (4.5, 1)]


def test_of_no_scores_there_is_nothing_to_draw() -> None:
    assert (bins_of([]), histogram([], 300, 100)) == ((), None)


@pytest.mark.parametrize(("least", "step"), [(0.1, 0.1), (0.11, 0.2), (0.3, 0.5), (7, 10), (0, 1.0), (1200, 2000)])
def test_a_step_is_a_number_that_people_can_read(least: float, step: float) -> None:
    assert round_step(least) == pytest.approx(step)


@given(st.dictionaries(st.sampled_from(OUTCOMES), st.integers(0, 10**6)))
def test_the_parts_of_a_bar_fill_it(outcomes: dict[str, int]) -> None:
    parts = segments(outcomes, OUTCOMES, 200)
    assert sum(part.width for part in parts) == pytest.approx(200 if any(outcomes.values()) else 0)
    assert [part.rows for part in parts] == [outcomes[name] for name in OUTCOMES if outcomes.get(name)]

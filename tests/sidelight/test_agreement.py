"""Values worked by hand, and properties against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.agreement import (
    best_cuts,
    isotonic,
    kappa,
    kappa_interval,
    ranks,
    spearman,
    squared,
    table_of,
    unequal,
)

LEVELS = (1, 2, 3, 4, 5)
GRADES = st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)), min_size=1, max_size=40)
SCORED = st.lists(st.tuples(st.integers(-4, 4).map(float), st.booleans()), min_size=1, max_size=30)


def of_grades(pairs: list[tuple[int, int]], weights: np.ndarray) -> float:
    one, other = zip(*pairs, strict=True)
    return float(kappa(table_of(one, other, LEVELS), weights))


def test_a_table_counts_who_met_whom() -> None:
    assert table_of([1, 1, 3], [1, 3, 3], (1, 3)).tolist() == [[1, 1], [0, 1]]


def test_cohens_kappa_by_hand() -> None:
    # 35 of 50 agree, 0.7; by chance (25/50)(30/50) + (25/50)(20/50) = 0.5; (0.7 - 0.5) / (1 - 0.5)
    assert float(kappa([[20, 5], [10, 15]], unequal((0, 1)))) == pytest.approx(0.4)


def test_quadratic_kappa_by_hand() -> None:
    # seen: 1 x 1 + 1 x 1 + 1 x 4 = 6; by chance one in each cell: 4 x 1 + 2 x 4 = 12; 1 - 6 / 12
    assert float(kappa([[2, 1, 0], [0, 2, 1], [1, 0, 2]], squared((1, 2, 3)))) == pytest.approx(0.5)


def test_a_level_that_is_left_out_keeps_its_distance() -> None:
    # levels 1 and 5 alone: every weight is 16, which is as if all were equal
    table = [[20, 5], [10, 15]]
    assert float(kappa(table, squared((1, 5)))) == pytest.approx(0.4)
    # with 1, 2 and 5 a slip from 1 to 2 costs a sixteenth of one from 1 to 5
    near, far = [[4, 1, 0], [0, 5, 0], [0, 0, 5]], [[4, 0, 1], [0, 5, 0], [0, 0, 5]]
    assert float(kappa(near, squared((1, 2, 5)))) > float(kappa(far, squared((1, 2, 5))))


def test_high_agreement_by_chance_is_told_apart() -> None:
    # 95 of 100 agree, and 90.5 would by chance
    assert float(kappa([[0, 0], [5, 95]], unequal((0, 1)))) == pytest.approx(0.0)


def test_kappa_is_not_defined_where_everything_is_the_same() -> None:
    assert np.isnan(kappa([[7, 0], [0, 0]], unequal((0, 1))))


@given(GRADES)
def test_kappa_does_not_care_who_is_first(pairs: list[tuple[int, int]]) -> None:
    for weights in (unequal(LEVELS), squared(LEVELS)):
        turned = of_grades([(other, one) for one, other in pairs], weights)
        assert of_grades(pairs, weights) == pytest.approx(turned, nan_ok=True)


@given(GRADES)
def test_kappa_is_at_most_1_and_only_where_all_agree(pairs: list[tuple[int, int]]) -> None:
    for weights in (unequal(LEVELS), squared(LEVELS)):
        value = of_grades(pairs, weights)
        if not np.isnan(value):
            assert -1 - 1e-9 <= value <= 1
            assert (value > 1 - 1e-9) == all(one == other for one, other in pairs)


@given(GRADES)
def test_quadratic_kappa_is_the_agreement_of_two_measurements(pairs: list[tuple[int, int]]) -> None:
    """Lin's coefficient of concordance, which is made of means and variances."""
    one, other = np.array(pairs, float).T
    expected = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    value = of_grades(pairs, squared(LEVELS))
    if expected:
        assert value == pytest.approx(1 - ((one - other) ** 2).mean() / expected, abs=1e-9)
    else:
        assert np.isnan(value)


def test_many_tables_at_once_are_as_one_after_the_other() -> None:
    tables = np.random.default_rng(3).integers(1, 9, (6, 3, 3))
    weights = squared((1, 2, 3))
    assert kappa(tables, weights).tolist() == pytest.approx([float(kappa(table, weights)) for table in tables])


def test_the_interval_is_the_same_every_time_and_around_the_value() -> None:
    table = np.array([[40.0, 5.0], [5.0, 50.0]])
    low, high = kappa_interval(table, unequal((0, 1)))
    assert low < float(kappa(table, unequal((0, 1)))) < high
    assert (low, high) == kappa_interval(table, unequal((0, 1)))
    # the large-sample standard error of this table is 0.060
    assert (high - low) / (2 * 1.96) == pytest.approx(0.060, abs=0.005)


def test_more_labels_make_the_interval_narrower() -> None:
    widths = [
        high - low
        for times in (1, 4, 16)
        for low, high in [kappa_interval(times * np.array([[20.0, 5.0], [5.0, 20.0]]), unequal((0, 1)))]
    ]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("labels", "least"), [(50, 0.87), (200, 0.91)])
@pytest.mark.parametrize("cells", [[[0.4, 0.1], [0.1, 0.4]], [[0.2, 0.05], [0.05, 0.7]], [[0.07, 0.03], [0.03, 0.87]]])
def test_the_interval_holds_the_truth_about_95_times_in_100(
    cells: list[list[float]], labels: int, least: float
) -> None:
    weights = unequal((0, 1))
    truth = float(kappa(cells, weights))
    tables = np.random.default_rng(11).multinomial(labels, np.ravel(cells), 200).reshape(-1, 2, 2).astype(float)
    held = [low <= truth <= high for low, high in (kappa_interval(table, weights) for table in tables)]
    assert least <= np.mean(held) <= 0.98


def test_equals_share_their_rank() -> None:
    assert ranks([5, 6, 7, 8, 7]).tolist() == [1, 2, 3.5, 5, 3.5]


def test_spearman_by_hand() -> None:
    # of the ranks' distances from 3: 4 + 1 + 0 + 2 + 1 = 8 together, 10 and 9.5 alone
    assert spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(8 / 95**0.5)
    assert spearman([1, 2, 3], [9, 4, 1]) == pytest.approx(-1)
    assert spearman([1, 2, 3], [2, 2, 2]) is None


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_spearman_sees_only_the_order(pairs: list[tuple[float, float]]) -> None:
    one, other = zip(*pairs, strict=True)
    value = spearman(one, other)
    stretched = spearman(ranks(one) ** 3, other)
    assert (value is None) == (stretched is None)
    if value is not None and stretched is not None:
        assert value == pytest.approx(stretched)
        assert -1 <= value <= 1


def counted(scored: list[tuple[float, bool]], cut: float) -> tuple[int, int, int, int]:
    """Rightly passed, wrongly failed, wrongly passed, rightly failed."""
    found = [(passed, score >= cut) for score, passed in scored]
    return tuple(found.count(each) for each in [(True, True), (True, False), (False, True), (False, False)])  # type: ignore[return-value]


@given(SCORED)
def test_no_threshold_is_better_than_the_best(scored: list[tuple[float, bool]]) -> None:
    scores, passes = zip(*scored, strict=True)
    found = best_cuts(scores, passes)
    if all(passes) or not any(passes):
        assert found is None
        return
    youden, f1 = {}, {}
    for cut in sorted(set(scores)):
        tp, fn, fp, tn = counted(scored, cut)
        youden[cut] = tp / (tp + fn) + tn / (fp + tn) - 1
        f1[cut] = 2 * tn / (2 * tn + fn + fp)
    assert found is not None
    for best, reached in zip(found, (youden, f1), strict=True):
        assert best.reached == pytest.approx(max(reached.values()))
        assert reached[best.score] == pytest.approx(best.reached)


def test_of_thresholds_that_are_as_good_the_lowest_is_taken() -> None:
    # from 2 on: all passes, half of the fails; from 4 on: half of the passes, all fails, so 2 x 2 / (2 x 2 + 1)
    assert best_cuts([1, 2, 3, 4], [False, True, False, True]) == ((2.0, 0.5), (4.0, pytest.approx(0.8)))


def test_an_isotonic_map_by_hand() -> None:
    # 1 fails; of 2 and 3, which fall, two in three pass; 4 passes
    corners = isotonic([1, 2, 2, 3, 4], [0, 1, 1, 0, 1])
    assert corners == [(1.0, 0.0), (2.0, pytest.approx(2 / 3)), (3.0, pytest.approx(2 / 3)), (4.0, 1.0)]


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=1, max_size=20))
def test_an_isotonic_map_is_the_nearest_that_rises(pairs: list[tuple[int, int]]) -> None:
    """At each score the largest, over beginnings, of the smallest, over ends, of the means between."""
    scores = sorted({score for score, _ in pairs})

    def mean(first: int, last: int) -> float:
        labels = [label for score, label in pairs if scores[first] <= score <= scores[last]]
        return sum(labels) / len(labels)

    places = range(len(scores))
    expected = {
        scores[at]: max(min(mean(first, last) for last in places if last >= at) for first in places if first <= at)
        for at in places
    }
    corners = isotonic(*zip(*pairs, strict=True))
    xs, ys = zip(*corners, strict=True)
    assert list(xs) == sorted(set(xs))
    assert list(ys) == sorted(ys)
    assert np.interp(scores, xs, ys).tolist() == pytest.approx([expected[score] for score in scores])


def test_weights_say_what_a_disagreement_costs() -> None:
    for i, j in product(range(3), repeat=2):
        assert unequal((1, 2, 4))[i, j] == float(i != j)
        assert squared((1, 2, 4))[i, j] == ((1, 2, 4)[i] - (1, 2, 4)[j]) ** 2

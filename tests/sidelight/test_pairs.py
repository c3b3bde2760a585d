"""What a calibration says of pairs that were counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calibration import Threshold
from sidelight.labels import Opinion
from sidelight.pairs import Pair, differing
from tests.support.calibrations import MADE_AT, graded, measured, pairs_of

GRADE = st.integers(0, 10)
OPINION = st.builds(Opinion, st.booleans(), st.none() | GRADE.map(float) | st.floats(-1e6, 1e6))


def scored(*pairs: tuple[bool, bool, float]) -> list[Pair]:
    """What people say, what the evaluator says, and its score."""
    return [
        Pair(number, Opinion(human), Opinion(said, score)) for number, (human, said, score) in enumerate(pairs, start=1)
    ]


def test_verdicts_by_hand() -> None:
    found = measured(pairs_of(passed=(40, 10), failed=(5, 45)))
    assert (found.n, found.base_rate, found.agreement) == (100, 0.5, 0.85)
    assert found.confusion.human_pass.evaluator_fail == 10
    assert found.confusion.human_fail.evaluator_pass == 5
    assert (found.sensitivity, found.human_passes, found.specificity, found.human_fails) == (0.8, 50, 0.9, 50)
    assert found.cohen_kappa is not None
    assert found.cohen_kappa.value == 0.7  # (0.85 - 0.5) / 0.5
    assert found.cohen_kappa.low < 0.7 < found.cohen_kappa.high
    assert (found.bias, found.mean_absolute_error) == (-0.05, 0.15)  # 45 passes for 50
    assert (found.grades, found.scores, found.state, found.reason) == (None, None, "calibrated", None)
    assert (found.evaluator, found.evaluator_version, found.made_at) == ("judge", "v1", MADE_AT)


def test_high_agreement_by_chance_is_not_calibrated() -> None:
    found = measured(pairs_of(passed=(95, 0), failed=(5, 0)))
    assert (found.agreement, found.state, found.reason) == (0.95, "uncalibrated", "κ is 0; 0.6 is needed")
    assert (found.sensitivity, found.specificity) == (1.0, 0.0)


def test_what_has_one_kind_only_has_no_kappa_and_no_specificity() -> None:
    found = measured(pairs_of(passed=(60, 0), failed=(0, 0)))
    assert (found.cohen_kappa, found.specificity, found.human_fails, found.state) == (None, None, 0, "uncalibrated")


def test_grades_by_hand() -> None:
    found = measured(graded((1, 1), (1, 2), (2, 2), (4, 4), (5, 3), (5, 5)))
    assert found.grades is not None
    assert found.grades.levels == (1, 2, 3, 4, 5)
    assert found.grades.counts == ((1, 1, 0, 0, 0), (0, 1, 0, 0, 0), (0,) * 5, (0, 0, 0, 1, 0), (0, 0, 1, 0, 1))
    assert (found.grades.exact_agreement, found.grades.agreement_within_1) == (0.6667, 0.8333)
    # squares of differences: 1 + 4; of all 36 pairs of one and another 36 x (3 + 65/36 + 1/36) = 174; 1 - 5 x 6 / 174
    assert found.grades.quadratic_kappa is not None
    assert found.grades.quadratic_kappa.value == 0.8276
    assert (found.bias, found.mean_absolute_error) == (-0.1667, 0.5)
    assert found.kappa == found.grades.quadratic_kappa
    assert found.agreement == 1.0  # no one crosses from fail to pass


def test_the_quadratic_kappa_decides_for_grades_and_cohens_for_verdicts() -> None:
    near = graded(*[(2, 3), (3, 2), (1, 1), (5, 5)] * 20)  # a slip at the border costs a verdict, and little else
    found = measured(near)
    assert found.cohen_kappa is not None
    assert (found.cohen_kappa.value, found.state) == (0.0, "calibrated")
    verdicts = [Pair(each.number, Opinion(each.human.passed), each.evaluator) for each in near]
    assert measured(verdicts).state == "uncalibrated"


@pytest.mark.parametrize("said", [(0.5, 2.5), (0.0, 1.0), (1000.0, 3.0)])
def test_scores_on_another_scale_are_no_grades(said: tuple[float, float]) -> None:
    found = measured(graded((1, said[0]), (5, said[1]), pass_at=1))
    assert found.grades is None
    assert found.scores is not None
    assert found.scores.labels == "grades"


def test_scores_that_rise_with_the_verdict() -> None:
    found = measured(scored((False, False, 0.1), (False, True, 0.6), (True, True, 0.7), (True, True, 0.9))).scores
    assert found is not None
    assert (found.n, found.labels, found.higher_is_better) == (4, "verdicts", True)
    assert found.best_by_youden == Threshold(0.7, 1.0)
    assert found.isotonic == ((0.1, 0.0), (0.6, 0.0), (0.7, 1.0), (0.9, 1.0))


def test_scores_that_fall_with_the_verdict() -> None:
    found = measured(scored((True, True, 0.0), (True, False, 0.6), (False, False, 0.9), (False, False, 1.0))).scores
    assert found is not None
    assert not found.higher_is_better
    assert found.best_by_youden == Threshold(0.6, 1.0)  # a pass up to there
    assert found.isotonic == ((0.0, 1.0), (0.6, 1.0), (0.9, 0.0), (1.0, 0.0))
    assert found.spearman is not None
    assert found.spearman < 0


def test_answers_without_a_score_count_for_the_verdicts_alone() -> None:
    pairs = [*scored((True, True, 0.9), (False, False, 0.1)), Pair(3, Opinion(True), Opinion(True))]
    found = measured(pairs)
    assert found.scores is not None
    assert (found.n, found.scores.n) == (3, 2)


def test_what_was_calibrated_and_is_no_more_has_drifted() -> None:
    assert measured(pairs_of((30, 20), (20, 30)), before="calibrated").state == "drifted"
    assert measured(pairs_of((3, 2), (2, 3)), before="calibrated").state == "uncalibrated"


def test_rows_in_which_they_differ_are_named() -> None:
    assert differing(pairs_of(passed=(1, 1), failed=(2, 1))) == [2, 3, 4]


@settings(max_examples=50)
@given(st.lists(st.builds(Pair, st.just(1), OPINION, OPINION), min_size=1, max_size=12))
def test_whatever_was_said_is_a_calibration(pairs: list[Pair]) -> None:
    found = measured(pairs)
    assert found.n == len(pairs)
    assert found.state == "uncalibrated"
    if found.scores:
        for score, label in found.scores.isotonic:
            assert found.scores.expected_label(score) == pytest.approx(label)

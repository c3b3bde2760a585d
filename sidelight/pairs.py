"""Answers that both a person and an evaluator judged → the Calibration that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.calibration import (
    Calibration,
    Confusion,
    Grades,
    Kappa,
    Scores,
    State,
    Threshold,
    Verdicts,
    shortfall,
    state_after,
)
from sidelight.agreement import (
    Cut,
    Floats,
    best_cuts,
    isotonic,
    kappa,
    kappa_interval,
    spearman,
    squared,
    table_of,
    unequal,
)
from sidelight.labels import Opinion, is_grade

DIGITS: Final = 4  # of what is measured; more would be noise in a file that people compare
VERDICTS: Final = (0, 1)  # fail, pass


class Pair(NamedTuple):
    """One answer, judged by both."""

    number: int  # of its row
    human: Opinion
    evaluator: Opinion


def differing(pairs: Sequence[Pair]) -> list[int]:
    """The rows in which one says pass and the other fail."""
    return [pair.number for pair in pairs if pair.human.passed != pair.evaluator.passed]


def measure(
    pairs: Sequence[Pair], evaluator: str, version: str | None, made_at: datetime, pass_at: float, before: State
) -> Calibration:
    """Everything that a calibration file holds; `before` is what was known of the same version."""
    human = np.array([pair.human.passed for pair in pairs], float)
    said = np.array([pair.evaluator.passed for pair in pairs], float)
    table = table_of(human, said, VERDICTS)
    failed, passed = (Verdicts(evaluator_pass=int(row[1]), evaluator_fail=int(row[0])) for row in table)
    cohen = coefficient(table, unequal(VERDICTS))
    both = grades_of(pairs)
    grades = agreement_of_grades(*both) if both else None
    decisive = grades.quadratic_kappa if grades else cohen
    difference = both[1] - both[0] if both else said - human
    return Calibration(
        evaluator=evaluator,
        evaluator_version=version,
        made_at=made_at,
        state=state_after(len(pairs), decisive, before),
        reason=shortfall(len(pairs), decisive),
        n=len(pairs),
        base_rate=rounded(human.mean()),
        pass_at=pass_at,
        confusion=Confusion(human_pass=passed, human_fail=failed),
        agreement=rounded((human == said).mean()),
        cohen_kappa=cohen,
        grades=grades,
        bias=rounded(difference.mean()),
        mean_absolute_error=rounded(abs(difference).mean()),
        sensitivity=share(passed.evaluator_pass, passed.total),
        human_passes=passed.total,
        specificity=share(failed.evaluator_fail, failed.total),
        human_fails=failed.total,
        scores=worth_of_scores(pairs),
    )


def grades_of(pairs: Sequence[Pair]) -> tuple[Floats, Floats] | None:
    """People's grades and the evaluator's; None unless both gave whole numbers, and not 0 and 1 for no and yes."""
    human = [pair.human.score for pair in pairs]
    said = [pair.evaluator.score for pair in pairs]
    if not all(score is not None and is_grade(score) for score in (*human, *said)):
        return None
    return (np.array(human, float), np.array(said, float)) if np.max(np.array(said, float)) > 1 else None


def agreement_of_grades(human: Floats, said: Floats) -> Grades:
    levels = np.unique(np.concatenate((human, said)))
    table = table_of(human, said, levels.tolist())
    apart = abs(human - said)
    return Grades(
        levels=tuple(int(level) for level in levels),
        counts=tuple(tuple(int(count) for count in row) for row in table),
        exact_agreement=rounded((apart == 0).mean()),
        agreement_within_1=rounded((apart <= 1).mean()),
        quadratic_kappa=coefficient(table, squared(levels.tolist())),
    )


def coefficient(table: Floats, weights: Floats) -> Kappa | None:
    value = float(kappa(table, weights))
    if np.isnan(value):
        return None
    low, high = kappa_interval(table, weights)
    return Kappa(rounded(value), rounded(low), rounded(high))


def worth_of_scores(pairs: Sequence[Pair]) -> Scores | None:
    """What the evaluator's scores tell beyond its verdicts; None where it gives none."""
    scored = [pair for pair in pairs if pair.evaluator.score is not None]
    if not scored:
        return None
    scores = np.array([pair.evaluator.score for pair in scored], float)
    passes = np.array([pair.human.passed for pair in scored], float)
    graded = all(pair.human.score is not None for pair in scored)
    labels = np.array([pair.human.score for pair in scored], float) if graded else passes
    rising = rises(scores, np.array([pair.evaluator.passed for pair in scored], bool))
    way = 1 if rising else -1
    youden, f1 = best_cuts(way * scores, passes) or (None, None)
    correlation = spearman(scores, labels)
    return Scores(
        n=len(scored),
        labels="grades" if graded else "verdicts",
        higher_is_better=rising,
        spearman=None if correlation is None else rounded(correlation),
        best_by_youden=threshold(youden, way),
        best_by_f1=threshold(f1, way),
        isotonic=tuple(sorted((turned(score, way), rounded(label)) for score, label in isotonic(way * scores, labels))),
    )


def rises(scores: Floats, passed: Any) -> bool:
    """Does the evaluator give what it passes the higher scores? Where it passes all or none, it is thought to."""
    return bool(passed.all() or not passed.any() or scores[passed].mean() >= scores[~passed].mean())


def threshold(cut: Cut | None, way: int) -> Threshold | None:
    return None if cut is None else Threshold(turned(cut.score, way), rounded(cut.reached))


def turned(score: float, way: int) -> float:
    return way * score + 0.0  # no -0.0 in a file


def share(hits: int, of: int) -> float | None:
    return rounded(hits / of) if of else None


def rounded(value: Any) -> float:
    return round(float(value), DIGITS)

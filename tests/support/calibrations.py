"""Calibrations for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from msgspec.structs import replace

from pipeline.calibration import Calibration, Confusion, State, Verdicts
from sidelight.labels import Opinion
from sidelight.pairs import Pair, measure

MADE_AT = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


def a_calibration(**changes: Any) -> Calibration:
    """Of `judge` in version `v1`, 30 + 2 answers that people pass and 4 + 24 that they fail; calibrated."""
    return replace(usual(), **changes)


@cache
def usual() -> Calibration:
    return measured(pairs_of(passed=(30, 2), failed=(4, 24)))


def measured(pairs: list[Pair], before: State = "uncalibrated") -> Calibration:
    return measure(pairs, "judge", "v1", MADE_AT, 3.0, before)


def with_counts(passed: tuple[int, int], failed: tuple[int, int]) -> Calibration:
    """Of what people pass, and of what they fail, so many that the evaluator passed and failed; the rest as usual."""
    human_pass, human_fail = Verdicts(*map(int, passed)), Verdicts(*map(int, failed))
    return a_calibration(
        confusion=Confusion(human_pass, human_fail),
        human_passes=human_pass.total,
        human_fails=human_fail.total,
        n=human_pass.total + human_fail.total,
    )


def pairs_of(passed: tuple[int, int], failed: tuple[int, int]) -> list[Pair]:
    """As many pairs of verdicts, numbered in this order."""
    cells = [(True, True, passed[0]), (True, False, passed[1]), (False, True, failed[0]), (False, False, failed[1])]
    verdicts = [(human, said) for human, said, count in cells for _ in range(count)]
    return [Pair(number, Opinion(human), Opinion(said)) for number, (human, said) in enumerate(verdicts, start=1)]


def graded(*grades: tuple[int, float], pass_at: float = 3.0) -> list[Pair]:
    """A pair for each grade of a person and score of the evaluator."""
    return [
        Pair(number, Opinion(human >= pass_at, human), Opinion(said >= pass_at, said))
        for number, (human, said) in enumerate(grades, start=1)
    ]

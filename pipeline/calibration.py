"""How far an evaluator can be believed: what `sidelight calibrate` measured against the verdicts of people, as a file.

`human` is always the label that somebody gave, `evaluator` what the evaluator said of the same answer.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct

from pipeline.errors import ConfigError
from pipeline.records import CalibrationState

ENOUGH: Final = 50  # labels
GOOD: Final = 0.6  # of κ
SURE: Final = 1.96  # standard deviations on either side: 95 of 100

State: TypeAlias = CalibrationState
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Coefficient: TypeAlias = Annotated[float, Meta(ge=-1, le=1)]


class Verdicts(Struct, frozen=True):
    """What the evaluator said of answers that people gave one label."""

    evaluator_pass: Count
    evaluator_fail: Count

    @property
    def total(self) -> int:
        return self.evaluator_pass + self.evaluator_fail


class Confusion(Struct, frozen=True):
    """Who said what how often."""

    human_pass: Verdicts
    human_fail: Verdicts


class Kappa(Struct, frozen=True):
    """Agreement beyond chance, with its 95 % interval: 1 is perfect, 0 what chance gives."""

    value: Coefficient
    low: Coefficient
    high: Coefficient


class Grades(Struct, frozen=True):
    """Both gave whole numbers on one scale."""

    levels: tuple[int, ...]  # those that occur
    counts: tuple[
        tuple[Count, ...], ...
    ]  # a row for each level of people's, in it a column for each of the evaluator's
    exact_agreement: Share
    agreement_within_1: Share
    quadratic_kappa: Kappa | None  # None: everybody gave one and the same


class Threshold(Struct, frozen=True):
    """A pass from this score on (up to it, where lower is better), and what that would reach."""

    score: float
    reached: float


class Scores(Struct, frozen=True):
    """What the evaluator's scores say of the labels, beyond its verdicts."""

    n: Annotated[int, Meta(ge=1)]
    labels: Literal["verdicts", "grades"]  # what `spearman` and `isotonic` are about; a verdict is 1 or 0
    higher_is_better: bool
    spearman: Coefficient | None
    best_by_youden: Threshold | None  # sensitivity + specificity − 1
    best_by_f1: Threshold | None  # of finding what people fail
    isotonic: Annotated[tuple[tuple[float, float], ...], Meta(min_length=1)]  # score → mean label, by rising score

    def __post_init__(self) -> None:
        if any(one >= other for (one, _), (other, _) in pairwise(self.isotonic)):
            raise ValueError("the scores of `isotonic` do not rise")

    def expected_label(self, score: float) -> float:
        """What people say on average of answers with this score: straight from corner to corner, level beyond."""
        corners = self.isotonic
        if score <= corners[0][0]:
            return corners[0][1]
        for (left, low), (right, high) in pairwise(corners):
            if score <= right:
                return low + (high - low) * (score - left) / (right - left)
        return corners[-1][1]


class Corrected(NamedTuple):
    """A pass rate as people would find it, and between which values it lies with 95 %."""

    estimate: float
    low: float
    high: float


class Calibration(Struct, frozen=True):
    """What was measured, of one evaluator in one version."""

    evaluator: str  # its configured id
    evaluator_version: str | None
    made_at: datetime
    state: State
    reason: str | None  # why it is not calibrated
    n: Annotated[int, Meta(ge=1)]  # answers with a label and a verdict
    base_rate: Share  # what people passed of them
    pass_at: float  # the grade, or score, from which on is a pass where no verdict was given
    confusion: Confusion
    agreement: Share  # of verdicts; says little where the base rate is near 0 or 1
    cohen_kappa: Kappa | None  # of verdicts; None: everybody said one and the same
    grades: Grades | None
    bias: float  # evaluator − human, on average: grades, or shares of passes where there are none
    mean_absolute_error: float
    sensitivity: Share | None  # q1: what the evaluator passes of what people pass
    human_passes: Count  # m1
    specificity: Share | None  # q0: what the evaluator fails of what people fail
    human_fails: Count  # m0
    scores: Scores | None  # None: the evaluator gives none

    def __post_init__(self) -> None:
        human = self.confusion
        if (self.human_passes, self.human_fails) != (human.human_pass.total, human.human_fail.total):
            raise ValueError("human_passes and human_fails are not the sums of `confusion`")
        if self.n != self.human_passes + self.human_fails:
            raise ValueError("`n` is not the sum of `confusion`")

    @property
    def kappa(self) -> Kappa | None:
        """The one that decides: quadratic for grades, Cohen's for pass and fail."""
        return self.grades.quadratic_kappa if self.grades else self.cohen_kappa

    def state_for(self, version: str | None) -> State:
        """An evaluator in another version than the one that was measured is not calibrated."""
        return self.state if version == self.evaluator_version else "uncalibrated"

    def corrected(self, pass_share: float, n: int) -> Corrected | None:
        """What people would pass where the evaluator passes `pass_share` of `n`; None when it cannot be said.

        Rogan and Gladen's estimate (1978) with the interval of Lang and Reiczigel (2014), which holds its 95 % where
        few labels stand behind a sensitivity near 1. Of weighted outcomes `n` is the effective number.
        """
        passed, failed = self.confusion.human_pass, self.confusion.human_fail
        if n < 1 or not passed.total or not failed.total:
            return None
        sensitivity = passed.evaluator_pass / passed.total
        specificity = failed.evaluator_fail / failed.total
        if sensitivity + specificity <= 1:
            return None
        estimate = clipped((pass_share + specificity - 1) / (sensitivity + specificity - 1))
        interval = self._interval(pass_share, n)
        return interval and Corrected(estimate, min(interval[0], estimate), max(interval[1], estimate))

    def _interval(self, pass_share: float, n: int) -> tuple[float, float] | None:
        passed, failed = self.confusion.human_pass, self.confusion.human_fail
        m1, m0, rows = passed.total + 2, failed.total + 2, n + SURE**2
        q1, q0 = (passed.evaluator_pass + 1) / m1, (failed.evaluator_fail + 1) / m0
        share = (n * pass_share + SURE**2 / 2) / rows
        power = q1 + q0 - 1
        if power <= 0:  # better than chance, but by so few labels that it may be worse
            return None
        middle = clipped((share + q0 - 1) / power)
        of_passes, of_fails = q1 * (1 - q1) / m1, q0 * (1 - q0) / m0
        variance = share * (1 - share) / rows + middle**2 * of_passes + (1 - middle) ** 2 * of_fails
        centre = middle + 2 * SURE**2 * (middle * of_passes - (1 - middle) * of_fails)
        half = SURE * sqrt(variance) / power
        return clipped(centre - half), clipped(centre + half)


def shortfall(n: int, kappa: Kappa | None) -> str | None:
    """Why this is too little for a calibrated evaluator; None: it is not."""
    if n < ENOUGH:
        return f"{n} labels with a verdict are too few; {ENOUGH} are needed"
    if kappa is None:
        return "people and the evaluator said one and the same of every answer, which tells nothing; label others too"
    if kappa.value < GOOD:
        return f"κ is {kappa.value:g}; {GOOD} is needed"
    return None


def state_after(n: int, kappa: Kappa | None, before: State) -> State:
    """What new labels make of an evaluator; `before` is what was known of it in the same version."""
    if shortfall(n, kappa) is None:
        return "calibrated"
    return "uncalibrated" if n < ENOUGH or before == "uncalibrated" else "drifted"


def load(file: Path) -> Calibration:
    """ConfigError when it is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Calibration)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: is no calibration: {error}; make it anew with `sidelight calibrate`") from None


def save(calibration: Calibration, file: Path) -> None:
    """As JSON that people read, and that a version control system compares line by line."""
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=2) + b"\n")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


def clipped(share: float) -> float:
    return min(max(share, 0.0), 1.0)

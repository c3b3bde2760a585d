"""What a calibration file holds, what it makes of a pass rate, and when an evaluator is calibrated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calibration import Calibration, Kappa, Scores, State, load, save, shortfall, state_after
from pipeline.errors import ConfigError
from tests.support.calibrations import a_calibration, graded, measured, with_counts

COUNT = st.integers(0, 60)
CELLS = st.tuples(COUNT, COUNT, COUNT, COUNT).filter(any)


def saved(folder: Path, calibration: Calibration) -> Path:
    file = folder / "judge.json"
    save(calibration, file)
    return file


@pytest.mark.parametrize(
    "calibration", [a_calibration(), measured(graded((1, 2), (5, 4), (3, 3))), with_counts((9, 0), (0, 0))]
)
def test_what_is_saved_is_what_is_loaded(calibration: Calibration, tmp_path: Path) -> None:
    assert load(saved(tmp_path, calibration)) == calibration


def test_a_file_has_a_line_for_each_thing_so_that_versions_compare(tmp_path: Path) -> None:
    text = saved(tmp_path, a_calibration()).read_text()
    assert '\n  "state": "calibrated",\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no calibration"),
        (b"\xff", "is no calibration"),
        (b"[" * 100_000, "is no calibration"),
        (b"{}", "missing required field `evaluator`"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "judge.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert said in str(refused.value)
    assert "`sidelight calibrate`" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "fine"}, "Invalid enum value 'fine' - at `$.state`"),
        ({"base_rate": 1.5}, "`$.base_rate`"),
        ({"n": 59}, "`n` is not the sum of `confusion`"),
        ({"human_passes": 31, "human_fails": 29}, "are not the sums of `confusion`"),
    ],
)
def test_a_file_that_somebody_changed_is_told(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    file = saved(tmp_path, a_calibration())
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert said in str(refused.value)


def test_a_map_whose_scores_do_not_rise_is_told() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Scores(2, "verdicts", True, None, None, None, ((1.0, 0.0), (1.0, 1.0)))


def test_a_file_that_is_not_there_or_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "judge.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        save(a_calibration(), tmp_path)


def test_another_version_of_the_evaluator_is_not_calibrated() -> None:
    assert a_calibration().state_for("v1") == "calibrated"
    assert a_calibration().state_for("v2") == "uncalibrated"
    assert a_calibration().state_for(None) == "uncalibrated"
    assert a_calibration(state="drifted").state_for("v1") == "drifted"
    assert a_calibration(evaluator_version=None).state_for(None) == "calibrated"


GOOD, POOR = Kappa(0.6, 0.4, 0.7), Kappa(0.5999, 0.4, 0.7)


@pytest.mark.parametrize(
    ("n", "kappa", "before", "after", "said"),
    [
        (50, GOOD, "uncalibrated", "calibrated", None),
        (50, GOOD, "drifted", "calibrated", None),
        (49, GOOD, "uncalibrated", "uncalibrated", "49 labels with a verdict are too few; 50 are needed"),
        (49, GOOD, "calibrated", "uncalibrated", "too few"),
        (50, POOR, "uncalibrated", "uncalibrated", "κ is 0.5999; 0.6 is needed"),
        (50, POOR, "calibrated", "drifted", "0.6 is needed"),
        (50, POOR, "drifted", "drifted", "0.6 is needed"),
        (50, None, "uncalibrated", "uncalibrated", "label others too"),
    ],
)
def test_the_gate(n: int, kappa: Kappa | None, before: State, after: State, said: str | None) -> None:
    assert state_after(n, kappa, before) == after
    reason = shortfall(n, kappa)
    assert (reason is None) if said is None else (said in (reason or ""))


def test_a_pass_rate_is_corrected_by_hand() -> None:
    # of 0.7 that pass, with 0.9 and 0.8 right: (0.7 + 0.8 - 1) / (0.9 + 0.8 - 1)
    corrected = with_counts((90, 10), (20, 80)).corrected(0.7, 1000)
    assert corrected is not None
    assert corrected.estimate == pytest.approx(5 / 7)
    # the variance of the large sample, (0.00021 + (5/7)^2 x 0.0009 + (2/7)^2 x 0.0016) / 0.49, makes 0.079 each way
    assert (corrected.high - corrected.low) / 2 == pytest.approx(0.079, abs=0.004)


@pytest.mark.parametrize(
    ("passed", "failed", "n"),
    [
        ((5, 5), (5, 5), 100),
        ((18, 42), (0, 1), 100),  # 0.3 and 1, the latter of a single label
        ((1, 9), (8, 2), 100),
        ((10, 0), (0, 0), 100),
        ((0, 0), (1, 9), 100),
        ((9, 1), (1, 9), 0),
    ],
)
def test_what_is_no_better_than_chance_or_not_known_corrects_nothing(
    passed: tuple[int, int], failed: tuple[int, int], n: int
) -> None:
    assert with_counts(passed, failed).corrected(0.5, n) is None


@given(CELLS, st.floats(0, 1), st.integers(1, 10_000))
def test_a_corrected_rate_is_a_share_within_its_interval(
    cells: tuple[int, int, int, int], pass_share: float, n: int
) -> None:
    corrected = with_counts(cells[:2], cells[2:]).corrected(pass_share, n)
    assert corrected is None or 0 <= corrected.low <= corrected.estimate <= corrected.high <= 1


@given(CELLS, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_pass_rate_is_never_corrected_to_a_lower_one(
    cells: tuple[int, int, int, int], one: float, other: float
) -> None:
    calibration = with_counts(cells[:2], cells[2:])
    low, high = calibration.corrected(min(one, other), 100), calibration.corrected(max(one, other), 100)
    assert low is None or high is None or low.estimate <= high.estimate


class World(NamedTuple):
    """How good an evaluator is, how much is good, and how much anybody saw of it."""

    sensitivity: float
    specificity: float
    truth: float
    rows: int
    labels: int
    base_rate: float  # of what is labelled


def simulated(world: World) -> Iterator[tuple[Calibration, float]]:
    """A thousand times: labels of people, and the pass rate that the evaluator tells of traffic."""
    random = np.random.default_rng(7)
    told = world.truth * world.sensitivity + (1 - world.truth) * (1 - world.specificity)
    for _ in range(1000):
        passes = min(max(int(random.binomial(world.labels, world.base_rate)), 1), world.labels - 1)
        fails = world.labels - passes
        right, rightly = random.binomial(passes, world.sensitivity), random.binomial(fails, world.specificity)
        calibration = with_counts((right, passes - right), (fails - rightly, rightly))
        yield calibration, random.binomial(world.rows, told) / world.rows


FEW_LABELS = World(0.95, 0.9, 0.9, 1000, 50, 0.5)  # often none of them is judged wrongly


@pytest.mark.parametrize(
    "world",
    [
        World(0.9, 0.75, 0.8, 1000, 150, 0.5),
        World(0.95, 0.9, 0.9, 1000, 50, 0.9),
        World(0.98, 0.98, 0.98, 2000, 100, 0.9),
        FEW_LABELS,
    ],
)
def test_the_interval_holds_the_truth_95_times_in_100_and_that_of_the_told_rate_does_not(world: World) -> None:
    held, held_raw = [], []
    for calibration, share in simulated(world):
        corrected = calibration.corrected(share, world.rows)
        if corrected:  # else the labels show no evaluator that is better than chance
            held.append(corrected.low <= world.truth <= corrected.high)
            held_raw.append(abs(share - world.truth) <= 1.96 * (share * (1 - share) / world.rows) ** 0.5)
    assert len(held) > 950
    assert np.mean(held) >= 0.945
    assert np.mean(held_raw) < 0.6


def test_the_interval_of_large_samples_would_not_do_for_few_labels() -> None:
    held = []
    for calibration, share in simulated(FEW_LABELS):
        corrected = calibration.corrected(share, FEW_LABELS.rows)
        assert corrected is not None
        half = plain_half_width(calibration, corrected.estimate, share, FEW_LABELS.rows)
        held.append(abs(corrected.estimate - FEW_LABELS.truth) <= half)
    assert np.mean(held) < 0.8


def plain_half_width(calibration: Calibration, estimate: float, share: float, rows: int) -> float:
    """Of the interval whose variance is that of the three shares, each on its own."""
    passed, failed = calibration.confusion.human_pass, calibration.confusion.human_fail
    q1, q0 = passed.evaluator_pass / passed.total, failed.evaluator_fail / failed.total
    of_labels = estimate**2 * q1 * (1 - q1) / passed.total + (1 - estimate) ** 2 * q0 * (1 - q0) / failed.total
    return float(1.96 * (share * (1 - share) / rows + of_labels) ** 0.5 / (q1 + q0 - 1))


@pytest.mark.parametrize(("score", "label"), [(-9, 0.0), (1, 0.0), (1.5, 0.5), (2, 1.0), (99, 1.0)])
def test_a_score_is_what_people_say_of_it_on_average(score: float, label: float) -> None:
    scores = Scores(9, "verdicts", True, None, None, None, ((1.0, 0.0), (2.0, 1.0)))
    assert scores.expected_label(score) == label

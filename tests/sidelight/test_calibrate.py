"""`sidelight calibrate` as people run it: a labelled file in, a file to commit out, an exit code for CI."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.calibration import load
from pipeline.versions import version_of
from processors.refusal import Refusal

pytestmark = pytest.mark.e2e

CONFIG = "proxy: {upstreams: {one: {url: http://127.0.0.1:9}}}\nprocessors: {refusal: {threshold: 0.5}, latency: {}}\n"
SUBJECTS = [
    "vacation",
    "payroll",
    "insurance",
    "travel",
    "training",
    "parking",
    "equipment",
    "pension",
    "canteen",
    "visas",
]
ANSWERED = (
    "The rules for {} are on the intranet of the company.",
    "Ask your manager about {}; the form is short.",
    "Yes, {} is part of every contract.",
)
REFUSED = ("I'm sorry, but I can't help you with {}.", "I cannot provide any advice on {}.")
MISSED = "Talk about {} is above my pay grade, so no."  # which people see through and phrases do not


def an_evaluated_file(folder: Path, missed: int = 2, name: str = "labelled.csv") -> Path:
    """30 answers, 20 refusals, and of the second kind as many that no phrase gives away; labelled in pass and fail."""
    answers = [(form.format(subject), "pass") for form in ANSWERED for subject in SUBJECTS]
    refusals = [(form.format(subject), "fail") for form in REFUSED for subject in SUBJECTS]
    hidden = [(MISSED.format(f"{(SUBJECTS * 5)[number]} {number}"), "fail") for number in range(missed)]
    rows = [("What of it?", *row) for row in answers + refusals + hidden]
    return a_file(folder, ["question", "answer", "label"], rows, name)


def a_file(folder: Path, head: Sequence[str], rows: Sequence[Sequence[Any]], name: str = "labelled.csv") -> Path:
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    (folder / "sidelight.yaml").write_text(CONFIG)
    return folder / name


def calibrate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidelight", "calibrate", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_the_evaluator_is_run_and_what_it_is_worth_is_told_and_written(tmp_path: Path) -> None:
    file = an_evaluated_file(tmp_path)
    run = calibrate(tmp_path, str(file), "--evaluator", "refusal", "-o", "refusal.json")
    assert run.returncode == 0, run.stdout + run.stderr
    found = load(tmp_path / "refusal.json")
    assert (found.n, found.human_passes, found.human_fails) == (52, 30, 22)
    assert (found.sensitivity, found.specificity) == (1.0, 0.9091)
    # 50 of 52 agree; by chance (30 x 32 + 22 x 20) / 52^2
    assert found.cohen_kappa is not None
    assert found.cohen_kappa.value == pytest.approx((50 / 52 - 1400 / 2704) / (1 - 1400 / 2704), abs=1e-4)
    assert found.scores is not None
    assert not found.scores.higher_is_better  # a refusal's score says how surely it is one
    assert (found.state, found.state_for(version_of(Refusal(0.5)))) == ("calibrated", "calibrated")
    assert found.state_for(version_of(Refusal(0.7))) == "uncalibrated"
    assert "They differ in 2 rows: 51–52." in run.stdout
    assert "Calibrated: refusal" in run.stdout
    assert "canteen" not in run.stdout + (tmp_path / "refusal.json").read_text()


def test_an_evaluator_that_people_contradict_is_exit_code_1_and_was_calibrated_before(tmp_path: Path) -> None:
    arguments = ("--evaluator", "refusal", "-o", "refusal.json")
    assert calibrate(tmp_path, str(an_evaluated_file(tmp_path)), *arguments).returncode == 0
    run = calibrate(tmp_path, str(an_evaluated_file(tmp_path, missed=30, name="new.csv")), *arguments)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "Drifted: it was calibrated before" in run.stdout
    assert load(tmp_path / "refusal.json").state == "drifted"


def test_too_few_labels_are_exit_code_1_and_what_was_left_out_is_told(tmp_path: Path) -> None:
    answers = [("I can't help you with that.", "fail"), ("Sure.", ""), ("Sure.", "perhaps"), ("Sure.", "pass")]
    rows = [("What of it?", *answer) for answer in answers]
    run = calibrate(tmp_path, str(a_file(tmp_path, ["question", "answer", "label"], rows)), "--evaluator", "refusal")
    assert run.returncode == 1, run.stderr
    assert "Left out, since it has no label: row 2." in run.stdout
    assert "Left out, since its label is not a word like pass or fail: row 3." in run.stdout
    assert "Uncalibrated: 2 labels with a verdict are too few; 50 are needed." in run.stdout


def test_a_column_of_scores_needs_neither_the_evaluator_nor_the_answers(tmp_path: Path) -> None:
    grades = [(1, 1), (2, 2), (3, 3), (4, 5), (5, 5), (5, 4)] * 10
    file = a_file(tmp_path, ["rating", "judge"], grades)
    run = calibrate(tmp_path, str(file), "--evaluator", "my_judge", "--score", "judge", "-o", "out.json")
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert (told["evaluator"], told["evaluator_version"], told["n"]) == ("my_judge", None, 60)
    assert told["grades"]["levels"] == [1, 2, 3, 4, 5]
    assert told["grades"]["agreement_within_1"] == 1.0
    assert "version none known" in run.stdout


def test_scores_of_an_evaluator_in_the_configuration_are_of_its_version(tmp_path: Path) -> None:
    file = a_file(tmp_path, ["label", "said"], [("pass", "pass"), ("fail", "fail")] * 30)
    assert calibrate(tmp_path, str(file), "--evaluator", "refusal", "--score", "said", "-o", "out.json").returncode == 0
    assert load(tmp_path / "out.json").evaluator_version == version_of(Refusal(0.5))


def test_shares_are_a_pass_from_where_somebody_says(tmp_path: Path) -> None:
    file = a_file(tmp_path, ["label", "said"], [("pass", 0.9), ("fail", 0.2)] * 30)
    arguments = (str(file), "--evaluator", "mine", "--score", "said")
    run = calibrate(tmp_path, *arguments)
    assert (run.returncode, "--pass-at: no score is above 1" in run.stderr) == (2, True), run.stdout
    assert calibrate(tmp_path, *arguments, "--pass-at", "0.5").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--evaluator", "refusals"), "the configuration has none of this id; did you mean refusal?"),
        (("--evaluator", "latency"), "the evaluator gave no verdict: skipped (missing_input); so in every row"),
        (("--evaluator", "refusal", "--label", "lable"), "did you mean label?; there are question, answer, label"),
        (("--evaluator", "refusal", "--score", "x"), "no such column; there are question, answer, label"),
        (("--evaluator", "refusal", "--map", "response=Anser"), "there is no column 'Anser'"),
        (("--evaluator", "refusal", "--map", "response"), "write NAME=COLUMN"),
        (("--evaluator", "refusal", "--score", "label", "--map", "response=answer"), "exclude each other"),
        (("--evaluator", "refusal", "--pass-at", "nan"), "--pass-at: give a number"),
        (("--evaluator", "refusal", "-o", "no/such/folder.json"), "there is no folder no/such; make it first"),
        (("--evaluator", "refusal", "-o", "sidelight.yaml"), "sidelight.yaml: is no calibration"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    run = calibrate(tmp_path, str(an_evaluated_file(tmp_path)), *arguments)
    assert (run.returncode, said in run.stderr) == (2, True), run.stderr


def test_the_calibration_of_another_evaluator_is_not_written_over(tmp_path: Path) -> None:
    file = a_file(tmp_path, ["label", "said"], [("pass", "pass"), ("fail", "fail")] * 30)
    arguments = (str(file), "--score", "said", "-o", "out.json", "--evaluator")
    assert calibrate(tmp_path, *arguments, "one").returncode == 0
    run = calibrate(tmp_path, *arguments, "other")
    assert (run.returncode, "holds the calibration of one; name another file" in run.stderr) == (2, True)


def test_a_column_without_labels_is_told_before_the_evaluator_is_asked(tmp_path: Path) -> None:
    run = calibrate(tmp_path, str(an_evaluated_file(tmp_path)), "--evaluator", "refusal", "--label", "answer")
    assert (run.returncode, "answer: no label in this column is a word" in run.stderr) == (2, True)

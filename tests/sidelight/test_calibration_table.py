from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.calibration import Calibration
from sidelight.calibration_table import print_calibration, rows
from sidelight.rows import Problem
from tests.support.calibrations import a_calibration, graded, measured, pairs_of


def shown(found: Calibration, differing: tuple[int, ...] = (), problems: tuple[Problem, ...] = ()) -> str:
    out = io.StringIO()
    print_calibration(found, "hr.csv: label from label", differing, problems, Console(file=out, width=80))
    return out.getvalue()


def line(text: str, beginning: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(beginning)).removeprefix(beginning).split()


ALL_PASS = measured(pairs_of((60, 0), (0, 0)))
POOR = pairs_of((30, 20), (20, 30))
GRADED = measured(graded(*[(2, 2), (4, 5), (1, 3), (5, 5)] * 20))


@pytest.mark.parametrize("found", [a_calibration(), GRADED, ALL_PASS])
def test_agreement_never_stands_without_its_base_rate_and_kappa(found: Calibration) -> None:
    names = [line.split("  ")[0] for line in shown(found).splitlines()]
    at = names.index("agreement")
    assert names[at - 1 : at + 2] == ["base rate", "agreement", "Cohen's κ"]
    assert ("exact" in names) == ("quadratic κ" in names) == (found.grades is not None)


@pytest.mark.parametrize("found", [a_calibration(), GRADED])
def test_it_fits_80_columns(found: Calibration) -> None:
    tables = shown(found).splitlines()[1:-1]
    assert max(map(len, tables)) <= 80


def test_each_figure_is_told_with_its_interval_and_of_how_many() -> None:
    text = shown(a_calibration())
    assert text.splitlines()[0] == "hr.csv: label from label (version v1); of numbers, 3 is a pass."
    assert line(text, "base rate") == ["53.3%", "41–65", "people", "pass,", "of", "60"]
    assert line(text, "sensitivity")[:2] == ["93.8%", "80–98"]
    assert line(text, "people pass") == ["30", "2"]
    assert line(text, "people fail") == ["4", "24"]


def test_of_grades_the_whole_table_is_shown() -> None:
    text = shown(GRADED)
    assert line(text, "people ↓ evaluator →") == ["1", "2", "3", "4", "5"]
    assert line(text, "4 ") == ["0", "0", "0", "0", "20"]
    assert line(text, "bias")[:2] == ["+0.75", "grades;"]
    assert "Spearman" in text
    assert "pass from there on" in text


def test_what_is_not_known_is_said() -> None:
    text = shown(ALL_PASS)
    assert line(text, "specificity") == ["–", "it", "fails", "what", "people", "fail:", "there", "is", "none"]
    assert line(text, "Cohen's κ")[0] == "–"


def test_rows_that_were_left_out_are_told_by_number_and_reason() -> None:
    empty, odd = "it has no label", "its label is not a word like [bold]pass[/bold] or fail"
    text = shown(a_calibration(), (3, 9), (Problem(8, empty), Problem(5, odd), Problem(7, empty)))
    assert "They differ in 2 rows: 3, 9." in text
    assert "Left out, since it has no label: 2 rows: 7–8." in text
    assert "[bold]pass[/bold] or fail: row 5." in text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([3], "row 3"),
        ([1, 2, 3, 7], "4 rows: 1–3, 7"),
        (list(range(1, 101, 2)), f"50 rows: {', '.join(map(str, range(1, 40, 2)))}, …"),
    ],
)
def test_rows_are_told_in_stretches(numbers: list[int], said: str) -> None:
    assert rows(numbers) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (a_calibration(), "Calibrated: judge agrees with people well enough to be believed."),
        (measured(POOR), "Uncalibrated: κ is 0.2; 0.6 is needed."),
        (measured(POOR, "calibrated"), "Drifted: it was calibrated before, but κ is 0.2; 0.6 is needed."),
    ],
)
def test_the_conclusion_is_the_last_line(found: Calibration, said: str) -> None:
    assert shown(found).splitlines()[-1] == said

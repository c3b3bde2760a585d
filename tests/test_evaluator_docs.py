"""docs/evaluators.md has a row for each evaluator; `python -m bench.evaluators DATA_FOLDER` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.accuracy import Score
from bench.evaluator_accuracy import Measured, f1_of
from bench.evaluators import accuracy_rows, needs, scale_of, with_interval
from pipeline.versions import version_of
from processors import PROCESSORS
from sidelight.show import first_line

PAGE = Path(__file__).parents[1] / "docs" / "evaluators.md"


def rows() -> dict[str, list[str]]:
    """Of the first table."""
    text = PAGE.read_text("utf-8").partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    return {each[0].strip("`"): each for each in cells}


def test_every_evaluator_has_its_row_and_nothing_else_has() -> None:
    assert list(rows()) == list(PROCESSORS)


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_row_says_what_the_registry_says(name: str) -> None:
    kind = PROCESSORS[name]
    _, what, inputs, scale, version, cost = rows()[name]
    assert (what, inputs, scale) == (first_line(kind.__doc__), needs(kind), scale_of(kind))
    assert version == version_of(kind())
    assert scale
    assert float(cost.replace(",", "")) > 0


def test_accuracy_is_told_with_its_intervals() -> None:
    (row,) = accuracy_rows([Measured("refusal", "a set", Score(80, 20, 20, 180), 7, "a peer: 0.5")])
    shares = ["0.800 (0.711–0.867)", "0.800 (0.711–0.867)", "0.800"]
    assert row == ["`refusal`", "a set", "300 (silent about 7)", "100", *shares, "a peer: 0.5"]


def test_nothing_found_is_no_share() -> None:
    assert with_interval(0, 0) == "–"
    assert f1_of(Score(0, 0, 5)) == 0.0

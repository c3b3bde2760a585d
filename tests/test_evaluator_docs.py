"""docs/evaluators.md has a row for each evaluator; `python -m bench.evaluators DATA_FOLDER` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.evaluators import needs, told_as
from processors import PROCESSORS
from sidelight.show import first_line

PAGE = Path(__file__).parents[1] / "docs" / "evaluators.md"


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {each[0].strip("`"): each for each in cells}


def test_every_evaluator_has_its_row_and_nothing_else_has() -> None:
    assert list(rows()) == list(PROCESSORS)


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_row_says_what_the_registry_says(name: str) -> None:
    kind = PROCESSORS[name]
    _, what, inputs, cost, _ = rows()[name]
    assert (what, inputs) == (first_line(kind.__doc__), needs(kind))
    assert float(cost.replace(",", "")) > 0


def test_accuracy_is_told_with_its_intervals() -> None:
    assert told_as(80, 20, 20, 300) == ("n 300: precision 0.800 (0.711–0.867), recall 0.800 (0.711–0.867), F1 0.800")

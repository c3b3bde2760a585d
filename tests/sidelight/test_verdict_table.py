from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.records import Evaluation, LedgerEntry
from sidelight.classification import Classification, Ranking
from sidelight.rows import Problem
from sidelight.verdict import Judged, Tally, Verdict
from sidelight.verdict_table import number, print_classification, print_verdict, tallies_table
from tests.support.records import an_exchange


def shown(rows: int, failing: int, problems: tuple[Problem, ...] = ()) -> str:
    def entry(number: int) -> LedgerEntry:
        label = "fail" if number <= failing else "pass"
        outcome = "fail" if number <= failing else "pass"
        said = Evaluation("answer_relevancy", 0.25, label, "[bold]it speaks of something else")
        return LedgerEntry("answer_relevancy", outcome, None, (said,))  # type: ignore[arg-type]

    judged = [Judged(number, an_exchange(), (entry(number),)) for number in range(1, rows + 1)]
    out = io.StringIO()
    print_verdict(Verdict("hr.csv", {"query": "Question"}, judged, problems, 1.0, ""), Console(file=out, width=80))
    return out.getvalue()


def test_sums_failures_and_the_conclusion_fit_80_columns() -> None:
    text = shown(10, 2)
    assert max(map(len, text.splitlines())) <= 80
    line = next(line for line in text.splitlines() if line.startswith("answer_relevancy"))
    assert line.split() == ["answer_relevancy", "8", "2", "0", "0", "0", "80%", "(49–94)", "0.25", "(0.25–0.25)"]
    assert text.splitlines()[0] == "10 rows of hr.csv: query from Question."
    assert text.splitlines()[-1] == "Failed: below 100% or broken: answer_relevancy."


def test_beside_wide_figures_the_name_folds_and_nothing_is_cut() -> None:
    outcomes = {"pass": 123_456, "fail": 234_567, "scored": 345_678, "skipped": 456_789}
    out = io.StringIO()
    Console(file=out, width=80).print(tallies_table([Tally("answer_relevancy", outcomes, (0.123, 0.456))]))
    assert all(figure in out.getvalue() for figure in ("123,456", "456,789", "34% (34–35)", "0.289 (0.123–0.456)"))
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_what_was_said_is_text_and_not_markup() -> None:
    assert "[bold]it speaks" in shown(1, 1)


def test_of_very_many_failures_the_first_are_shown_and_the_rest_counted() -> None:
    text = shown(50, 45)
    assert "25 more failed." in text
    rows = [line.split()[0] for line in text.splitlines() if "it speaks" in line]
    assert rows == [str(number) for number in range(1, 21)]


def test_rows_that_could_not_be_read_are_told() -> None:
    text = shown(1, 0, (Problem(7, "it is empty"),))
    assert "row 7 could not be read: it is empty" in text
    assert text.splitlines()[-1] == "Failed: 1 rows could not be read."


@pytest.mark.parametrize(
    ("value", "said"), [(None, ""), (0.0, "0"), (0.12345, "0.123"), (-0.5, "-0.5"), (123.4, "123"), (45678.9, "45,679")]
)
def test_numbers_are_short(value: float | None, said: str) -> None:
    assert number(value) == said


def test_success_says_so() -> None:
    assert shown(3, 0).splitlines()[-1] == "Passed: every pass rate is at least 100%."


@pytest.mark.parametrize(
    ("labels", "line"), [(2, ["l0", "3", "0.6", "1", "0.75", "3", "0", "0"]), (7, ["l0", "3", "0.2", "1", "0.333"])]
)
def test_labels_are_compared_beside_their_matrix_while_it_is_narrow(labels: int, line: list[str]) -> None:
    matrix = ((3, *(0,) * labels), *((2, 1, *(0,) * (labels - 1)),) * (labels - 1))[:labels]
    found = Classification(tuple(f"l{number}" for number in range(labels)), matrix, 2, Ranking(0.9, "l1", 6))
    out = io.StringIO()
    print_classification(found, Console(file=out, width=80))
    sentence = out.getvalue().splitlines()[0]
    assert sentence.endswith("AUC of l1 0.9 in 6 rows; 2 rows without both labels are left out.")
    assert max(map(len, out.getvalue().splitlines()[1:])) <= 80
    assert next(text for text in out.getvalue().splitlines() if text.startswith("l0")).split() == line

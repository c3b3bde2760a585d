"""Labels as people write them: words, numbers, gaps and slips, each told with its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sidelight.labels import Column, Opinion, existing, label_column, read_labels, read_scores
from sidelight.rows import Problem, Row


def rows(values: Sequence[Any]) -> list[Row]:
    return [Row(number, {"label": value}) for number, value in enumerate(values, start=1)]


def labels(*values: Any, pass_at: float = 3) -> Column:
    return read_labels(rows(values), "label", pass_at)


def scores(*values: Any, pass_at: float = 3) -> Column:
    return read_scores(rows(values), "label", pass_at)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["question", "Label"], "Label"),
        (["Human Label", "rating"], "Human Label"),
        (["gold", "human"], "human"),
        (["question", "rating"], "rating"),
    ],
)
def test_the_column_is_found_by_what_people_call_it(columns: list[str], found: str) -> None:
    assert label_column(columns, None) == found


def test_what_is_given_goes_before_what_is_found() -> None:
    assert label_column(["label", "mine"], "mine") == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "say --label COLUMN, one of question, verdict"),
        ("verdit", "--label verdit: there is no such column; did you mean verdict?; there are question, verdict"),
        ("x", "--label x: there is no such column; there are question, verdict"),
    ],
)
def test_a_wrong_name_is_told_with_every_column(given: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        label_column(["question", "verdict"], given)
    assert said in str(refused.value)


def test_a_column_that_is_there_is_itself() -> None:
    assert existing(["a"], "a", "--score") == "a"


@pytest.mark.parametrize(
    "values",
    [
        ("pass", "fail"), ("Passed", "FAILED"), (" yes ", "no"), ("true", "false"), (True, False), ("good", "bad"),
        ("1", "0"), (1, 0), ("1.0", "0.0"), ("correct", "wrong"),
    ],
)  # fmt: skip
def test_words_are_verdicts(values: tuple[Any, Any]) -> None:
    assert labels(*values).opinions == {1: Opinion(True), 2: Opinion(False)}


def test_whole_numbers_are_grades_that_pass_from_one_on() -> None:
    assert labels("1", 3, "5.0").opinions == {1: Opinion(False, 1), 2: Opinion(True, 3), 3: Opinion(True, 5)}
    assert labels(1, 3, 5, pass_at=4).opinions[2] == Opinion(False, 3)


def test_a_0_among_grades_is_a_grade() -> None:
    assert labels(0, 1, 7).opinions == {1: Opinion(False, 0), 2: Opinion(False, 1), 3: Opinion(True, 7)}


def test_what_is_missing_or_no_label_is_told_by_row_and_never_quoted() -> None:
    column = labels("pass", "", None, "a secret", "fail")
    assert list(column.opinions) == [1, 5]
    assert column.problems == (
        Problem(2, "it has no label"),
        Problem(3, "it has no label"),
        Problem(4, "its label is not a word like pass or fail"),
    )


def test_what_most_labels_are_decides_what_a_slip_is() -> None:
    assert [problem.number for problem in labels("pass", "fail", "pass", 11).problems] == [4]
    grades = labels(2, 4, 5, "good", 11, 2.5, "nan", "inf")
    assert [problem.number for problem in grades.problems] == [4, 5, 6, 7, 8]
    assert {problem.said for problem in grades.problems} == {"its label is not a whole number from 0 to 10"}


def test_a_column_of_prose_holds_no_labels() -> None:
    with pytest.raises(ConfigError, match="no label in this column") as refused:
        labels("a secret", "")
    assert "secret" not in str(refused.value)


def test_scores_are_any_numbers() -> None:
    assert scores(0.25, "-3", 4).opinions == {1: Opinion(False, 0.25), 2: Opinion(False, -3), 3: Opinion(True, 4)}
    assert [problem.number for problem in scores(0.5, 0.6, "inf", "nan").problems] == [3, 4]
    assert scores("pass", "fail").opinions == {1: Opinion(True), 2: Opinion(False)}


VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(st.lists(VALUE | st.sampled_from(["pass", "no", "3"]), min_size=1, max_size=12), st.floats(0, 10))
def test_every_row_is_read_or_told(values: list[Any], pass_at: float) -> None:
    for read in (labels, scores):
        try:
            column = read(*values, pass_at=pass_at)
        except ConfigError:
            continue
        told = [problem.number for problem in column.problems]
        assert sorted([*column.opinions, *told]) == list(range(1, len(values) + 1))

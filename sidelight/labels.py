"""What a column says of each row: a verdict in words (pass, fail, yes, no, …), or a number that makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Final, NamedTuple

from pipeline.errors import ConfigError
from sidelight.dataset import as_text, listed, nearest, plain
from sidelight.rows import Problem, Row

LABELS: Final = ("label", "human_label", "human", "gold", "rating")  # what such columns are called
WORDS: Final = {
    **dict.fromkeys(("pass", "passed", "yes", "y", "true", "t", "good", "ok", "correct", "1", "1.0"), True),
    **dict.fromkeys(("fail", "failed", "no", "n", "false", "f", "bad", "incorrect", "wrong", "0", "0.0"), False),
}
GRADES: Final = range(11)


class Opinion(NamedTuple):
    """Of one answer; `score` is the grade of a person, the score of an evaluator."""

    passed: bool
    score: float | None = None


class Column(NamedTuple):
    """What could be read, by the row's number, and what could not."""

    opinions: dict[int, Opinion]
    problems: tuple[Problem, ...]


def label_column(columns: Sequence[str], given: str | None) -> str:
    """The one that is given, or the first that is called like one. ConfigError lists what there is."""
    if given is not None:
        return existing(columns, given, "--label")
    called = {plain(column): column for column in reversed(columns)}
    found = next((called[name] for name in LABELS if name in called), None)
    if found is None:
        raise ConfigError(f"no column is known to hold labels; say --label COLUMN, one of {listed(columns)}")
    return found


def existing(columns: Sequence[str], column: str, option: str) -> str:
    if column not in columns:
        close = nearest(column, columns)
        there_are = f"; there are {listed(columns)}" if close.startswith("did") else ""
        raise ConfigError(f"{option} {column}: there is no such column; {close}{there_are}")
    return column


def read_labels(rows: Sequence[Row], column: str, pass_at: float) -> Column:
    """Words, or grades from 0 to 10: what most of them are."""
    return read_column(rows, column, "label", f"a whole number from {GRADES[0]} to {GRADES[-1]}", is_grade, pass_at)


def read_scores(rows: Sequence[Row], column: str, pass_at: float) -> Column:
    """Words, or numbers of any kind: what most of them are."""
    return read_column(rows, column, "score", "a number", isfinite, pass_at)


def read_column(
    rows: Sequence[Row], column: str, what: str, numbers_are: str, fits: Callable[[float], bool], pass_at: float
) -> Column:
    texts = {row.number: as_text(row.values.get(column)).strip().lower() for row in rows}
    words = {number: Opinion(WORDS[text]) for number, text in texts.items() if text in WORDS}
    numbers = {
        number: Opinion(value >= pass_at, value)
        for number, text in texts.items()
        if (value := as_number(text)) is not None and fits(value)
    }
    opinions = numbers if len(numbers) > len(words) else words
    if not opinions:
        raise ConfigError(f"{column}: no {what} in this column is a word like pass or fail, or {numbers_are}")
    wanted = numbers_are if opinions is numbers else "a word like pass or fail"
    problems = (
        Problem(number, f"its {what} is not {wanted}" if text else f"it has no {what}")
        for number, text in texts.items()
        if number not in opinions
    )
    return Column(opinions, tuple(problems))


def is_grade(value: float) -> bool:
    return value in GRADES


def as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

"""Predicted labels beside true ones: confusion matrix, accuracy, precision, recall, F1, and AUC where scores are told.

A prediction that is no row's true label is one that nothing can be said about but that it is wrong: all of those share
the last column of the matrix. What would be divided by nothing is None, and is in no mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.errors import ConfigError
from sidelight.dataset import as_text, listed, nearest
from sidelight.rows import Row

ROLES: Final = ("true", "predicted", "score")
MEASURES: Final = ("precision", "recall", "f1")
NEEDED: Final = ("true", "predicted")
MOST_LABELS: Final = 50  # more are no labels, and no table that anybody reads


class Counts(NamedTuple):
    """Of one class, or summed over all: rightly said, wrongly said, not said."""

    hits: int
    false_alarms: int
    misses: int

    @property
    def precision(self) -> float | None:
        return share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float | None:
        return share(self.hits, self.hits + self.misses)

    @property
    def f1(self) -> float | None:
        return share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)


class Ranking(NamedTuple):
    """How well scores tell the positive label from the other."""

    auc: float
    positive: str
    rows: int


@dataclass(frozen=True)
class Classification:
    """All rows that have both labels."""

    labels: tuple[str, ...]  # the true ones
    matrix: tuple[tuple[int, ...], ...]  # a line for each true label: how often each was predicted, and what is none
    left_out: int  # rows without one of the two
    ranking: Ranking | None = None

    @property
    def rows(self) -> int:
        return sum(map(sum, self.matrix))

    @cached_property
    def classes(self) -> dict[str, Counts]:
        """Label → its counts."""
        hits = {label: self.matrix[index][index] for index, label in enumerate(self.labels)}
        said = {label: sum(line[index] for line in self.matrix) for index, label in enumerate(self.labels)}
        there = {label: sum(line) for label, line in zip(self.labels, self.matrix, strict=True)}
        return {label: Counts(hits[label], said[label] - hits[label], there[label] - hits[label]) for label in hits}

    @property
    def micro(self) -> Counts:
        """Every row counts the same."""
        hits, false_alarms, misses = map(sum, zip(*self.classes.values(), strict=True))
        return Counts(hits, false_alarms, misses)

    @property
    def accuracy(self) -> float:
        return self.micro.hits / self.rows

    def macro(self, measure: str) -> float | None:
        """Every class counts the same; `measure` is one of MEASURES."""
        found = [value for counts in self.classes.values() if (value := getattr(counts, measure)) is not None]
        return share(sum(found), len(found))


def share(part: float, of: float) -> float | None:
    return part / of if of else None


def check_roles(given: Mapping[str, str], columns: Sequence[str]) -> None:
    """ConfigError unless both labels are given, and by columns that are there."""
    problems = [
        f"--label {role}=…: there is no {role!r}; {nearest(role, ROLES)}" for role in given if role not in ROLES
    ]
    problems += [
        f"--label {role}={column}: there is no column {column!r}; {nearest(column, columns)}"
        for role, column in given.items()
        if role in ROLES and column not in columns
    ]
    problems += [
        f"--label {role}=COLUMN is missing; give one of {listed(columns)}" for role in NEEDED if role not in given
    ]
    if problems:
        raise ConfigError(*problems)


def classification_of(rows: Sequence[Row], given: Mapping[str, str]) -> Classification:
    """`given` is role → column."""
    labelled = [
        (true, predicted, row.values.get(given["score"]) if "score" in given else None)
        for row in rows
        if (true := label_of(row.values.get(given["true"])))
        and (predicted := label_of(row.values.get(given["predicted"])))
    ]
    labels = tuple(sorted({true for true, _, _ in labelled}))
    if not labels:
        raise ConfigError(f"--label: no row has both {given['true']} and {given['predicted']}; name other columns")
    if len(labels) > MOST_LABELS:
        raise ConfigError(
            f"--label true={given['true']}: {len(labels):,} different labels; name a column with at most {MOST_LABELS}"
        )
    matrix = matrix_of(((true, predicted) for true, predicted, _ in labelled), labels)
    scored = [(true, number) for true, _, score in labelled if (number := number_of(score)) is not None]
    return Classification(labels, matrix, len(rows) - len(labelled), ranking_of(scored, labels))


def label_of(value: Any) -> str:
    """In whatever case and spacing a model writes it."""
    return " ".join(as_text(value).split()).casefold()


def number_of(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def matrix_of(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    counted = Counter((true, predicted if predicted in labels else None) for true, predicted in pairs)
    return tuple(tuple(counted[true, predicted] for predicted in (*labels, None)) for true in labels)


def ranking_of(scored: Sequence[tuple[str, float]], labels: Sequence[str]) -> Ranking | None:
    """Of two labels the later in the alphabet is the positive one: 1, true, yes. None: of more, or without scores."""
    if len(labels) != 2:
        return None
    positive = labels[1]
    auc = auc_of([score for true, score in scored if true == positive], [s for true, s in scored if true != positive])
    return None if auc is None else Ranking(auc, positive, len(scored))


def auc_of(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """How often a positive has the higher score of the two; a tie is half (Mann and Whitney 1947)."""
    if not positives or not negatives:
        return None
    ordered = np.sort(np.asarray(negatives))
    below = np.searchsorted(ordered, positives, "left").sum()
    not_above = np.searchsorted(ordered, positives, "right").sum()
    return float(below + not_above) / 2 / (len(positives) * len(negatives))

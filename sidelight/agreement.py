"""How far two agree: coefficients of agreement, thresholds, an isotonic map. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES: Final = 2000
SEED: Final = 1  # the same labels have the same interval every time

Floats: TypeAlias = NDArray[np.float64]


def table_of(one: ArrayLike, other: ArrayLike, levels: Sequence[float]) -> Floats:
    """How often each level of `one` met each level of `other`."""
    table = np.zeros((len(levels), len(levels)))
    np.add.at(table, (np.searchsorted(levels, one), np.searchsorted(levels, other)), 1)
    return table


def unequal(levels: Sequence[float]) -> Floats:
    """Weights of Cohen's κ: every disagreement counts the same."""
    return 1 - np.eye(len(levels))


def squared(levels: Sequence[float]) -> Floats:
    """Weights of quadratic κ: twice as far apart counts four times."""
    places = np.asarray(levels, float)
    return np.asarray((places[:, None] - places) ** 2)


def kappa(tables: ArrayLike, weights: Floats) -> Floats:
    """1 − the disagreement there is ÷ the one that chance would make; NaN where chance would make none.

    `tables` is one or many, along the first axes.
    """
    counts = np.asarray(tables, float)
    there_is = (counts * weights).sum((-2, -1)) * counts.sum((-2, -1))
    by_chance = np.einsum("...i,ij,...j->...", counts.sum(-1), weights, counts.sum(-2))
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - there_is / by_chance)


def kappa_interval(table: Floats, weights: Floats) -> tuple[float, float]:
    """95 % of κ over samples drawn from the table, with as many rows as it has."""
    rows = int(table.sum())
    drawn = np.random.default_rng(SEED).multinomial(rows, table.ravel() / rows, RESAMPLES)
    low, high = np.nanquantile(kappa(drawn.reshape(-1, *table.shape), weights), (0.025, 0.975))
    return float(low), float(high)


def ranks(values: ArrayLike) -> Floats:
    """From 1; equals share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def spearman(one: ArrayLike, other: ArrayLike) -> float | None:
    """Correlation of ranks; None where one side is always the same."""
    left, right = ranks(one), ranks(other)
    left, right = left - left.mean(), right - right.mean()
    spread = float(np.sqrt((left @ left) * (right @ right)))
    return float(np.clip(left @ right / spread, -1, 1)) if spread else None


class Cut(NamedTuple):
    """A pass from this score on, and what that reaches."""

    score: float
    reached: float


def best_cuts(scores: ArrayLike, passes: ArrayLike) -> tuple[Cut, Cut] | None:
    """By Youden's index, and by F1 of finding the fails; None where there is only one kind. The lowest of equals."""
    levels, places = np.unique(np.asarray(scores, float), return_inverse=True)
    good = np.bincount(places, np.asarray(passes, float), len(levels))
    bad = np.bincount(places, minlength=len(levels)) - good
    if not good.sum() or not bad.sum():
        return None
    wrongly_below, rightly_below = np.cumsum(good) - good, np.cumsum(bad) - bad
    youden = rightly_below / bad.sum() - wrongly_below / good.sum()
    f1 = 2 * rightly_below / (rightly_below + wrongly_below + bad.sum())
    return best(levels, youden), best(levels, f1)


def best(levels: Floats, reached: Any) -> Cut:
    place = int(np.argmax(reached))
    return Cut(float(levels[place]), float(reached[place]))


class Block(NamedTuple):
    """Scores that the map gives one value."""

    first: float
    last: float
    total: float
    rows: int

    @property
    def mean(self) -> float:
        return self.total / self.rows


def isotonic(scores: ArrayLike, labels: ArrayLike) -> list[tuple[float, float]]:
    """The rising map from scores to labels that is nearest to the labels, by least squares: its corners in order."""
    levels, places = np.unique(np.asarray(scores, float), return_inverse=True)
    totals, rows = np.bincount(places, np.asarray(labels, float)), np.bincount(places)
    blocks: list[Block] = []
    for level, total, count in zip(levels.tolist(), totals.tolist(), rows.tolist(), strict=True):
        block = Block(level, level, total, count)
        while blocks and blocks[-1].mean >= block.mean:
            before = blocks.pop()
            block = Block(before.first, block.last, before.total + block.total, before.rows + block.rows)
        blocks.append(block)
    ends = ((end, block.mean) for block in blocks for end in (block.first, block.last))
    return list(dict.fromkeys(ends))

"""Where the parts of a small chart are: pure geometry, drawn by a template. Units are those of the SVG's view box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

MOST_BINS: Final = 10
STEPS: Final = (1, 2, 5, 10)  # times a power of ten: widths that people can read


class Segment(NamedTuple):
    """One outcome's share of a bar."""

    outcome: str
    rows: int
    x: float
    width: float


class Bin(NamedTuple):
    """Scores from `low` up to `high`, without it but in the last."""

    low: float
    high: float
    rows: int


class Column(NamedTuple):
    """A bin as it is drawn; y counts downwards."""

    bin: Bin
    x: float
    y: float
    width: float
    height: float


class Histogram(NamedTuple):
    """Columns side by side, and where a score is among them."""

    columns: tuple[Column, ...]
    low: float
    high: float
    width: float

    def at(self, score: float) -> float:
        """The x of a score."""
        return (score - self.low) / (self.high - self.low) * self.width


def segments(outcomes: Mapping[str, int], order: Sequence[str], width: float) -> tuple[Segment, ...]:
    """Side by side in this order, as wide as they are many; what did not happen has none."""
    total = sum(outcomes.get(outcome, 0) for outcome in order)
    found: list[Segment] = []
    x = 0.0
    for outcome in order:
        if count := outcomes.get(outcome, 0):
            found.append(Segment(outcome, count, x, width * count / total))
            x += width * count / total
    return tuple(found)


def bins_of(scores: Sequence[float]) -> tuple[Bin, ...]:
    """Ten of a tenth for scores from 0 to 1, else at most a dozen of a round width; none of no scores."""
    if not scores:
        return ()
    low, high = min(scores), max(scores)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    width = round_step((high - low) / MOST_BINS)
    first = floor(low / width)
    count = max(ceil(high / width) - first, 1)
    found = Counter(min(max(floor(score / width) - first, 0), count - 1) for score in scores)
    return tuple(Bin((first + index) * width, (first + index + 1) * width, found[index]) for index in range(count))


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less."""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(power * step for step in STEPS if power * step >= least * (1 - 1e-9))


def histogram(scores: Sequence[float], width: float, height: float) -> Histogram | None:
    """None of no scores."""
    bins = bins_of(scores)
    if not bins:
        return None
    tallest, each = max(one.rows for one in bins), width / len(bins)
    columns = tuple(
        Column(one, index * each, height - height * one.rows / tallest, each, height * one.rows / tallest)
        for index, one in enumerate(bins)
    )
    return Histogram(columns, bins[0].low, bins[-1].high, width)

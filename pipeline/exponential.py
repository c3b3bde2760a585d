"""OpenTelemetry's exponential histogram: buckets that grow by one factor, made coarser as the values spread.

At scale s bucket i holds values in (2^(i/2^s), 2^((i+1)/2^s)]. The finest scale at which all values fit into MAX_SIZE
buckets is kept, so nobody has to know beforehand where they will lie (opentelemetry-specification 1.60, metrics/sdk).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MAX_SIZE: Final = 160  # buckets
MAX_SCALE: Final = 20


class ExponentialBuckets(NamedTuple):
    """As they stood: `counts` of the buckets from `offset` on."""

    scale: int
    zero_count: int
    offset: int
    counts: tuple[int, ...]

    def less(self, other: ExponentialBuckets) -> ExponentialBuckets:
        """What these gained since they were those; a scale only ever becomes coarser."""
        before = coarser(dict(enumerate(other.counts, other.offset)), other.scale - self.scale)
        counts = tuple(count - before.get(index, 0) for index, count in enumerate(self.counts, self.offset))
        return self._replace(zero_count=self.zero_count - other.zero_count, counts=counts)


class Exponential:
    """Counts finite measurements that are not negative."""

    __slots__ = ("_counts", "_high", "_low", "_scale", "_zero_count")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._scale = MAX_SCALE
        self._low = self._high = 0  # the first and the last bucket in use, if there is one
        self._zero_count = 0

    def record(self, value: float) -> None:
        """One measurement."""
        if value <= 0:
            self._zero_count += 1
            return
        index = bucket_of(value, self._scale)
        counts = self._counts
        if not counts:
            self._low = self._high = index
        elif index < self._low or index > self._high:
            index = self._make_room(index)
        self._counts[index] = self._counts.get(index, 0) + 1

    def _make_room(self, index: int) -> int:
        """The index after the buckets have become as coarse as they must."""
        low, high, steps = min(self._low, index), max(self._high, index), 0
        while (high >> steps) - (low >> steps) >= MAX_SIZE:
            steps += 1
        self._low, self._high = low >> steps, high >> steps
        if steps:
            self._scale -= steps
            self._counts = coarser(self._counts, steps)
        return index >> steps

    def buckets(self) -> ExponentialBuckets:
        """As they stand."""
        indices = range(self._low, self._high + 1) if self._counts else range(0)
        counts = tuple(self._counts.get(index, 0) for index in indices)
        return ExponentialBuckets(self._scale, self._zero_count, self._low if counts else 0, counts)


def coarser(counts: dict[int, int], steps: int) -> dict[int, int]:
    """The same counts at a scale that is lower by `steps`: 2^steps buckets become one."""
    merged: dict[int, int] = {}
    for index, count in counts.items():
        merged[index >> steps] = merged.get(index >> steps, 0) + count
    return merged


def bucket_of(value: float, scale: int) -> int:
    """The index of the bucket that holds a value above 0."""
    mantissa, exponent = math.frexp(value)
    if mantissa == 0.5:  # a power of two is the upper bound of its bucket, exactly
        exponent -= 1
        return (exponent << scale) - 1 if scale > 0 else (exponent - 1) >> -scale
    if scale <= 0:
        return (exponent - 1) >> -scale
    lowest = (exponent - 1) << scale
    index = math.floor(math.log2(value) * (1 << scale))
    return min(max(index, lowest), lowest + (1 << scale) - 1)  # rounding must not leave the power of two

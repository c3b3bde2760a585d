"""Between which bounds a share or a mean lies with 95 %, from what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from zlib import crc32

import numpy as np

SURE = 1.96  # standard deviations on either side: 95 of 100
RESAMPLES = 2000
AT_A_TIME = 100  # resamples; bounds the memory
MANY = 10_000  # scores; of more, resampling costs seconds and says what the normal distribution says


def wilson(hits: int, of: int) -> tuple[float, float]:
    """A 95 % interval of a share (Wilson 1927)."""
    share, spread = hits / of, SURE**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = SURE * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bootstrap(scores: Sequence[float]) -> tuple[float, float] | None:
    """A 95 % interval of a mean (Efron 1979, percentiles); the same scores have the same one. None: of fewer than two.

    The scores are shuffled by a seed that is made of them, so that a run can be repeated.
    """
    values = np.asarray(scores, dtype=np.float64)
    count = len(values)
    if count < 2:
        return None
    if count > MANY:
        half = SURE * float(values.std(ddof=1)) / sqrt(count)
        return float(values.mean()) - half, float(values.mean()) + half
    draw = np.random.default_rng(crc32(values.tobytes()))
    rounds = range(RESAMPLES // AT_A_TIME)
    means = [values[draw.integers(count, size=(AT_A_TIME, count))].mean(axis=1) for _ in rounds]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)

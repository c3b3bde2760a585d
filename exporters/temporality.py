"""Metrics as what was added since the last post, for backends that want to add up themselves.

Our instruments are cumulative. What a post said is remembered once it has been taken: a post that failed is made up for
by the next one, which then covers both intervals, so nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from pipeline.telemetry import Attributes, HistogramPoint, Kind, Metric, NumberPoint, Snapshot

Temporality = Literal["cumulative", "delta"]
Point = NumberPoint | HistogramPoint

# Levels, and sums that may fall, are told as they are.
ADDED_UP: Final[frozenset[Kind]] = frozenset(("counter", "histogram"))


class Deltas:
    """The state of one exporter."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, Attributes], Point] = {}
        self._time: dict[int, int] = {}  # when a table of instruments was last told, by when it began
        self._next: list[Snapshot] = []

    def since_last(self, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        """What each counter and histogram gained since the last snapshots that were `taken`."""
        self._next = list(snapshots)
        return [self._difference(snapshot) for snapshot in self._next]

    def taken(self) -> None:
        """The backend has what `since_last` gave last."""
        for snapshot in self._next:
            self._time[snapshot.started_at] = snapshot.time
            for metric in snapshot.metrics:
                if metric.kind in ADDED_UP:
                    self._told |= {(metric.name, point.attributes): point for point in metric.points}

    def _difference(self, snapshot: Snapshot) -> Snapshot:
        before = self._time.get(snapshot.started_at, snapshot.started_at)
        metrics = (self._gained(metric, before) if metric.kind in ADDED_UP else metric for metric in snapshot.metrics)
        return Snapshot(before, snapshot.time, tuple(metric for metric in metrics if metric.points))

    def _gained(self, metric: Metric, before: int) -> Metric:
        points = (gained(point, self._told.get((metric.name, point.attributes)), before) for point in metric.points)
        return metric._replace(points=tuple(point for point in points if point is not None))


def gained(now: Point, told: Point | None, before: int) -> Point | None:
    """The difference of two points; None when there is none."""
    if isinstance(now, HistogramPoint):
        return gained_by_histogram(now, told if isinstance(told, HistogramPoint) else None, before)
    value = now.value - (told.value if isinstance(told, NumberPoint) else 0)
    if value < 0:  # who keeps it began anew
        value = now.value
    return NumberPoint(now.attributes, value) if value else None


def gained_by_histogram(now: HistogramPoint, told: HistogramPoint | None, before: int) -> HistogramPoint | None:
    """Without least and greatest, which are only known of all time; with the exemplars that are new."""
    if told is None:
        return now
    counts = tuple(new - old for new, old in zip(now.bucket_counts, told.bucket_counts, strict=True))
    if not any(counts):
        return None
    exemplars = tuple(exemplar for exemplar in now.exemplars if exemplar.time > before)
    exponential = now.exponential.less(told.exponential) if now.exponential and told.exponential else now.exponential
    return HistogramPoint(now.attributes, sum(counts), now.sum - told.sum, None, None, counts, exemplars, exponential)

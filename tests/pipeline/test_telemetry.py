from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry import (
    MAX_SERIES,
    OVERFLOW,
    Counter,
    Histogram,
    HistogramPoint,
    Instrument,
    Instruments,
    NumberPoint,
    Observed,
    Telemetry,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def a_counter() -> Counter:
    return Counter("things", "{thing}", "Things.")


def a_histogram(buckets: tuple[float, ...] = (1, 2, 5)) -> Histogram:
    return Histogram("sizes", "s", "Sizes.", buckets)


def test_a_counter_sums_each_attribute_set_on_its_own() -> None:
    counter = a_counter()
    counter.add(1, (("kind", "a"),))
    counter.add(2, (("kind", "a"),))
    counter.add(5, (("kind", "b"),))
    assert counter.points() == [NumberPoint((("kind", "a"),), 3), NumberPoint((("kind", "b"),), 5)]


def test_a_counters_total_is_over_the_sets_that_have_all_the_attributes() -> None:
    counter = a_counter()
    counter.add(1, (("kind", "a"), ("size", 1)))
    counter.add(2, (("kind", "a"), ("size", 2)))
    counter.add(4, (("kind", "b"),))
    assert (counter.total(), counter.total(kind="a"), counter.total(kind="a", size=2)) == (7, 3, 2)


def test_a_bucket_includes_its_upper_bound() -> None:
    histogram = a_histogram()
    for value in (0, 1, 1.5, 2, 5, 6):
        histogram.record(value)
    [point] = histogram.points()
    assert point.bucket_counts == (2, 2, 1, 1)
    assert (point.count, point.sum, point.min, point.max) == (6, 15.5, 0, 6)


@given(st.lists(st.floats(0, 1e9), min_size=1), st.lists(st.floats(0, 1e6), unique=True, max_size=20).map(sorted))
def test_a_histogram_puts_every_measurement_into_one_bucket(values: list[float], bounds: list[float]) -> None:
    one_by_one, at_once = a_histogram(tuple(bounds)), a_histogram(tuple(bounds))
    for value in values:
        one_by_one.record(value)
    at_once.record_many(values)
    expected = [0] * (len(bounds) + 1)
    for value in values:
        expected[bisect_left(bounds, value)] += 1
    for [point] in (one_by_one.points(), at_once.points()):
        assert list(point.bucket_counts) == expected
        assert point.sum == pytest.approx(sum(values))
        assert (point.min, point.max) == (min(values), max(values))


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf])
def test_a_measurement_no_sum_can_hold_is_refused_and_counted(value: float) -> None:
    histogram = a_histogram()
    histogram.record(value)
    assert histogram.points() == []
    assert histogram.refused == 1


def test_recording_no_values_at_once_makes_no_point() -> None:
    histogram = a_histogram()
    histogram.record_many([])
    assert histogram.points() == []


def test_each_bucket_keeps_its_latest_exemplar() -> None:
    histogram = a_histogram()
    histogram.record(0.5, (), TRACE, "1" * 16)
    histogram.record(0.7, (), TRACE, "2" * 16)
    histogram.record(0.8)
    histogram.record(9, (), TRACE, SPAN)
    [point] = histogram.points()
    assert [(each.value, each.trace_id, each.span_id) for each in point.exemplars] == [
        (0.7, TRACE, "2" * 16),
        (9, TRACE, SPAN),
    ]


def test_a_counter_keeps_2000_series_and_the_rest_in_one_overflow_point() -> None:
    counter = a_counter()
    for number in range(MAX_SERIES + 500):
        counter.add(1, (("n", number),))
    counter.add(1, (("n", 0),))
    points = {point.attributes: point.value for point in counter.points()}
    assert len(points) == MAX_SERIES
    assert points[OVERFLOW] == 501
    assert points[(("n", 0),)] == 2
    assert sum(points.values()) == MAX_SERIES + 501


def test_a_histogram_keeps_2000_series_and_the_rest_in_one_overflow_point() -> None:
    histogram = a_histogram()
    for number in range(MAX_SERIES + 500):
        histogram.record(1, (("n", number),))
    points = {point.attributes: point for point in histogram.points()}
    assert len(points) == MAX_SERIES
    assert points[OVERFLOW].count == 501


def test_an_observed_instrument_asks_its_sources_until_told_to_stop() -> None:
    gauge = Observed("gauge", "level", "1", "Level.")
    stop = gauge.observe(lambda: [(1, (("worker", 0),))])
    gauge.observe(lambda: [(2, (("worker", 1),))])
    assert [point.value for point in gauge.points()] == [1, 2]
    stop()
    assert [point.value for point in gauge.points()] == [2]


def test_a_failing_source_costs_only_its_own_values() -> None:
    def broken() -> list[tuple[float, tuple[()]]]:
        raise RuntimeError("no")

    gauge = Observed("gauge", "level", "1", "Level.")
    gauge.observe(broken)
    gauge.observe(lambda: [(2, ())])
    assert [point.value for point in gauge.points()] == [2]


class Few(Instruments):
    def __init__(self) -> None:
        super().__init__()
        self.counted = a_counter()
        self.never_used = Counter("silence", "1", "Nothing.")
        self.measured = a_histogram()


def test_a_snapshot_has_what_was_measured_and_does_not_change_afterwards() -> None:
    instruments = Few()
    instruments.counted.add(1)
    instruments.measured.record(1)
    snapshot = instruments.snapshot()
    instruments.counted.add(1)
    instruments.measured.record(1)
    assert [metric.name for metric in snapshot.metrics] == ["things", "sizes"]
    assert snapshot.metrics[0].points == (NumberPoint((), 1),)
    [point] = snapshot.metrics[1].points
    assert isinstance(point, HistogramPoint)
    assert point.bucket_counts == (1, 0, 0, 0)
    assert snapshot.metrics[1].bounds == (1, 2, 5)
    assert snapshot.started_at <= snapshot.time


def test_values_are_cumulative_over_snapshots() -> None:
    instruments = Few()
    for expected in (1, 2, 3):
        instruments.counted.add(1)
        assert instruments.snapshot().metrics[0].points == (NumberPoint((), expected),)


def test_health_metrics_are_told_apart_and_say_what_they_mean() -> None:
    table = [each for each in vars(Telemetry()).values() if isinstance(each, Instrument)]
    assert len({each.name for each in table}) == len(table) > 20
    assert all(each.name.startswith("sidelight.") and each.unit and each.description.endswith(".") for each in table)


def test_a_refused_measurement_shows_up_in_the_health_metrics() -> None:
    telemetry = Telemetry()
    assert telemetry.snapshot().metrics == ()
    telemetry.evaluation_score.record(-0.5)
    [metric] = telemetry.snapshot().metrics
    assert metric.name == "sidelight.measurement.refused"
    assert metric.points == (NumberPoint((("instrument", "sidelight.evaluation.score"),), 1),)

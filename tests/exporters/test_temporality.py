"""What is told bit by bit adds up to what was measured, however many posts fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp import Otlp
from exporters.temporality import Deltas
from pipeline.errors import Retryable
from pipeline.telemetry import Counter, Histogram, HistogramPoint, Instruments, NumberPoint, Observed, Snapshot
from tests.support.otlp_receiver import OtlpReceiver, Reply

HERE, THERE = (("place", "here"),), (("place", "there"),)


class Table(Instruments):
    """One instrument of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Counter("calls", "{call}", "Calls.")
        self.seconds = Histogram("seconds", "s", "Seconds.", (1.0, 10.0))
        self.level = Observed("updown", "level", "1", "A level.")
        self.level.observe(lambda: [(7, ())])


def points(snapshots: list[Snapshot], name: str) -> dict[Any, Any]:
    return {
        point.attributes: point
        for each in snapshots
        for metric in each.metrics
        if metric.name == name
        for point in metric.points
    }


def value(snapshots: list[Snapshot], name: str, attributes: Any = HERE) -> float | None:
    point = points(snapshots, name).get(attributes)
    return point.value if isinstance(point, NumberPoint) else None


def test_only_what_was_gained_since_the_last_is_told() -> None:
    table, deltas = Table(), Deltas()
    table.calls.add(3, HERE)
    first = deltas.since_last([table.snapshot()])
    assert (value(first, "calls"), first[0].started_at) == (3, table.started_at)
    deltas.taken()
    table.calls.add(2, HERE)
    table.calls.add(5, THERE)
    second = deltas.since_last([table.snapshot()])
    assert (value(second, "calls"), value(second, "calls", THERE)) == (2, 5)
    assert second[0].started_at == first[0].time
    deltas.taken()
    assert points(deltas.since_last([table.snapshot()]), "calls") == {}


def test_what_was_not_taken_is_told_again_with_what_came_since() -> None:
    table, deltas = Table(), Deltas()
    table.calls.add(3, HERE)
    deltas.since_last([table.snapshot()])
    table.calls.add(1, HERE)
    again = deltas.since_last([table.snapshot()])
    assert (value(again, "calls"), again[0].started_at) == (4, table.started_at)


def test_a_histogram_tells_its_new_measurements_and_exemplars() -> None:
    table, deltas = Table(), Deltas()
    table.seconds.record(0.5, HERE, "a" * 32, "b" * 16)
    deltas.since_last([table.snapshot()])
    deltas.taken()
    table.seconds.record(5.0, HERE, "c" * 32, "d" * 16)
    table.seconds.record(50.0, HERE)
    point = points(deltas.since_last([table.snapshot()]), "seconds")[HERE]
    assert isinstance(point, HistogramPoint)
    assert (point.count, point.sum, point.bucket_counts) == (2, 55.0, (0, 1, 1))
    assert (point.min, point.max, [each.trace_id for each in point.exemplars]) == (None, None, ["c" * 32])


def test_a_level_is_told_as_it_is() -> None:
    table, deltas = Table(), Deltas()
    for _ in range(2):
        assert value(deltas.since_last([table.snapshot()]), "level", ()) == 7
        deltas.taken()


def test_a_sum_that_began_anew_is_told_from_its_beginning() -> None:
    class Observing(Instruments):
        def __init__(self) -> None:
            super().__init__()
            self.kept = Observed("counter", "kept", "1", "Kept elsewhere.")

    table, deltas, sums = Observing(), Deltas(), iter((10, 4))
    table.kept.observe(lambda: [(next(sums), HERE)])
    assert value(deltas.since_last([table.snapshot()]), "kept") == 10
    deltas.taken()
    assert value(deltas.since_last([table.snapshot()]), "kept") == 4


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.floats(0, 20), max_size=4), st.booleans()), max_size=15))
def test_the_parts_add_up(steps: list[tuple[int, list[float], bool]]) -> None:
    table, deltas = Table(), Deltas()
    calls = count = 0
    total, ends = 0.0, table.started_at
    for added, recorded, taken in [*steps, (0, [], True)]:
        table.calls.add(added, HERE)
        for each in recorded:
            table.seconds.record(each, HERE)
        (told,) = deltas.since_last([table.snapshot()])
        assert told.started_at == ends
        if taken:
            deltas.taken()
            ends = told.time
            calls += int(value([told], "calls") or 0)
            if point := points([told], "seconds").get(HERE):
                count, total = count + point.count, total + point.sum
    assert calls == sum(added for added, _, _ in steps)
    assert count == sum(len(recorded) for _, recorded, _ in steps)
    assert total == pytest.approx(sum(each for _, recorded, _ in steps for each in recorded))


async def test_a_backend_that_adds_up_gets_it_right_over_a_failed_post() -> None:
    table = Table()
    async with OtlpReceiver() as receiver, Otlp(endpoint=receiver.endpoint, temporality="delta") as exporter:
        table.calls.add(3, HERE)
        await exporter.export_metrics(table.snapshot())
        table.calls.add(2, HERE)
        table.seconds.record(0.5, HERE)
        receiver.script.append(Reply(503))
        with pytest.raises(Retryable):
            await exporter.export_metrics(table.snapshot())
        table.calls.add(1, HERE)
        await exporter.export_metrics(table.snapshot())
        await exporter.export_metrics(table.snapshot())
    told = [point["value"] for each in receiver.metrics if each["name"] == "calls" for point in each["points"]]
    assert told == [3, 3]
    assert {each["temporality"] for each in receiver.metrics if each["name"] in ("calls", "seconds")} == {"DELTA"}
    assert {each["temporality"] for each in receiver.metrics if each["name"] == "level"} == {"CUMULATIVE"}

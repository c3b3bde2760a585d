from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery import Delivery, Retry, Sums
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.queues import Memory, Queue
from pipeline.records import EvaluatedExchange
from pipeline.telemetry import Telemetry
from tests.pipeline.test_queues import Disk, durable
from tests.support.records import an_evaluated_exchange, an_exchange


class Clock:
    """Time moves only by sleeping, and sleeping takes none."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Destination:
    """Raises what its script says, then takes everything."""

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script)
        self.tries: list[Sequence[EvaluatedExchange]] = []
        self.taken: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        self.tries.append(batch)
        self.asked.set()
        await self.open.wait()
        outcome = self.script.pop(0) if self.script else None
        if outcome is not None:
            raise outcome
        self.taken.append([evaluated.exchange.id for evaluated in batch])


def exchange(number: int) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(id=f"{number:032x}"))


def ids(*numbers: int) -> list[str]:
    return [f"{number:032x}" for number in numbers]


class Bench:
    """A delivery with everything around it at hand."""

    def __init__(
        self, *script: Exception | None, queue_size: int = 10_000, queue: Queue | None = None, **options: Any
    ) -> None:
        self.destination = Destination(*script)
        self.telemetry = Telemetry()
        self.clock = Clock()
        self.delivery = Delivery(
            "backend",
            self.destination,
            self.telemetry,
            Memory(queue_size) if queue is None else queue,
            clock=self.clock,
            sleep=self.clock.sleep,
            **options,
        )

    async def deliver(self, *numbers: int) -> Sums:
        """Offer these, go through to the end, and tell what became of them."""
        async with self.delivery:
            for number in numbers:
                self.delivery.offer(exchange(number))
        return self.delivery.sums

    def failed(self, error_type: str) -> float:
        return self.telemetry.exporter_send_failed.total(**{"exporter": "backend", "error.type": error_type})


async def test_what_is_offered_arrives_in_order_and_in_batches() -> None:
    bench = Bench(batch_size=2)
    assert await bench.deliver(1, 2, 3, 4, 5) == Sums(offered=5, sent=5, failed=0, refused=0, queued=0)
    assert bench.destination.taken == [ids(1, 2), ids(3, 4), ids(5)]
    assert bench.telemetry.exporter_sent.total(exporter="backend") == 5


async def test_a_batch_waits_a_moment_to_be_filled() -> None:
    bench = Bench(batch_size=10, linger=0.2)
    async with bench.delivery:
        bench.delivery.offer(exchange(1))
        while not bench.clock.slept:  # noqa: ASYNC110 - one turn of the loop, no time
            await asyncio.sleep(0)
        bench.delivery.offer(exchange(2))
        await bench.destination.asked.wait()
    assert bench.clock.slept == [0.2]
    assert bench.destination.taken == [ids(1, 2)]


async def test_a_full_batch_does_not_wait() -> None:
    bench = Bench(batch_size=2)
    async with bench.delivery:
        bench.delivery.offer(exchange(1))
        bench.delivery.offer(exchange(2))
        await bench.destination.asked.wait()
    assert bench.clock.slept == []


async def test_a_full_queue_refuses_the_newest_and_counts_it() -> None:
    bench = Bench(queue_size=3, batch_size=1)
    bench.destination.open.clear()
    async with bench.delivery as delivery:
        answers = [delivery.offer(exchange(number)) for number in range(3)]
        await bench.destination.asked.wait()  # one is on its way and still counts
        answers.append(delivery.offer(exchange(3)))
        assert delivery.sums == Sums(offered=4, sent=0, failed=0, refused=1, queued=3)
        bench.destination.open.set()
    assert answers == [True, True, True, False]
    assert bench.destination.taken == [ids(0), ids(1), ids(2)]
    assert bench.telemetry.exporter_enqueue_failed.total(exporter="backend") == 1


async def test_after_the_end_nothing_is_taken_in() -> None:
    bench = Bench()
    await bench.deliver()
    assert bench.delivery.offer(exchange(1)) is False
    assert bench.delivery.sums.refused == 1


async def test_the_same_batch_is_tried_again_until_it_is_taken() -> None:
    bench = Bench(Retryable("no"), Retryable("no"), None)
    assert await bench.deliver(1, 2) == Sums(2, sent=2, failed=0, refused=0, queued=0)
    assert bench.destination.taken == [ids(1, 2)]
    first, second, third = bench.destination.tries
    assert first is second is third
    assert bench.telemetry.exporter_retries.total(exporter="backend") == 2


async def test_waits_grow_to_the_maximum_with_jitter() -> None:
    retry = Retry(initial_interval=1, multiplier=2, max_interval=10, max_elapsed_time=0)
    bench = Bench(*[Retryable("no")] * 8, retry=retry)
    await bench.deliver(1)
    for slept, middle in zip(bench.clock.slept, (1, 2, 4, 8, 10, 10, 10, 10), strict=True):
        assert middle * 0.5 <= slept <= middle * 1.5
    assert len({slept / middle for slept, middle in zip(bench.clock.slept[4:], (10,) * 4, strict=True)}) > 1


async def test_a_wait_the_destination_asked_for_is_kept() -> None:
    bench = Bench(Retryable("busy", after=42.0), Retryable("busy", after=0.0))
    await bench.deliver(1)
    assert bench.clock.slept[0] == 42.0
    assert bench.clock.slept[1] > 0.5


async def test_a_destination_that_stays_away_is_given_up() -> None:
    bench = Bench(*[Retryable("no")] * 1000, retry=Retry(max_elapsed_time=300))
    assert await bench.deliver(1, 2) == Sums(2, sent=0, failed=2, refused=0, queued=0)
    assert bench.failed("max_elapsed_time") == 2
    assert 200 < sum(bench.clock.slept) <= 300


async def test_a_wait_beyond_the_limit_is_not_begun() -> None:
    bench = Bench(Retryable("busy", after=3600.0), retry=Retry(max_elapsed_time=300))
    assert (await bench.deliver(1)).failed == 1
    assert bench.clock.slept == []


async def test_without_a_limit_an_outage_of_an_hour_loses_nothing() -> None:
    bench = Bench(*[Retryable("no")] * 200, retry=Retry(max_elapsed_time=0))
    assert (await bench.deliver(*range(10))).sent == 10
    assert bench.clock.now > 3600


async def test_what_is_refused_for_good_is_counted_and_the_next_batch_goes_on() -> None:
    bench = Bench(Permanent("bad data"), batch_size=1)
    assert await bench.deliver(1, 2) == Sums(2, sent=1, failed=1, refused=0, queued=0)
    assert bench.failed("permanent") == 1
    assert bench.destination.taken == [ids(2)]


async def test_of_a_batch_that_is_refused_in_part_only_that_part_is_lost() -> None:
    bench = Bench(Permanent("one is too large", lost=1), batch_size=3)
    sums = await bench.deliver(1, 2, 3, 4)
    assert (sums.sent, sums.failed, bench.failed("permanent")) == (3, 1, 1)


async def test_partial_success_is_sent_with_its_rejections_counted() -> None:
    bench = Bench(PartialSuccess("too old", rejected=7))
    assert await bench.deliver(1, 2) == Sums(2, sent=2, failed=0, refused=0, queued=0)
    assert len(bench.destination.tries) == 1
    assert bench.telemetry.exporter_rejected.total(exporter="backend") == 7


async def test_an_exporter_that_breaks_is_contained() -> None:
    bench = Bench(ZeroDivisionError(), batch_size=1)
    assert await bench.deliver(1, 2) == Sums(2, sent=1, failed=1, refused=0, queued=0)
    assert bench.failed("ZeroDivisionError") == 1


async def test_what_is_left_when_time_is_up_is_counted_as_lost() -> None:
    bench = Bench(batch_size=1, drain=0.01)
    bench.destination.open.clear()
    assert await bench.deliver(1, 2, 3) == Sums(3, sent=0, failed=3, refused=0, queued=0)
    assert bench.failed("shutdown") == 3


async def test_queue_size_and_capacity_are_told_while_it_runs() -> None:
    bench = Bench(queue_size=7)
    bench.destination.open.clear()
    async with bench.delivery as delivery:
        delivery.offer(exchange(1))
        told = {metric.name: metric.points for metric in bench.telemetry.snapshot().metrics}
        [size], [capacity] = told["sidelight.exporter.queue_size"], told["sidelight.exporter.queue_capacity"]
        assert (size.attributes, capacity.attributes) == ((("exporter", "backend"),),) * 2
        assert (size.value, capacity.value) == (1, 7)  # type: ignore[union-attr]
        bench.destination.open.set()
    assert "sidelight.exporter.queue_size" not in {metric.name for metric in bench.telemetry.snapshot().metrics}


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pipeline.delivery")
    bench = Bench(*[Retryable("HTTP 503")] * 5)
    await bench.deliver(1)
    assert [record.message for record in caplog.records] == [
        "exporter backend: HTTP 503",
        "exporter backend works again",
    ]
    assert bench.delivery.condition.error is None


async def test_the_last_complaint_is_there_to_be_asked_for() -> None:
    bench = Bench(Permanent("HTTP 401"))
    await bench.deliver(1)
    assert bench.delivery.condition.error == "HTTP 401"


async def test_a_slow_destination_makes_nobody_wait() -> None:
    bench = Bench()
    bench.destination.open.clear()
    async with bench.delivery as delivery:
        assert all(delivery.offer(exchange(number)) for number in range(5000))
        assert delivery.sums.queued == 5000
        bench.destination.open.set()
    assert delivery.sums.sent == 5000


OUTCOMES = st.sampled_from(
    [None, Retryable("no"), Retryable("no", 5.0), Permanent("no"), PartialSuccess("some", 1), OSError("no")]
)


@given(
    st.lists(OUTCOMES, max_size=30), st.integers(0, 40), st.integers(1, 7), st.integers(1, 30), st.floats(0.001, 100)
)
def test_the_sums_hold_whatever_the_destination_does(
    script: list[Exception | None], offered: int, batch_size: int, queue_size: int, max_elapsed: float
) -> None:
    async def run() -> None:
        retry = Retry(max_elapsed_time=max_elapsed)
        bench = Bench(*script, batch_size=batch_size, queue_size=queue_size, retry=retry)
        logging.disable()
        try:
            async with bench.delivery as delivery:
                for number in range(offered):
                    delivery.offer(exchange(number))
                    if number % 3 == 0:
                        await asyncio.sleep(0)
                    sums = delivery.sums
                    assert sums.offered == sums.sent + sums.failed + sums.refused + sums.queued
        finally:
            logging.disable(logging.NOTSET)
        sums = bench.delivery.sums
        assert sums.offered == offered == sums.sent + sums.failed + sums.refused
        assert sums.queued == 0
        telemetry = bench.telemetry
        assert telemetry.exporter_sent.total() == sums.sent
        assert telemetry.exporter_send_failed.total() == sums.failed
        assert telemetry.exporter_enqueue_failed.total() == sums.refused

    asyncio.run(run())


# -- with a queue on disk ---------------------------------------------------------------------------------------------

NEVER_GIVE_UP = Retry(max_elapsed_time=0)


class Backend:
    """A destination that is away from one moment of the clock to another."""

    def __init__(self, clock: Clock, back_at: float) -> None:
        self.clock, self.back_at = clock, back_at
        self.taken: list[str] = []

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        await asyncio.sleep(0)
        if self.clock.now < self.back_at:
            raise Retryable("HTTP 503")
        self.taken += [evaluated.exchange.id for evaluated in batch]


async def test_an_hour_without_the_backend_and_a_restart_in_it_lose_nothing() -> None:
    disk, clock, telemetry = Disk(), Clock(), Telemetry()
    backend = Backend(clock, back_at=3600.0)
    offered, everything = 0, []
    while clock.now < 4000:
        delivery = Delivery(
            "backend",
            backend,
            telemetry,
            durable(disk, capacity=50),
            batch_size=20,
            retry=NEVER_GIVE_UP,
            clock=clock,
            sleep=clock.sleep,
        )
        async with delivery:
            until = clock.now + 1000
            while clock.now < until:
                assert delivery.offer(exchange(offered))
                everything.append(f"{offered:032x}")
                offered += 1
                await delivery.settle(patience=0.01)
                clock.now += 1
        assert delivery.sums.failed == delivery.sums.refused == 0
        assert delivery.sums.queued == disk.count
    assert list(dict.fromkeys(backend.taken)) == everything
    assert len(backend.taken) - len(everything) <= 20  # a batch may have been taken and not forgotten
    assert telemetry.exporter_send_failed.total() == telemetry.exporter_enqueue_failed.total() == 0


async def test_what_a_former_life_left_is_counted_and_delivered_first() -> None:
    disk = Disk()
    bench = Bench(*[Retryable("no")] * 9, queue=durable(disk), retry=NEVER_GIVE_UP)
    bench.delivery.offer(exchange(1))
    async with bench.delivery:
        await bench.delivery.settle(patience=0)
    assert (bench.delivery.sums.queued, disk.count) == (1, 1)
    bench = Bench(queue=durable(disk))
    assert await bench.deliver(2) == Sums(offered=2, sent=2, failed=0, refused=0, queued=0)
    assert [each for batch in bench.destination.taken for each in batch] == ids(1, 2)
    assert bench.telemetry.exporter_restored.total(exporter="backend") == 1


async def test_what_is_offered_is_settled_once_it_is_delivered() -> None:
    disk = Disk()
    bench = Bench(queue=durable(disk))
    async with bench.delivery as delivery:
        delivery.offer(exchange(1))
        await delivery.settle(patience=30)
        assert delivery.sums.sent == 1
    assert disk.added == []


async def test_what_a_slow_destination_has_not_taken_is_settled_on_disk() -> None:
    disk = Disk()
    bench = Bench(queue=durable(disk))
    bench.destination.open.clear()
    async with bench.delivery as delivery:
        delivery.offer(exchange(1))
        await bench.destination.asked.wait()
        await delivery.settle(patience=0.01)
        assert (disk.count, delivery.sums.queued) == (1, 1)
        bench.destination.open.set()
    assert (bench.destination.taken, disk.count, delivery.sums.sent) == ([ids(1)], 0, 1)


async def test_a_first_failure_settles_on_disk_without_waiting() -> None:
    disk = Disk()
    bench = Bench(*[Retryable("no")] * 1000, queue=durable(disk), retry=NEVER_GIVE_UP)
    async with bench.delivery as delivery:
        delivery.offer(exchange(1))
        await delivery.settle(patience=30)
        assert disk.count == 1


async def test_what_is_only_in_memory_is_not_waited_for() -> None:
    bench = Bench()
    bench.destination.open.clear()
    async with bench.delivery as delivery:
        delivery.offer(exchange(1))
        await delivery.settle(patience=30)
        bench.destination.open.set()


async def test_an_end_while_the_destination_is_away_waits_for_nothing_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    bench = Bench(queue=durable(disk), drain=3600.0, batch_size=1)
    bench.destination.script = [Retryable("no")] * 10**6
    async with asyncio.timeout(10):
        assert await bench.deliver(1, 2, 3) == Sums(3, sent=0, failed=0, refused=0, queued=3)
    assert disk.count == 3
    assert caplog.records[-1].message == "exporter backend: 3 exchanges wait on disk for the next start"


@given(
    st.lists(OUTCOMES, max_size=30),
    st.lists(st.integers(0, 15), min_size=1, max_size=3),
    st.integers(1, 7),
    st.integers(1, 10),
    st.sampled_from([300, 3000, 10**6]),
)
def test_the_sums_hold_with_a_disk_and_over_lives(
    script: list[Exception | None], lives: list[int], batch_size: int, capacity: int, max_size: int
) -> None:
    async def run() -> None:
        disk, script_left = Disk(), list(script)
        accepted = delivered = lost = 0
        for offered in lives:
            left = disk.count
            queue = durable(disk, capacity=capacity, max_size=max_size)
            bench = Bench(*script_left, queue=queue, batch_size=batch_size, retry=NEVER_GIVE_UP)
            async with bench.delivery as delivery:
                for number in range(offered):
                    delivery.offer(exchange(number))
                    if number % 3 == 0:
                        await delivery.settle(patience=0)
                    sums = delivery.sums
                    assert sums.offered == sums.sent + sums.failed + sums.refused + sums.queued
            sums, script_left = delivery.sums, bench.destination.script
            assert sums.offered == left + offered == sums.sent + sums.failed + sums.refused + sums.queued
            assert sums.queued == disk.count
            told = bench.telemetry
            assert told.exporter_restored.total() == left
            assert told.exporter_sent.total() == sums.sent
            assert told.exporter_send_failed.total() == sums.failed
            assert told.exporter_enqueue_failed.total() == sums.refused
            accepted += offered - sums.refused
            delivered += sums.sent
            lost += sums.failed
        assert accepted == delivered + lost + disk.count

    logging.disable()
    try:
        asyncio.run(run())
    finally:
        logging.disable(logging.NOTSET)

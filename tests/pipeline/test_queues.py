"""What waits is taken oldest first, from memory or from disk, and nothing is lost between the two."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.queues import Durable, Memory, decoded
from pipeline.records import EvaluatedExchange
from tests.support.records import an_evaluated_exchange, an_exchange

SECOND = 1_000_000_000


def exchange(number: int) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(id=f"{number:032x}"))


def numbers(taken: Sequence[EvaluatedExchange]) -> list[int]:
    return [int(evaluated.exchange.id, 16) for evaluated in taken]


class Disk:
    """A backlog that outlives the queue before it, and fails as it is told."""

    def __init__(self) -> None:
        self.items: list[tuple[int, bytes]] = []
        self.now = 0
        self.count = 0
        self.size = 0
        self.broken = False
        self.added: list[int] = []

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise sqlite3.OperationalError("database or disk is full")

    def _recount(self) -> None:
        self.count, self.size = len(self.items), sum(len(body) for _, body in self.items)

    async def add(self, bodies: Sequence[bytes]) -> None:
        await self._turn()
        self.items += [(self.now, body) for body in bodies]
        self.added.append(len(bodies))
        self._recount()

    async def oldest(self, most: int) -> list[bytes]:
        await self._turn()
        return [body for _, body in self.items[:most]]

    async def remove(self, count: int) -> None:
        await self._turn()
        self.items = self.items[count:]
        self._recount()

    async def expire(self, before: int) -> int:
        await self._turn()
        count = sum(time < before for time, _ in self.items)
        self.items = [item for item in self.items if item[0] >= before]
        self._recount()
        return count


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0)


def durable(disk: Disk, capacity: int = 100, max_size: int = 10**6, **options: Any) -> Durable:
    options = {"max_age": 1000.0, "clock": lambda: disk.now, "sleep": no_time} | options
    return Durable(capacity, disk, max_size=max_size, **options)


async def take(queue: Memory, most: int = 99) -> list[int]:
    """Take what is ready and be done with it."""
    await queue.ready()
    taken = numbers(await queue.take(most))
    await queue.done()
    return taken


# -- in memory --------------------------------------------------------------------------------------------------------


async def test_a_closed_queue_still_gives_what_it_has() -> None:
    queue = Memory(10)
    queue.offer(exchange(1))
    queue.close()
    assert queue.offer(exchange(2)) is False
    assert await queue.ready() == 1
    assert numbers(await queue.take(5)) == [1]
    assert len(queue) == 1
    await queue.done()
    assert (len(queue), await queue.ready()) == (0, 0)


async def test_what_is_left_in_memory_at_the_end_is_lost_and_told() -> None:
    queue = Memory(10)
    for number in range(3):
        queue.offer(exchange(number))
    await queue.take(1)
    assert (await queue.leave(), len(queue)) == (3, 0)


# -- on disk ----------------------------------------------------------------------------------------------------------


async def test_while_the_destination_takes_what_comes_the_disk_is_not_touched() -> None:
    disk = Disk()
    queue = durable(disk)
    for number in range(5):
        assert queue.offer(exchange(number))
    await queue.flush()
    assert await take(queue) == [0, 1, 2, 3, 4]
    assert (disk.added, queue.spilled, len(queue)) == ([], False, 0)


async def test_when_it_is_away_everything_goes_to_the_disk_also_what_is_under_way() -> None:
    disk = Disk()
    queue = durable(disk)
    for number in range(5):
        queue.offer(exchange(number))
    await queue.ready()
    batch = await queue.take(2)
    queue.spill()
    queue.offer(exchange(5))
    await queue.flush()
    assert (disk.count, len(queue), numbers(batch)) == (6, 6, [0, 1])
    await queue.done()  # it was taken in the end
    assert (disk.count, len(queue)) == (4, 4)
    assert await take(queue, 3) == [2, 3, 4]


async def test_once_the_disk_is_empty_memory_does_again() -> None:
    disk = Disk()
    queue = durable(disk)
    queue.offer(exchange(1))
    queue.spill()
    await queue.flush()
    assert await take(queue) == [1]
    queue.offer(exchange(2))  # still over the disk: whether more is there is only looked at when more is wanted
    assert await take(queue) == [2]
    queue.offer(exchange(3))
    assert await take(queue) == [3]
    assert (queue.spilled, len(queue), disk.count) == (False, 0, 0)
    assert sum(disk.added) < 3


async def test_the_next_life_begins_with_what_the_disk_holds() -> None:
    disk = Disk()
    first = durable(disk)
    for number in range(3):
        first.offer(exchange(number))
    await first.ready()
    await first.take(1)
    assert await first.leave() == 0
    second = durable(disk)
    assert (len(second), second.spilled) == (3, True)
    second.offer(exchange(3))
    assert await take(second, 2) == [0, 1]
    assert await take(second, 2) == [2, 3]


async def test_what_comes_back_is_what_was_offered() -> None:
    disk = Disk()
    queue = durable(disk)
    offered = an_evaluated_exchange()
    queue.offer(offered)
    queue.spill()
    await queue.flush()
    await queue.ready()
    assert await queue.take(1) == [offered]


async def test_only_the_form_that_may_be_on_a_disk_is_written() -> None:
    disk = Disk()
    queue = durable(disk, form=lambda evaluated: replace(evaluated, kept="form"))
    queue.offer(exchange(1))
    queue.spill()
    await queue.flush()
    await queue.ready()
    (read,) = await queue.take(1)
    assert read.kept == "form"


async def test_a_full_memory_goes_to_the_disk_and_a_full_disk_refuses_the_newest() -> None:
    disk = Disk()
    size = len(msgspec.msgpack.encode(exchange(0)))
    queue = durable(disk, capacity=3, max_size=5 * size)
    answers = []
    for number in range(7):
        answers.append(queue.offer(exchange(number)))
        await queue.flush()
    assert answers == [True] * 5 + [False] * 2
    assert (len(queue), disk.count) == (5, 5)
    assert await take(queue) == [0, 1, 2, 3, 4]
    assert queue.offer(exchange(7))


async def test_what_grew_too_old_on_disk_is_given_up_and_counted() -> None:
    disk = Disk()
    queue = durable(disk, max_age=60.0)
    queue.spill()
    for number, minute in enumerate((0, 0, 2)):
        disk.now = minute * 60 * SECOND
        queue.offer(exchange(number))
        await queue.flush()
    disk.now += SECOND
    assert await take(queue) == [2]
    assert queue.lost == {"expired": 2, "unreadable": 0}


async def test_what_cannot_be_read_any_more_is_counted_and_the_rest_goes_on() -> None:
    disk = Disk()
    await disk.add([b"", b"nonsense"])
    queue = durable(disk)
    queue.offer(exchange(3))
    await queue.flush()
    assert await take(queue) == [3]
    assert (queue.lost["unreadable"], len(queue)) == (2, 0)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\1\2", "Ä".encode("latin-1")])
def test_a_body_that_is_none_is_read_as_none(body: bytes) -> None:
    assert decoded(body) is None


async def test_a_disk_that_cannot_be_written_leaves_the_exchanges_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    queue = durable(disk, capacity=2)
    disk.broken = True
    answers = []
    for number in range(6):
        answers.append(queue.offer(exchange(number)))
        queue.spill()
        await queue.flush()
    assert answers == [True] * 4 + [False] * 2
    assert (len(queue), disk.count) == (4, 0)
    assert [record.message for record in caplog.records] == ["the queue on disk: database or disk is full"]
    assert await take(queue) == [0, 1, 2, 3]  # the destination is back before the disk is


async def test_a_disk_that_can_be_written_again_is() -> None:
    disk = Disk()
    queue = durable(disk)
    disk.broken = True
    queue.spill()
    queue.offer(exchange(1))
    await queue.flush()
    disk.broken = False
    while not disk.count:  # noqa: ASYNC110 - turns of the loop, no time
        await asyncio.sleep(0)
    assert await take(queue) == [1]


async def test_a_disk_that_cannot_forget_is_asked_until_it_does() -> None:
    disk = Disk()
    await disk.add([msgspec.msgpack.encode(exchange(1))])
    queue = durable(disk)
    await queue.ready()
    await queue.take(1)
    disk.broken = True
    done = asyncio.ensure_future(queue.done())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not done.done()
    disk.broken = False
    await done
    assert (disk.count, len(queue)) == (0, 0)


async def test_what_neither_memory_nor_disk_can_keep_at_the_end_is_told() -> None:
    disk = Disk()
    queue = durable(disk)
    queue.offer(exchange(1))
    queue.offer(exchange(2))
    disk.broken = True
    assert (await queue.leave(), len(queue)) == (2, 0)


STEPS = st.lists(
    st.sampled_from(
        ["offer", "offer", "offer", "spill", "flush", "take", "done", "break", "mend", "crash", "leave", "turn"]
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 5), st.integers(1, 8))
def test_everything_accepted_is_taken_in_order_whatever_happens_between(
    steps: list[str], most: int, capacity: int
) -> None:
    """A crash loses what was only in memory and nothing else; what was under way then is taken again."""

    async def run() -> None:
        disk = Disk()
        queue = durable(disk, capacity=capacity)
        waiting: list[int] = []  # accepted, not done
        under_way: list[int] = []
        next_number = 0
        for step in [*steps, "mend"]:
            if step == "offer":
                if queue.offer(exchange(next_number)):
                    waiting.append(next_number)
                next_number += 1
            elif step == "spill":
                queue.spill()
            elif step == "flush":
                await queue.flush()
            elif step == "take" and not under_way and waiting and not disk.broken:
                await queue.ready()
                under_way = numbers(await queue.take(most))
                assert under_way == waiting[: len(under_way)]
                assert under_way
            elif step == "done" and under_way and not disk.broken:
                await queue.done()
                waiting, under_way = waiting[len(under_way) :], []
            elif step in ("break", "mend"):
                disk.broken = step == "break"
            elif step in ("crash", "leave"):
                if step == "leave":
                    await queue.leave()
                elif queue._writer is not None:
                    queue._writer.cancel()
                    await asyncio.gather(queue._writer, return_exceptions=True)
                kept = numbers([evaluated for _, body in disk.items if (evaluated := decoded(body))])
                assert step == "crash" or disk.broken or kept == waiting
                assert kept == waiting[: len(kept)]
                waiting, under_way = kept, []
                queue = durable(disk, capacity=capacity)
            elif step == "turn":
                await asyncio.sleep(0)
            assert len(queue) == len(waiting)
        await queue.done()
        del waiting[: len(under_way)]
        while waiting:
            taken = await take(queue, most)
            assert taken == waiting[: len(taken)]
            del waiting[: len(taken)]
        assert len(queue) == 0
        if queue._writer is not None:
            await queue._writer

    logging.disable()
    try:
        asyncio.run(run())
    finally:
        logging.disable(logging.NOTSET)

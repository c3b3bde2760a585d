"""The hand-off: exactly the accepted records, in order, whatever the sizes, the turns and the processes."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import subprocess
import sys
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.ring import (
    BELL_INTERVAL,
    MAX_LIVES,
    PAGE,
    RING_FULL,
    SIZE,
    SMALL_SHARE,
    TOO_LARGE,
    HandOffFds,
    HandOffReader,
    HandOffWriter,
    RingReader,
    RingWriter,
    shared_memory,
)

ROOT = Path(__file__).parents[2]


class Ends:
    """Both ends of one ring, replaceable."""

    def __init__(self, capacity: int) -> None:
        self.fd = shared_memory(PAGE + capacity)
        self.writer = RingWriter(self.fd)
        self.reader = RingReader(self.fd)

    def new_writer(self) -> None:
        self.writer.close()
        self.writer = RingWriter(self.fd)

    def new_reader(self) -> None:
        self.reader.close()
        self.reader = RingReader(self.fd)

    def read(self, limit: int = 1_000_000) -> list[bytes]:
        """Read, and be done with it."""
        records = list(self.reader.read(limit))
        self.reader.done()
        return records

    def close(self) -> None:
        self.writer.close()
        self.reader.close()
        os.close(self.fd)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends(100)
    yield ends
    ends.close()


# -- one ring ---------------------------------------------------------------------------------------------------------


def test_an_empty_ring_gives_nothing(ends: Ends) -> None:
    assert (ends.read(), ends.reader.held, ends.writer.held) == ([], 0, 0)


def test_records_come_out_as_they_went_in(ends: Ends) -> None:
    records = [b"", b"a", b"\xff" * 20, b"\0\0\0\0"]
    assert all(ends.writer.offer(record) for record in records)
    assert ends.reader.held == sum(len(record) + SIZE.size for record in records)
    assert ends.read() == records
    assert ends.writer.held == 0


def test_no_more_are_read_than_asked_for(ends: Ends) -> None:
    for record in (b"1", b"2", b"3"):
        ends.writer.offer(record)
    assert [ends.read(0), ends.read(2), ends.read(2)] == [[], [b"1", b"2"], [b"3"]]


def test_a_full_ring_refuses_and_takes_again_what_was_read(ends: Ends) -> None:
    assert ends.writer.offer(bytes(50))
    assert ends.writer.offer(bytes(42))
    assert not ends.writer.offer(b"")
    assert ends.read(1) == [bytes(50)]
    assert ends.writer.offer(b"again")
    assert ends.read() == [bytes(42), b"again"]


def test_a_ring_may_be_filled_to_its_last_byte(ends: Ends) -> None:
    for _ in range(3):
        assert ends.writer.offer(b"x" * (100 - SIZE.size))
        assert ends.reader.held == 100
        assert not ends.writer.offer(b"")
        assert ends.read() == [b"x" * (100 - SIZE.size)]


def test_a_record_that_was_not_let_go_is_read_again_by_the_next_reader(ends: Ends) -> None:
    for record in (b"1", b"2", b"3"):
        ends.writer.offer(record)
    assert ends.read(1) == [b"1"]
    assert list(ends.reader.read(10)) == [b"2", b"3"]
    assert list(ends.reader.read(10)) == []
    ends.new_reader()
    assert ends.read() == [b"2", b"3"]


def test_a_record_is_not_overwritten_before_the_reader_is_done_with_it(ends: Ends) -> None:
    ends.writer.offer(b"a" * 60)
    assert list(ends.reader.read(10)) == [b"a" * 60]
    assert not ends.writer.offer(b"b" * 60)
    ends.reader.done()
    assert ends.writer.offer(b"b" * 40)


def test_what_kills_every_reader_is_dropped_and_what_comes_later_is_not(ends: Ends) -> None:
    ends.writer.offer(b"poison")
    for _ in range(MAX_LIVES):
        assert not ends.reader.dropped
        assert list(ends.reader.read(10)) == [b"poison"]
        ends.new_reader()
    assert ends.reader.dropped == 1
    ends.writer.offer(b"fine")
    assert ends.read() == [b"fine"]
    ends.new_reader()
    assert not ends.reader.dropped


def test_readers_that_die_before_they_read_cost_nothing(ends: Ends) -> None:
    ends.writer.offer(b"patient")
    for _ in range(2 * MAX_LIVES):
        ends.new_reader()
    assert ends.read() == [b"patient"]


Turn = tuple[str, int]
TURNS = st.one_of(
    st.tuples(st.just("offer"), st.integers(0, 130)),
    st.tuples(st.just("offer"), st.integers(0, 20)),
    st.tuples(st.just("read"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["new writer", "new reader"]), st.just(0)),
)


def offer(ends: Ends, number: int, size: int, accepted: deque[bytes]) -> None:
    """Offer a record of its own bytes; a refusal is right only when the record and a skipped end did not fit."""
    record = bytes((number * 7 + index) % 256 for index in range(size))
    needed = size + SIZE.size
    if ends.writer.offer(record):
        accepted.append(record)
    else:
        assert ends.reader.held + 2 * needed > ends.writer.capacity + 1


@settings(max_examples=300)
@given(st.integers(16, 260), st.lists(TURNS, max_size=60))
@example(33, [("offer", 10), ("read", 5)] * 20)
@example(35, [("offer", 12), ("offer", 11), ("read", 1), ("offer", 9), ("new reader", 0)] * 8)
def test_any_turns_give_exactly_the_accepted_records_in_order(capacity: int, turns: list[Turn]) -> None:
    ends, accepted = Ends(capacity), deque[bytes]()
    try:
        for number, (turn, value) in enumerate(turns):
            match turn:
                case "offer":
                    offer(ends, number, value, accepted)
                case "read":
                    expected = [accepted.popleft() for _ in range(min(value, len(accepted)))]
                    assert ends.read(value) == expected
                case "new writer":
                    ends.new_writer()
                case "new reader":
                    ends.new_reader()
            assert 0 <= ends.reader.held == ends.writer.held <= capacity
        assert ends.read() == list(accepted)
        assert ends.reader.held == 0 or not accepted
    finally:
        ends.close()


@pytest.mark.parametrize("capacity", range(64, 72))
@pytest.mark.parametrize("size", [0, 1, 3, 8, 13, 28])
def test_every_place_of_the_end_of_the_ring_is_passed(capacity: int, size: int) -> None:
    ends = Ends(capacity)
    for number in range(200):
        record = bytes([number]) * size
        assert ends.writer.offer(record)
        assert ends.read() == [record]
    ends.close()


def test_positions_go_on_beyond_thirty_two_bits() -> None:
    ends = Ends(1000)
    for words in (ends.writer.words, ends.reader.words):
        words[0] = words[1] = 2**32 - 5
    ends.new_writer()
    ends.new_reader()
    for number in range(10):
        assert ends.writer.offer(b"%d" % number)
    assert ends.read() == [b"%d" % number for number in range(10)]
    ends.close()


# -- both rings and the bell ------------------------------------------------------------------------------------------


def let_go(reader: HandOffReader, limit: int) -> list[bytes]:
    """Read, and be done with it."""
    records = reader.read(limit)
    reader.done()
    return records


class HandOff:
    """Both ends of a hand-off in this process, on this loop."""

    def __init__(self, ring: int = 16_384, max_record: int = 50_000) -> None:
        self.fds = HandOffFds.create(ring, max_record)
        self.writer = HandOffWriter(self.fds)
        self.reader = HandOffReader(self.fds)
        self.faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.faults.append(context))

    async def bell(self) -> bytes:
        """Wait until it rings; the rings heard."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.reader.bell, rung.set)
        try:
            async with asyncio.timeout(5):
                await rung.wait()
        finally:
            loop.remove_reader(self.reader.bell)
        return os.read(self.reader.bell, 65536)

    async def interval_over(self) -> None:
        """Until after every bell that is due by now."""
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(2 * BELL_INTERVAL, over.set)
        await over.wait()

    def rings(self) -> int:
        try:
            return len(os.read(self.reader.bell, 65536))
        except BlockingIOError:
            return 0


def fill(pipe: int) -> None:
    with suppress(BlockingIOError):
        while os.write(pipe, bytes(4096)):
            pass


@pytest.fixture
async def hand_off() -> AsyncIterator[HandOff]:
    hand_off = HandOff()
    yield hand_off
    await hand_off.interval_over()
    hand_off.fds.close()


async def test_what_is_offered_is_read(hand_off: HandOff) -> None:
    assert hand_off.writer.offer(b"a")
    assert hand_off.writer.offer(b"b")
    assert hand_off.reader.held == 2 * (1 + SIZE.size)
    assert let_go(hand_off.reader, 10) == [b"a", b"b"]
    assert (hand_off.reader.held, hand_off.writer.offered) == (0, 2)


async def test_a_record_above_the_small_rings_share_takes_the_large_ring(hand_off: HandOff) -> None:
    share = 16_384 // SMALL_SHARE
    small, large = b"s" * share, b"l" * (share + 1)
    assert hand_off.writer.offer(large)
    assert hand_off.writer.offer(small)
    assert RingReader(hand_off.fds.small).held == len(small) + SIZE.size
    assert RingReader(hand_off.fds.large).held == len(large) + SIZE.size
    assert sorted(let_go(hand_off.reader, 10)) == [large, small]


async def test_the_large_ring_holds_several_of_the_largest_records(hand_off: HandOff) -> None:
    records = [bytes([number]) * 50_000 for number in range(3)]
    assert [hand_off.writer.offer(record) for record in [*records, records[0]]] == [True, True, True, False]
    assert let_go(hand_off.reader, 10) == records
    assert hand_off.writer.refused == {RING_FULL: 1, TOO_LARGE: 0}


async def test_what_no_ring_can_ever_hold_is_refused_as_too_large(hand_off: HandOff) -> None:
    assert not hand_off.writer.offer(bytes(200_000))
    assert not hand_off.writer.offer(bytes(200_001 - SIZE.size))
    assert hand_off.writer.offer(bytes(200_000 - SIZE.size))
    assert hand_off.writer.refused == {RING_FULL: 0, TOO_LARGE: 2}
    assert hand_off.writer.offered == 3


async def test_a_full_small_ring_is_refused_as_full_and_the_large_one_still_takes(hand_off: HandOff) -> None:
    taken = 0
    while hand_off.writer.offer(bytes(1000)):
        taken += 1
    assert taken == 16_384 // (1000 + SIZE.size)
    assert hand_off.writer.refused == {RING_FULL: 1, TOO_LARGE: 0}
    assert hand_off.writer.offer(bytes(2000))
    assert len(let_go(hand_off.reader, 100)) == taken + 1
    assert hand_off.writer.offer(bytes(1000))


async def test_the_limit_is_for_each_ring(hand_off: HandOff) -> None:
    for number in range(3):
        hand_off.writer.offer(b"%d" % number)
        hand_off.writer.offer(bytes([number]) * 2000)
    assert [len(record) for record in let_go(hand_off.reader, 2)] == [1, 1, 2000, 2000]
    assert [len(record) for record in let_go(hand_off.reader, 2)] == [1, 2000]


async def test_many_offers_are_one_ring_of_the_bell(hand_off: HandOff) -> None:
    began = asyncio.get_running_loop().time()
    for _ in range(100):
        hand_off.writer.offer(b"x")
    assert hand_off.rings() == 0
    assert await hand_off.bell() == b"\0"
    assert asyncio.get_running_loop().time() - began >= BELL_INTERVAL / 2
    await hand_off.interval_over()
    assert hand_off.rings() == 0
    hand_off.writer.offer(b"x")
    assert await hand_off.bell() == b"\0"


async def test_the_bell_rings_at_most_once_each_interval(hand_off: HandOff) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(2000):
        hand_off.writer.offer(b"x")
        await asyncio.sleep(0)
    await hand_off.interval_over()
    elapsed = loop.time() - began + 0.001  # the loop's clock counts whole milliseconds
    assert 1 <= hand_off.rings() <= elapsed / (BELL_INTERVAL - 0.001) + 1


async def test_a_refused_offer_rings_too_so_that_room_is_made(hand_off: HandOff) -> None:
    assert not hand_off.writer.offer(bytes(300_000))
    assert await hand_off.bell() == b"\0"


async def test_a_bell_nobody_hears_blocks_nothing(hand_off: HandOff) -> None:
    fill(hand_off.fds.bell_write)
    assert hand_off.writer.offer(b"x")
    await hand_off.interval_over()
    assert hand_off.faults == []
    hand_off.reader.hear_bell()
    assert hand_off.rings() == 0
    assert hand_off.writer.offer(b"y")
    assert await hand_off.bell() == b"\0"
    assert let_go(hand_off.reader, 10) == [b"x", b"y"]


async def test_a_silent_bell_is_heard_without_waiting(hand_off: HandOff) -> None:
    hand_off.reader.hear_bell()
    hand_off.reader.hear_bell()
    assert hand_off.rings() == 0


async def test_a_new_writer_and_a_new_reader_go_on_where_the_old_ones_were(hand_off: HandOff) -> None:
    for number in range(10):
        hand_off.writer.offer(b"%d" % number)
        hand_off.writer.offer(b"%d" % number * 2000)
    assert len(let_go(hand_off.reader, 4)) == 8
    fds = HandOffFds(*hand_off.fds.as_list())
    writer, reader = HandOffWriter(fds), HandOffReader(fds)
    assert writer.offer(b"new")
    expected = [b"%d" % number for number in range(4, 10)]
    assert let_go(reader, 100) == [*expected, b"new", *(digit * 2000 for digit in expected)]


# -- two processes ----------------------------------------------------------------------------------------------------

RECORDS = 20_000
OFFERS = f"""
import asyncio, random, struct, sys, zlib
from pipeline.ring import HandOffFds, HandOffWriter

async def main():
    writer = HandOffWriter(HandOffFds(*map(int, sys.argv[1:])))
    sizes, taken = random.Random(7), 0
    while taken < {RECORDS}:
        payload = sizes.randbytes(sizes.choice((0, 1, 50, 300, 1500, 6000)))
        record = struct.pack("<II", taken, zlib.crc32(payload)) + payload
        while not writer.offer(record):
            await asyncio.sleep(0.0005)
        taken += 1
    await asyncio.sleep(0.01)
    print(writer.offered, *writer.refused.values())

asyncio.run(main())
"""


def received(reader: HandOffReader, count: int) -> list[bytes]:
    """Wait for the bell, read until the rings are empty, and so on."""
    records: list[bytes] = []
    while len(records) < count:
        heard, _, _ = select.select([reader.bell], [], [], 20)
        assert heard, f"no bell after {len(records)} records"
        reader.hear_bell()
        while batch := let_go(reader, 64):
            records += batch
    return records


def test_another_processs_records_all_arrive_whole_and_in_order() -> None:
    fds = HandOffFds.create(65_536, 20_000)
    command = [sys.executable, "-c", OFFERS, *map(str, fds.as_list())]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=fds.as_list(), stdout=subprocess.PIPE) as process:
        try:
            records = received(HandOffReader(fds), RECORDS)
            said = process.communicate(timeout=20)[0].split()
        finally:
            process.kill()
    offered, ring_full, too_large = map(int, said)
    assert (offered - ring_full, too_large, process.returncode) == (RECORDS, 0, 0)
    numbers: dict[bool, list[int]] = {True: [], False: []}
    for record in records:
        number, checksum = struct.unpack_from("<II", record)
        assert zlib.crc32(record[8:]) == checksum
        numbers[len(record) * SMALL_SHARE <= 65_536].append(number)
    assert all(ring == sorted(ring) for ring in numbers.values())
    assert sorted(numbers[True] + numbers[False]) == list(range(RECORDS))
    fds.close()

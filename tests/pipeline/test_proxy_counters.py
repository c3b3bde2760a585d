"""What a proxy publishes is what the pipeline reads, by name and across restarts."""

from __future__ import annotations

from pipeline.proxy_counters import LAG, LEVELS, NAMES, SUMS
from pipeline.ring import FIRST_COUNTER, PAGE, HandOffFds, HandOffReader, HandOffWriter, RingWriter


def test_every_name_is_one_of_its_kind() -> None:
    assert (*SUMS, *LEVELS, *LAG) == NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_the_counters_fit_in_the_first_page_beside_the_positions() -> None:
    assert FIRST_COUNTER >= 2
    assert (FIRST_COUNTER + len(NAMES)) * 8 <= PAGE


async def test_what_is_published_is_read_by_the_other_side_and_touches_no_record() -> None:
    fds = HandOffFds.create(16_384, 10_000)
    writer, reader = HandOffWriter(fds), HandOffReader(fds)
    assert reader.counters(len(NAMES)) == [0] * len(NAMES)
    assert RingWriter(fds.small).offer(b"record")
    values = [2**63 - number for number in range(len(NAMES))]
    writer.publish(values)
    assert reader.counters(len(NAMES)) == values
    assert reader.read(10) == [b"record"]
    fds.close()


async def test_a_new_proxy_process_finds_what_the_one_before_it_published() -> None:
    fds = HandOffFds.create(16_384, 10_000)
    HandOffWriter(fds).publish(list(range(len(NAMES))))
    after = HandOffWriter(fds)
    assert after.published(len(NAMES)) == list(range(len(NAMES)))
    assert after.published(len(SUMS)) == list(range(len(SUMS)))
    after.publish([7])
    assert HandOffReader(fds).counters(2) == [7, 1]
    fds.close()

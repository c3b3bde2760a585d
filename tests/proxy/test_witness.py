"""What left is compared with what came, over any division into pieces."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.outbox import Outbox
from proxy.witness import Witness
from tests.proxy.test_outbox import FakeTransport


def fed(update: Any, data: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(borders):
        update(data[start:end])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)), st.lists(st.integers(0, 300)))
def test_the_same_bytes_agree_however_they_are_divided(data: bytes, came: list[int], left: list[int]) -> None:
    witness = Witness()
    fed(witness.came, data, came)
    fed(witness.left, data, left)
    assert witness.came_digest() == witness.left_digest()


@given(st.binary(min_size=1, max_size=300), st.integers(0, 299), st.integers(1, 255))
def test_one_changed_byte_does_not(data: bytes, position: int, change: int) -> None:
    position %= len(data)
    witness = Witness()
    witness.came(data)
    witness.left(data[:position] + bytes([data[position] ^ change]) + data[position + 1 :])
    assert witness.came_digest() != witness.left_digest()


class Lossy(Outbox):
    """An outbox with a fault: it sends everything but what it is told to lose."""

    def write(self, transport: Any, data: bytes | None, witness: Witness | None = None) -> None:
        if data != b"lost":
            super().write(transport, data, witness)


@pytest.mark.parametrize(("kind", "mismatched"), [(Outbox, 0), (Lossy, 1)])
async def test_an_answer_is_compared_once_it_is_whole_and_sent(kind: type[Outbox], mismatched: int) -> None:
    outbox: Any = kind(asyncio.get_running_loop())
    witness, transport = Witness(), FakeTransport()
    for piece in (b"first", b"lost", b"last"):
        witness.came(piece)
        outbox.write(transport, piece, witness)
    outbox.conclude(witness)
    assert outbox.compared == 0
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (1, mismatched)


async def test_an_answer_of_another_connection_in_between_is_noticed() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    mine, other = Witness(), Witness()
    mine.came(b"mine")
    other.came(b"other")
    outbox.write(FakeTransport(), b"other", mine)
    outbox.write(FakeTransport(), b"mine", other)
    outbox.conclude(mine)
    outbox.conclude(other)
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (2, 2)


async def test_what_a_client_that_left_was_not_sent_is_no_mismatch() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    witness, transport = Witness(), FakeTransport()
    transport.close()
    witness.came(b"too late")
    outbox.write(transport, b"too late", witness)
    outbox.conclude(witness)
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (0, 0)


async def test_an_answer_with_nothing_left_to_send_is_compared_at_once() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    outbox.conclude(Witness())
    assert (outbox.compared, outbox.mismatched) == (1, 0)

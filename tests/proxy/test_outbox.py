"""Writes leave at the end of the turn, in order, and a close comes after them."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.outbox import Outbox


class FakeTransport:
    """Remembers what is done to it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done


def outbox() -> Any:
    return Outbox(asyncio.get_running_loop())


async def turn() -> None:
    await asyncio.sleep(0)


async def test_nothing_is_written_before_the_turn_ends_and_all_of_it_then() -> None:
    box, one, other = outbox(), FakeTransport(), FakeTransport()
    box.write(one, b"a")
    box.write(other, b"b")
    box.write(one, b"c")
    assert (one.done, other.done) == ([], [])
    await turn()
    assert (one.done, other.done) == ([b"a", b"c"], [b"b"])


async def test_a_close_comes_after_what_was_written_before_it_and_nothing_after_it_is() -> None:
    box, transport = outbox(), FakeTransport()
    box.write(transport, b"last words")
    box.close(transport)
    box.write(transport, b"too late")
    await turn()
    assert transport.done == [b"last words", "close"]


async def test_a_flush_writes_at_once_and_only_once() -> None:
    box, transport = outbox(), FakeTransport()
    box.write(transport, b"a")
    box.flush()
    assert transport.done == [b"a"]
    await turn()
    assert transport.done == [b"a"]


async def test_what_is_written_after_a_flush_leaves_with_the_next_turn() -> None:
    box, transport = outbox(), FakeTransport()
    box.write(transport, b"a")
    await turn()
    box.write(transport, b"b")
    assert transport.done == [b"a"]
    await turn()
    assert transport.done == [b"a", b"b"]


async def test_a_whole_answer_is_compared_when_it_leaves() -> None:
    box, transport = outbox(), FakeTransport()
    box.write_whole(transport, b"all of it")
    assert box.compared == 0
    await turn()
    assert (transport.done, box.compared, box.mismatched) == ([b"all of it"], 1, 0)


async def test_a_whole_answer_that_leaves_as_another_is_a_mismatch() -> None:
    box, transport = outbox(), FakeTransport()
    box.write_whole(transport, b"mine")
    _, _, digest = box._pending.pop()
    box._pending.append((transport, b"another's", digest))
    await turn()
    assert (box.compared, box.mismatched) == (1, 1)


async def test_a_whole_answer_to_a_client_that_has_gone_is_not_compared() -> None:
    box, transport = outbox(), FakeTransport()
    transport.close()
    box.write_whole(transport, b"too late")
    await turn()
    assert (box.compared, box.mismatched) == (0, 0)

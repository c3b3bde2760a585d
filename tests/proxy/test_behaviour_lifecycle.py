"""Drain, close, and what is left after thousands of exchanges: nothing."""

from __future__ import annotations

import asyncio
import gc
import random
import stat
from pathlib import Path

import pytest

from tests.support.raw_client import RawClient
from tests.support.raw_http import Request, chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import Sidecar, eventually, sidecar_before
from tests.support.upstream import UpstreamConnection, answering

OK = response_bytes(body=b"ok")
CHAT = request_bytes("POST", "/v1/chat/completions", body=b"{}")


# -- drain ----------------------------------------------------------------------------------------------------------


async def test_drain_lets_a_stream_in_flight_end_normally() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"one", end=b""))
        await client.until_received(b"one")
        drained = asyncio.ensure_future(side.server.drain(5))
        await asyncio.sleep(0)  # the drain has begun
        await refuses_connections(side)
        await connection.send(chunked(b"two"))
        assert (await client.response()).content == b"onetwo"
        assert await client.until_ended() == b""
        await drained
        assert (await side.capture()).error_type is None
        await connection.until_ended()


async def test_drain_lets_an_answer_that_has_not_begun_end_normally_and_says_close() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        drained = asyncio.ensure_future(side.server.drain(5))
        await asyncio.sleep(0)  # the drain has begun
        await refuses_connections(side)
        await connection.send(OK)
        response = await client.response()
        assert (response.content, response.value("connection")) == (b"ok", "close")
        assert await client.until_ended() == b""
        await drained


async def test_drain_closes_idle_connections_on_both_sides_at_once() -> None:
    async with sidecar_before(answering(OK)) as side:
        idle, fresh = await side.client(), await side.client()
        await idle.exchange()
        await eventually(lambda: side.server.open_connections == 2)
        async with asyncio.timeout(1):
            await side.server.drain(60)
        assert (await idle.until_ended(), await fresh.until_ended()) == (b"", b"")
        await side.upstream.connections[0].until_ended()
        assert side.server.open_connections == 0


async def test_drain_refuses_new_connections() -> None:
    async with sidecar_before(answering(OK)) as side:
        await side.server.drain(1)
        await refuses_connections(side)


async def test_drain_cuts_what_does_not_end_in_time_and_captures_it() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"one", end=b""))
        await client.until_received(b"one")
        await side.server.drain(0.1)
        assert not (await client.response()).body.complete
        await connection.until_ended()
        assert (await side.capture()).response_body == b"one"


async def test_a_drain_that_cut_something_returns_after_its_capture() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        await side.upstream.request()
        await side.server.drain(0.1)
        assert [capture.error_type for capture in side.captures] == ["client_disconnect"]


async def test_close_ends_everything_now() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        side.server.close()
        await client.until_ended()
        await connection.until_ended()
        await side.captured(1)


async def refuses_connections(side: Sidecar) -> None:
    """Neither served nor left hanging: refused, or ended at once."""
    try:
        late = await side.client()
    except ConnectionRefusedError:
        return
    late.write(CHAT)
    assert await late.until_ended() == b""


# -- leaks ----------------------------------------------------------------------------------------------------------


async def varied(connection: UpstreamConnection) -> None:
    """Answers in pieces, so that there is always a middle to leave in."""
    while not connection.ended.is_set():
        await connection.until(lambda: bool(connection.received))
        if connection.received:
            await answer_in_pieces(connection, await connection.request())
    connection.close()


async def answer_in_pieces(connection: UpstreamConnection, request: Request) -> None:
    if request.target == "/silent":
        await connection.until_ended()
        return
    await connection.send(chunked_response(b"one", end=b""))
    if request.target == "/half":
        await connection.until_ended()
        return
    await connection.send(chunked(b"two"))


async def one_exchange(side: Sidecar, client: RawClient | None, target: str, way: str) -> RawClient | None:
    """A whole exchange on a connection that is kept, or one left in its middle."""
    client = client or await side.client()
    await client.send(request_bytes("POST", target, body=b"{}"))
    if target == "/whole":
        assert (await client.response()).content == b"onetwo"
        return client
    if target == "/half":
        await client.until_received(b"one")
    getattr(client, way)()
    await client.lost.wait()
    return None


async def many_exchanges(side: Sidecar, count: int, seed: int) -> None:
    """One client after the other, half of the exchanges cancelled."""
    choices = random.Random(seed)
    client: RawClient | None = None
    for _ in range(count):
        target = choices.choice(["/whole", "/whole", "/half", "/silent"])
        client = await one_exchange(side, client, target, choices.choice(["close", "abort"]))
    if client:
        await client.gone()


def sockets() -> int:
    """Sockets this process has open."""
    return sum(stat.S_ISSOCK(path.stat().st_mode) for path in Path("/proc/self/fd").iterdir() if path.exists())


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


async def test_two_thousand_exchanges_half_of_them_cancelled_leave_nothing_behind() -> None:
    tasks_before, sockets_before = len(asyncio.all_tasks()), sockets()
    async with sidecar_before(varied) as side:
        await many_exchanges(side, 200, seed=0)
        await settled(side, 200)
        before = objects()
        async with asyncio.TaskGroup() as group:
            for seed in range(1, 11):
                group.create_task(many_exchanges(side, 180, seed))
        await settled(side, 1800)
        assert objects() - before < 2000
        await side.server.drain(1)
    await eventually(lambda: len(asyncio.all_tasks()) == tasks_before)
    await eventually(lambda: sockets() == sockets_before)


async def settled(side: Sidecar, count: int) -> None:
    """Every exchange captured once and every connection closed but the pool's; then forgets the test's own records."""
    await side.captured(count)
    await eventually(lambda: side.server.open_connections == 0)
    assert {capture.error_type for capture in side.captures} == {None, "client_disconnect"}
    await eventually(lambda: sum(not one.lost.is_set() for one in side.upstream.connections) <= 12)
    side.captures.clear()
    side.frames.clear()
    side.upstream.requests.clear()
    side.upstream.connections[:] = [one for one in side.upstream.connections if not one.lost.is_set()]
    side._clients.clear()


@pytest.mark.parametrize("size", [10_000_000])
async def test_a_large_body_leaves_no_memory_held(size: int) -> None:
    async with sidecar_before(answering(response_bytes(body=bytes(size)))) as side:
        client = await side.client()
        assert len((await client.exchange("POST", body=bytes(size))).content) == size
        capture = await side.capture()
        assert len(capture.response_body) == len(capture.request_body) == 2**20
        assert side.server.budget.used == 0

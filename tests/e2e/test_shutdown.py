"""SIGTERM lets every answer in flight finish; a second one does not wait; nobody stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.raw_client import RawClient
from tests.support.raw_http import chunked, chunked_response, request_bytes
from tests.support.running import Running, members, running, until
from tests.support.upstream import ScriptedUpstream, UpstreamConnection

pytestmark = pytest.mark.e2e

STREAMS = 20
FIRST = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Held:
    """An upstream that begins every stream and ends it when told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def script(self, connection: UpstreamConnection) -> None:
        await connection.request()
        await connection.send(chunked_response(FIRST, headers=[("Content-Type", "text/event-stream")], end=b""))
        await self.go_on.wait()
        await connection.send(chunked(LAST))


async def a_stream(run: Running) -> RawClient:
    """A client that has had the first chunk of its answer."""
    client = await RawClient.open(int(run.url.rpartition(":")[2]))
    body = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hello?"}]}'
    await client.send(request_bytes("POST", "/v1/chat/completions", [("Content-Type", "application/json")], body))
    await client.until_received(b"Hel")
    return client


async def test_streams_in_flight_complete_and_the_exit_code_is_0(tmp_path: Path) -> None:
    held = Held()
    async with ScriptedUpstream(held.script) as upstream, running(tmp_path, upstream.url) as run:
        clients = [await a_stream(run) for _ in range(STREAMS)]
        run.process.send_signal(signal.SIGTERM)
        await until(lambda: is_draining(run))
        held.go_on.set()
        responses = [await client.response(to="POST") for client in clients]
        assert await run.ended() == 0
        assert [response.content for response in responses] == [FIRST + LAST] * STREAMS
        assert members(run.process.pid) == {}
        sums = await run.sums()
        assert (sums.done, sums.pending, sums.balanced) == (STREAMS, 0, True)
        for client in clients:
            await client.gone()


async def is_draining(run: Running) -> bool:
    return bool((await run.status())["draining"])


async def test_while_it_drains_nobody_new_is_taken_on(tmp_path: Path) -> None:
    held = Held()
    async with ScriptedUpstream(held.script) as upstream, running(tmp_path, upstream.url) as run:
        client = await a_stream(run)
        run.process.send_signal(signal.SIGTERM)
        await until(lambda: is_draining(run))
        await until(lambda: is_refused(run))
        held.go_on.set()
        assert (await client.response(to="POST")).content == FIRST + LAST
        assert await run.ended() == 0
        await client.gone()


async def is_refused(run: Running) -> bool:
    try:
        client = await RawClient.open(int(run.url.rpartition(":")[2]))
    except ConnectionRefusedError:
        return True
    await client.gone()
    return False


async def test_a_second_sigterm_exits_at_once(tmp_path: Path) -> None:
    held = Held()
    async with ScriptedUpstream(held.script) as upstream, running(tmp_path, upstream.url) as run:
        client = await a_stream(run)
        run.process.send_signal(signal.SIGTERM)
        await until(lambda: is_draining(run))
        run.process.send_signal(signal.SIGTERM)
        assert await run.ended(2.0) == 128 + signal.SIGTERM
        await until(lambda: members(run.process.pid) == {})
        await client.gone()
        held.go_on.set()


async def test_the_drain_time_is_a_limit(tmp_path: Path) -> None:
    held = Held()
    limits = {"limits": {"drain": "200ms"}}
    async with ScriptedUpstream(held.script) as upstream, running(tmp_path, upstream.url, proxy=limits) as run:
        client = await a_stream(run)
        run.process.send_signal(signal.SIGTERM)
        assert await run.ended(10.0) == 0
        await client.gone()
        held.go_on.set()
        sums = await run.sums()
        assert (sums.done, sums.pending) == (1, 0)


async def test_ctrl_c_is_a_sigterm(tmp_path: Path) -> None:
    held = Held()
    async with ScriptedUpstream(held.script) as upstream, running(tmp_path, upstream.url) as run:
        client = await a_stream(run)
        os.killpg(run.process.pid, signal.SIGINT)  # a terminal sends it to everybody
        await until(lambda: is_draining(run))
        held.go_on.set()
        assert (await client.response(to="POST")).content == FIRST + LAST
        assert await run.ended() == 0
        await client.gone()


async def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, running(tmp_path, upstream.url) as run:
        assert len(members(run.process.pid)) == 4
        run.process.kill()
        await until(lambda: members(run.process.pid) == {})

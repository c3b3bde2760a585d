"""A backend that is away loses nothing: not when it comes back, not when Sidelight is killed or stopped meanwhile."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.running import Running, a_tree, started, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

CLIENTS = 8
CANARY = "canary-5d1f"
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello, %s?"}]}' % CANARY.encode()
QUICKLY = {"initial_interval": "50ms", "max_interval": "100ms"}


class Backend(OtlpReceiver):
    """Away, until it is told to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.leave()

    def leave(self) -> None:
        self.always = lambda signal: Reply(503)

    def come_back(self) -> None:
        self.always = lambda signal: None

    def seen(self) -> Counter[str]:
        """How often each request was told."""
        return Counter(span["trace_id"] for span in self.spans if span["kind"] == "SERVER")


def before(folder: Path, upstream: ScriptedUpstream, backend: OtlpReceiver, **queue: Any) -> Running:
    otlp = {"endpoint": backend.endpoint, "retry_on_failure": QUICKLY, "sending_queue": queue}
    return Running(folder, a_tree(folder, upstream.url, exporters={"otlp": otlp}))


async def ask(run: Running, count: int) -> None:
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(count):
            async with session.post(f"{run.url}/v1/chat/completions", data=BODY) as response:
                assert response.status == 200


async def traces(run: Running) -> set[str]:
    """Of every exchange in the store."""
    return {trace for (trace,) in await run.rows("SELECT trace_id FROM exchange")}


async def test_a_backend_that_comes_back_gets_everything_once(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with Backend() as backend, started(before(tmp_path, constant, backend)) as run:
        await ask(run, 30)
        sums = await run.settled(30)
        assert (sums.done, backend.seen()) == (30, {})
        backend.come_back()
        await until(lambda: len(backend.seen()) == 30)
        assert backend.seen() == dict.fromkeys(await traces(run), 1)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
async def test_what_waited_for_the_backend_outlives_sidelight(
    tmp_path: Path, constant: ScriptedUpstream, kill: bool
) -> None:
    async with Backend() as backend:
        run = before(tmp_path, constant, backend)
        for life in (1, 2):
            async with started(run):
                await ask(run, 20)
                await run.settled(20 * life)
                if kill:
                    run.kill_everybody()
                else:
                    run.process.send_signal(signal.SIGTERM)
                await run.ended()
            await until(lambda: not run.everybody())
        assert backend.seen() == {}
        backend.come_back()
        async with started(run):
            await until(lambda: len(backend.seen()) == 40)
            assert set(backend.seen()) == await traces(run)
            assert backend.seen().total() == 40


async def test_what_waits_on_disk_has_no_texts_that_the_backend_would_not_get(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    async with Backend() as backend, started(before(tmp_path, constant, backend)) as run:
        await ask(run, 5)
        await run.settled(5)
        run.kill_everybody()
        await run.ended()
        await until(lambda: not run.everybody())
    waiting = await asyncio.to_thread(told_in, tmp_path / "store.db.otlp.queue")
    assert len(waiting) == 5
    assert CANARY not in "".join(waiting)


def told_in(file: Path) -> list[str]:
    """The bodies in a queue's file, unpacked."""
    with closing(sqlite3.connect(file)) as db:
        return [zlib.decompress(body).decode("latin-1") for (body,) in db.execute("SELECT body FROM item")]


async def test_a_full_disk_queue_refuses_the_newest_and_says_so(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with Backend() as backend, started(before(tmp_path, constant, backend, max_size="20KiB")) as run:
        for asked in (20, 60):  # the first of them find out that the backend is away
            await ask(run, asked - len(await traces(run)))
            await run.settled(asked)
        backend.come_back()
        await run.says("works again")

        def counted(metric: str) -> int:
            points = [point for each in backend.metrics if each["name"] == metric for point in each["points"]]
            return int(max((point["value"] for point in points), default=0))

        run.process.send_signal(signal.SIGTERM)
        await run.ended()
        refused = counted("sidelight.exporter.enqueue_failed")
        assert 0 < refused < 60
        assert len(backend.seen()) == counted("sidelight.exporter.sent") == 60 - refused


async def test_memory_stays_flat_while_a_backend_is_away(tmp_path: Path, constant: ScriptedUpstream) -> None:
    """What waits is on disk: five times as much of it takes no more memory."""
    async with Backend() as backend, started(before(tmp_path, constant, backend)) as run:
        pipeline = psutil.Process(run.pid("pipeline"))

        async def asked_for(count: int) -> int:
            done = (await run.sums()).done
            await asyncio.gather(*(ask(run, (count - done) // CLIENTS) for _ in range(CLIENTS)))
            await run.settled(count)
            return int(pipeline.memory_info().rss)

        warm = await asked_for(800)
        later = await asked_for(4000)

        async def all_wait() -> bool:
            return bool((await run.status())["counts"]["exporters"]["otlp"]["queued"] == 4000)

        await until(all_wait)
        backend.come_back()
        await until(lambda: len(backend.seen()) == 4000, patience=60)
    assert later - warm < 16 * 2**20

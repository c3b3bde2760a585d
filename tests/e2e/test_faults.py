"""Whatever is killed, hung or replaced behind the proxy, clients do not notice and nothing accepted is lost."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from tests.e2e.conftest import ANSWER
from tests.support.running import Load, Running, running, started, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello?"}]}'


def a_load(run: Running) -> Load:
    return Load(f"{run.url}/v1/chat/completions", BODY, ANSWER)


async def conserved(run: Running, load: Load) -> None:
    """Every request was answered with the upstream's bytes; every exchange is done, with one outcome for everyone."""
    assert load.answers == {"same": load.done}
    sums = await run.settled(load.done)
    assert (sums.done, sums.balanced) == (load.done, True)
    assert set(sums.outcomes) == set(run.tree["processors"])


async def test_a_killed_pipeline_costs_no_request_and_no_exchange(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        async with a_load(run).running() as load:
            for life in (1, 2):
                await load.another()
                os.kill(run.pid("pipeline"), signal.SIGKILL)
                await until(lambda life=life: run.is_ready("pipeline", life))  # type: ignore[misc]
                await load.another()
        await conserved(run, load)
        waits = [float(wait) for wait in re.findall(r"pipeline ended .* starting it again in ([\d.]+) s", run.logged())]
    assert len(waits) == 2
    assert waits[1] > waits[0]


async def test_a_stopped_pipeline_costs_no_request(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        async with a_load(run).running() as load:
            await load.another()
            os.kill(run.pid("pipeline"), signal.SIGSTOP)
            await load.another(200)
            os.kill(run.pid("pipeline"), signal.SIGCONT)
            await load.another()
        await conserved(run, load)


async def test_killed_evaluators_cost_no_request_and_no_outcome(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        killed: set[int] = set()

        def another_evaluator() -> bool:
            return bool(set(run.pids("evaluator")) - killed)

        async with a_load(run).running() as load:
            for _ in range(3):
                await load.another()
                await until(another_evaluator)
                (pid,) = set(run.pids("evaluator")) - killed
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        await conserved(run, load)


async def test_a_killed_proxy_serves_again_within_two_seconds(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        for life in (1, 2):
            os.kill(run.pid("proxy"), signal.SIGKILL)
            before = monotonic()
            async with (  # it waits in the backlog of the socket that never closes
                aiohttp.ClientSession() as session,
                session.post(f"{run.url}/v1/chat/completions", data=BODY) as response,
            ):
                assert await response.read() == ANSWER
            assert monotonic() - before < 2.0
            await until(lambda life=life: run.is_ready("proxy 0", life))  # type: ignore[misc]
        await run.settled(2)


async def test_what_was_pending_when_everything_was_killed_is_done_after_a_restart(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    slow = {"evaluation": {"timeout": "60s"}}
    async with running(tmp_path, constant.url, **slow) as run:
        async with a_load(run).running() as load:
            await load.another()
            for pid in run.pids("evaluator"):
                os.kill(pid, signal.SIGSTOP)
            await load.another(100)
        await until(lambda: all_stored(run, load.done))
        assert (await run.sums()).pending > 0
        run.kill_everybody()
        await run.ended()
    await until(lambda: not run.everybody())
    assert load.answers == {"same": load.done}
    before = await run.sums()
    assert before.pending > 0
    assert before.done + before.pending == load.done
    async with started(run):
        sums = await run.settled(load.done)
        assert (sums.done, sums.balanced) == (load.done, True)
        errors = await run.rows("SELECT count(*) FROM ledger WHERE outcome = 'error'")
    assert errors == [(0,)]


async def all_stored(run: Running, count: int) -> bool:
    sums = await run.sums()
    return sums.done + sums.pending >= count


async def test_two_proxy_workers_share_one_port_and_one_may_die(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url, proxy={"workers": 2}) as run:
        first, second = run.pids("proxy")
        async with a_load(run).running(8) as load:
            await load.another(100)
        await conserved(run, load)
        os.kill(first, signal.SIGKILL)
        await until(lambda: run.is_ready("proxy 0", 1))
        assert set(run.pids("proxy")) >= {second}
        async with a_load(run).running(8) as again:
            await again.another(100)
        assert again.answers == {"same": again.done}
        sums = await run.settled(load.done + again.done)
        assert sums.balanced

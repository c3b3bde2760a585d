"""SIGHUP takes over what may change; what may not, or is wrong, is told and changes nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import ANSWER
from tests.support.running import Running, Tree, running, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello?"}]}'
LENIENT = {"latency": {"max_duration": 60}}
STRICT = {"latency": {"max_duration": 1e-9}}


async def one_call(run: Running, nth: int) -> list[tuple[str, str]]:
    """Make call number `nth`; its outcomes."""
    url = f"{run.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, data=BODY) as response:
        assert await response.read() == ANSWER
    await run.settled(nth)
    newest = "SELECT id FROM exchange ORDER BY id DESC LIMIT 1"
    return await run.rows(f"SELECT evaluator, outcome FROM ledger WHERE exchange_id = ({newest}) ORDER BY evaluator")


def hang_up(run: Running, tree: Tree | str) -> None:
    if isinstance(tree, str):
        run.config.write_text(tree)
    else:
        run.write(tree)
    run.process.send_signal(signal.SIGHUP)


async def test_a_new_threshold_takes_effect(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        tree = run.tree | {"processors": LENIENT}
        hang_up(run, tree)
        await run.says("reloaded: processors")
        calls = 0

        async def judged(outcome: str) -> bool:
            nonlocal calls
            calls += 1
            return await one_call(run, calls) == [("latency", outcome)]

        await until(lambda: judged("pass"))
        hang_up(run, tree | {"processors": STRICT})
        await run.says("reloaded: processors", times=2)
        await until(lambda: judged("fail"))
        page = await run.status()
        assert [process["restarts"] for process in page["processes"].values()] == [0, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("proxy: [", "line 1"),
        ("", "is empty"),
        ("proxy: {upstreams: {llm: {url: http://h}}}\nprocessors: {latency: {max_duration: -1}}", "max_duration"),
        ("proxy: {upstreams: {llm: {url: http://h}}}\nprocessors: {latncy: {}}", "did you mean latency?"),
        ("processors: {}", "proxy: is missing"),
    ],
)
async def test_an_invalid_file_changes_nothing_and_says_why(
    tmp_path: Path, constant: ScriptedUpstream, text: str, reason: str
) -> None:
    async with running(tmp_path, constant.url, processors=LENIENT | {"refusal": {}}) as run:
        before = await one_call(run, 1)
        hang_up(run, text)
        await run.says("not reloaded: ")
        (line,) = (line for line in run.logged().splitlines() if "not reloaded: " in line)
        assert reason in line
        assert await one_call(run, 2) == before


async def test_a_changed_proxy_section_needs_a_restart_and_says_so(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        moved = run.tree | {"proxy": run.tree["proxy"] | {"listen": "127.0.0.1:1"}, "processors": LENIENT}
        hang_up(run, moved)
        await run.says("proxy has changed: that needs a restart")
        await run.says("reloaded: processors")
        assert await one_call(run, 1)

"""Sidelight about itself, in whole runs: the health page, `sidelight status`, and metrics that add up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidelight.demo import free_addresses
from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.running import Running, running, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

ASKED = 20


async def ask(run: Running, count: int) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.post(f"{run.url}/v1/chat/completions", json={"model": "m", "messages": []}) as answer:
                await answer.read()


async def command(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidelight", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_health_page_tells_each_component_and_sums_that_add_up(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    async with OtlpReceiver() as receiver:
        receiver.always = lambda signal: Reply(status=503) if signal == "traces" else None
        exporters = {"otlp": {"endpoint": receiver.endpoint}, "store": {"path": str(tmp_path / "store.db")}}
        async with running(tmp_path, constant.url, exporters=exporters) as run:
            await ask(run, ASKED)
            await run.settled(ASKED)

            async def ailing() -> bool:
                component = (await run.status()).get("components", {}).get("exporters.otlp", {})
                return component.get("status") == "StatusRecoverableError"

            await until(ailing)
            page = await run.status()
            assert page["serving"]
            assert "HTTP 503" in page["components"]["exporters.otlp"]["error"]
            assert page["components"]["journal"]["status"] == "StatusOK"
            receiver.always = lambda signal: None

            async def delivered() -> bool:
                page = await run.status()
                well = page["components"]["exporters.otlp"]["status"] == "StatusOK"
                return well and page["counts"]["exporters"]["otlp"]["sent"] == ASKED

            await until(delivered)
            counts = (await run.status())["counts"]
    assert counts["requests"] == counts["captures"] == counts["accepted"] == counts["done"] == ASKED
    assert (counts["active_requests"], counts["refused"], counts["pending"], counts["coverage"]) == (0, {}, 0, 1.0)
    assert counts["evaluators"]["refusal"] == {"pass": ASKED}


async def test_status_tells_people_and_scripts_what_the_page_says(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with running(tmp_path, constant.url) as run:
        await ask(run, 3)
        await run.settled(3)

        async def told() -> bool:
            return bool((await run.status()).get("counts", {}).get("done") == 3)

        await until(told)
        code, text = await command("status", "--config", str(run.config))
        assert (code, "Sidelight is serving." in text) == (0, True)
        assert "3 requests" in text
        code, text = await command("status", "--json", "--health", run.tree["service"]["health"])
        assert (code, json.loads(text)["counts"]["done"]) == (0, 3)
    code, text = await command("status", "--config", str(run.config))
    assert (code, text.startswith("Nothing answers on")) == (1, True)


async def test_every_process_is_measured_and_cpu_time_outlives_a_restart(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    exporters = {"prometheus": {"listen": address}, "store": {"path": str(tmp_path / "store.db")}}

    async def read(name: str) -> dict[str, float]:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as page:
                families = list(text_string_to_metric_families(await page.text()))
        except aiohttp.ClientError:
            return {}
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return {sample.labels.get("process", ""): sample.value for sample in samples}

    async with running(tmp_path, constant.url, exporters=exporters, proxy={"workers": 2}) as run:
        await ask(run, ASKED)
        await run.settled(ASKED)
        for name in ("memory_bytes", "uptime_seconds", "cpu_time_seconds_total"):
            told = await read(f"sidelight_process_{name}")
            assert told.keys() == {"supervisor", "pipeline", "evaluator", "proxy 0", "proxy 1"}, name
            assert min(told.values()) > 0
        lag = await read("sidelight_loop_lag_seconds")
        assert lag.keys() == {"pipeline", "proxy 0", "proxy 1"}
        assert all(0 <= late < 10 for late in lag.values())
        assert await read("sidelight_proxy_overhead_seconds_count") == {"": ASKED}
        assert await read("sidelight_exchange_delay_seconds_count") == {"": ASKED}
        before = (await read("sidelight_process_cpu_time_seconds_total"))["evaluator"]
        killed = run.pid("evaluator")
        os.kill(killed, signal.SIGKILL)
        await ask(run, 1)  # its death is noticed when there is work
        await run.settled(ASKED + 1)
        await until(lambda: run.pids("evaluator") not in ([], [killed]))

        async def replaced() -> bool:
            return "evaluator" in await read("sidelight_process_memory_bytes")

        await until(replaced)
        assert (await read("sidelight_process_cpu_time_seconds_total"))["evaluator"] >= before


async def test_doctor_examines_a_sidelight_that_runs(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with OtlpReceiver() as receiver:
        exporters = {"otlp": {"endpoint": receiver.endpoint}, "store": {"path": str(tmp_path / "store.db")}}
        async with running(tmp_path, constant.url, exporters=exporters) as run:
            code, text = await command("doctor", "--config", str(run.config))
    assert code == 0, text
    assert "it runs on" in text
    assert any(span["name"] == "chat sidelight-doctor" for span in receiver.spans)

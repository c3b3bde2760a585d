"""The whole demo: its report adds up, and nothing stays behind however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from sidelight.demo.traffic import planned
from tests.support.otlp_receiver import OtlpReceiver

CALLS = 60
FAILING = {  # evaluator → the scenarios it must fail, and nothing else, but that a busy machine is slow of its own
    "json_valid": {"broken_json"},
    "latency": {"slow"},
    "pii": {"pii"},
    "refusal": {"refusal", "refusal_in_words"},
    "repetition": {"repetition"},
    "tool_arguments": {"wrong_arguments"},
    "truncation": {"max_tokens", "cut", "leaves"},
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


class Demo:
    """A demo whose temporary files are in `folder` and whose processes, children and all, carry a mark."""

    def __init__(self, process: Process, folder: Path, mark: str) -> None:
        self.process = process
        self.folder = folder
        self.mark = mark

    async def says(self, beginning: str) -> None:
        """Wait for the line."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.decode().startswith(beginning):
                return
        raise AssertionError(f"the demo ended without saying {beginning!r}")

    def left_behind(self) -> list[str]:
        """Files in the folder, and processes with the mark."""
        return [*map(str, self.folder.iterdir()), *processes_with(self.mark)]


def processes_with(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@asynccontextmanager
async def a_demo(folder: Path, *options: str) -> AsyncIterator[Demo]:
    mark = f"DEMO_UNDER_TEST={uuid4().hex}"
    name, _, value = mark.partition("=")
    environment = os.environ | {"TMPDIR": str(folder), "COLUMNS": "80", name: value}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidelight", "demo", *options, stdout=PIPE, stderr=STDOUT, env=environment
    )
    try:
        yield Demo(process, folder, mark)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_report_adds_up_and_nothing_is_left_behind(tmp_path: Path) -> None:
    async with a_demo(tmp_path, "--calls", str(CALLS)) as demo:
        output, _ = await demo.process.communicate()
        text = output.decode()
        assert demo.process.returncode == 0, text
        rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
        assert rows["all"][0] == str(CALLS)
        for evaluator, scenarios in FAILING.items():
            assert len(rows[evaluator]) == 6, text
            passed, failed, skipped, errors, _, effective = rows[evaluator]
            assert int(passed) > 0, text
            assert int(passed) + int(failed) + int(skipped) == CALLS
            assert errors == "0"
            assert int(effective) == int(passed) + int(failed)
            expected = sum(call.scenario in scenarios for call in planned(CALLS))
            assert int(failed) == expected or (evaluator == "latency" and int(failed) > expected), text
        assert f"{CALLS} calls sent, {CALLS} evaluated, 0 pending, {7 * CALLS} outcomes: the numbers add up." in text
        assert "Three that failed" in text
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= 80
        assert await asyncio.to_thread(demo.left_behind) == []


@pytest.mark.parametrize("moment", ["Starting", "Sending"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    async with a_demo(tmp_path, "--calls", "2000") as demo:
        await demo.says(moment)
        demo.process.send_signal(number)
        await demo.process.communicate()
        assert demo.process.returncode not in (0, None)
        assert await asyncio.to_thread(demo.left_behind) == []


async def test_a_backend_that_is_named_is_told_every_call(tmp_path: Path) -> None:
    async with OtlpReceiver() as receiver, a_demo(tmp_path, "--calls", "20", "--otlp", receiver.endpoint) as demo:
        output, _ = await demo.process.communicate()
        text = output.decode()
        assert demo.process.returncode == 0, text
        assert f"{receiver.endpoint} was told everything" in text
        assert sum(span["kind"] == "SERVER" for span in receiver.spans) == 20
        assert {request.signal for request in receiver.requests} == {"traces", "metrics", "logs"}


async def test_a_kept_demo_leaves_its_store_and_no_process(tmp_path: Path) -> None:
    async with a_demo(tmp_path, "--calls", "5", "--keep") as demo:
        output, _ = await demo.process.communicate()
        assert demo.process.returncode == 0, output.decode()
        assert await asyncio.to_thread(processes_with, demo.mark) == []
        assert await asyncio.to_thread(lambda: list(tmp_path.glob("sidelight-demo-*/sidelight.db")))

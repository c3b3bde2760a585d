"""What every child does first, and how it hears from its supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import orjson
import pytest

from sidelight.process import FORMAT, OneLine, first_of, report

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x1b[31mred", "a\x00b", "a\u2028b", "é"])
def test_a_log_record_is_one_line_of_plain_characters(text: str) -> None:
    record = logging.LogRecord("sidelight", logging.INFO, "", 0, "%s", (text,), None)
    line = OneLine(FORMAT).format(record)
    assert line.isascii()
    assert line.isprintable()


def test_a_traceback_is_one_line_too() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("sidelight", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    line = OneLine(FORMAT).format(record)
    assert "ValueError" in line
    assert "\n" not in line


def test_a_report_is_one_json_line() -> None:
    reader, writer = os.pipe()
    report(writer, error="one\ntwo")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert [orjson.loads(line) for line in pipe] == [{"error": "one\ntwo"}]


async def test_waiting_ends_with_what_was_waited_for_or_with_the_time() -> None:
    event = asyncio.Event()
    await first_of(event.wait(), 0.01)
    event.set()
    await first_of(event.wait(), 60)


CHILD = """
import os, sys
from sidelight.process import {setup}
{body}
print("ready", flush=True)
import signal; signal.pause()
"""


async def python(source: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", source, cwd=ROOT, stdin=PIPE, stdout=PIPE)


async def test_a_child_ignores_ctrl_c_and_ends_by_sigterm() -> None:
    child = await python(CHILD.format(setup="set_up_child", body="set_up_child(os.getppid())"))
    assert child.stdout
    assert await child.stdout.readline() == b"ready\n"
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        child.send_signal(number)
    assert await child.wait() == -signal.SIGTERM


async def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    child = await python(CHILD.format(setup="set_up_child", body="set_up_child(os.getppid() + 1)"))
    stdout, _ = await child.communicate()
    assert (stdout, child.returncode) == (b"", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death signal is Linux's")
async def test_nobody_outlives_the_parent() -> None:
    inner = CHILD.format(setup="set_up_child", body="set_up_child(os.getppid()); print(os.getpid(), flush=True)")
    middle = await python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])")
    assert middle.stdout
    pid = int(await middle.stdout.readline())
    assert await middle.stdout.readline() == b"ready\n"
    os.kill(pid, 0)
    middle.kill()
    await middle.communicate()  # the pipe ends when the last process that holds it is gone
    assert middle.returncode == -signal.SIGKILL


async def test_threads_that_run_already_yield_too() -> None:
    body = (
        "import threading; started = threading.Event(); done = threading.Event(); "
        "thread = threading.Thread(target=lambda: (started.set(), done.wait()), daemon=True); "
        "thread.start(); started.wait(); run_in_the_gaps(); "
        "print(os.sched_getscheduler(thread.native_id) == os.SCHED_IDLE, flush=True)"
    )
    child = await python(CHILD.format(setup="run_in_the_gaps", body=body))
    assert child.stdout
    assert (await child.stdout.readline()).split() == [b"True"]
    child.kill()
    await child.communicate()


async def test_an_evaluator_yields_to_everybody_and_has_a_limit() -> None:
    body = (
        "run_in_the_gaps(); limit_memory(2**30); import resource; "
        "print(os.sched_getscheduler(0) == os.SCHED_IDLE, resource.getrlimit(resource.RLIMIT_AS)[0], flush=True)"
    )
    child = await python(CHILD.format(setup="limit_memory, run_in_the_gaps", body=body))
    assert child.stdout
    assert (await child.stdout.readline()).split() == [b"True", b"1073741824"]
    child.kill()
    await child.communicate()

"""Children are gone when their block ends, whatever they do and however it ends."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from sidelight.demo import children
from sidelight.demo.children import ChildFailed, first_line, python_child, ready

LISTENING = ("sidelight.demo.simulator", "--port", "0")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def a_stubborn_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that ignores SIGTERM and has a child of its own, whose pid it says."""
    source = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()\n"
    )
    await asyncio.to_thread((folder / "stubborn_module.py").write_text, source)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "stubborn_module"


async def test_a_child_says_its_line_and_is_gone_after(tmp_path: Path) -> None:
    async with python_child(*LISTENING, log=tmp_path / "log", piped=True) as process:
        assert (await first_line(process, 30)).startswith("listening on http://127.0.0.1:")
    assert process.returncode == 0


async def test_a_child_is_gone_when_the_block_is_cancelled(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def hold() -> int:
        async with python_child(*LISTENING, log=tmp_path / "log", piped=True) as process:
            pids.append(process.pid)
            started.set()
            await asyncio.Event().wait()
        return 0

    pids: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hold())
        await started.wait()
        task.cancel()
    assert task.cancelled()
    assert not is_running(pids[0])


async def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "STOP_TIMEOUT", 0.2)
    name = await a_stubborn_module(tmp_path, monkeypatch)
    async with python_child(name, log=tmp_path / "log", piped=True) as process:
        assert is_running(int(await first_line(process, 30)))
    assert process.returncode == -9
    assert process.stdout is not None
    assert await process.stdout.read() == b""  # the end comes when the last process that holds the pipe is gone


async def test_a_child_that_ends_is_a_failure_with_its_exit_code(tmp_path: Path) -> None:
    async with python_child("no_such_module", log=tmp_path / "log") as process:
        with pytest.raises(ChildFailed, match="ended with exit code 1"):
            await ready(process, unanswered_url(), 30)
    assert "No module named" in await asyncio.to_thread((tmp_path / "log").read_text)


async def test_a_child_that_says_nothing_is_a_failure(tmp_path: Path) -> None:
    async with python_child("no_such_module", log=tmp_path / "log", piped=True) as process:
        with pytest.raises(ChildFailed, match="did not start"):
            await first_line(process, 30)


async def test_a_child_that_is_never_ready_is_a_failure(tmp_path: Path) -> None:
    async with python_child(*LISTENING, log=tmp_path / "log") as process:
        with pytest.raises(ChildFailed, match=r"not ready after 0\.2 s"):
            await ready(process, unanswered_url(), 0.2)


def unanswered_url() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}/"

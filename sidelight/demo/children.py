"""Child processes that never outlive the block they were started in."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

STOP_TIMEOUT = 15.0  # s between SIGTERM and SIGKILL
POLL = 0.05  # s


class ChildFailed(Exception):
    """A child ended, or was not ready in time."""


@asynccontextmanager
async def python_child(*arguments: str, log: Path, piped: bool = False) -> AsyncIterator[Process]:
    """`python -m …`, writing to `log`, or standard output to a pipe; gone after, with its own children.

    It leads a session of its own, so that Ctrl-C reaches only us and we stop it in order.
    """
    with await asyncio.to_thread(log.open, "ab") as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE if piped else written,
            stderr=written,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: Process) -> None:
    """SIGTERM, then SIGKILL for whatever of its process group is still there."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def first_line(process: Process, patience: float) -> str:
    """What the child says first on standard output; raises ChildFailed when it says nothing in `patience` seconds."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        raise ChildFailed("The simulated endpoint did not start.")
    return line.decode().strip()


async def ready(process: Process, url: str, patience: float) -> None:
    """Wait until `url` answers 200; raises ChildFailed when the child ends first or `patience` seconds pass."""
    try:
        async with asyncio.timeout(patience), aiohttp.ClientSession() as session:
            while process.returncode is None:
                if await answers_ok(session, url):
                    return
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise ChildFailed(f"Sidelight was not ready after {patience:g} s.") from None
    raise ChildFailed(f"Sidelight ended with exit code {process.returncode}.")


async def answers_ok(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False

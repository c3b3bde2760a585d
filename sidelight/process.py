"""What every child process does first, and how it talks with its supervisor."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import orjson

PR_SET_PDEATHSIG: Final = 1
REPORT_EVERY: Final = 1.0  # seconds
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Every record on one line, whatever a client put into it."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).encode("unicode_escape", "backslashreplace").decode("ascii")


def set_up_logging(level: str) -> None:
    """To stderr, one line a record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def set_up_child(parent: int) -> None:
    """Ctrl-C is the supervisor's business, and nobody outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)  # it died before the line above


def run_in_the_gaps() -> None:
    """Yield to everybody on this host: the clients, the proxy and the application come first."""
    if hasattr(os, "SCHED_IDLE"):
        for thread in os.listdir("/proc/self/task"):  # the class is a thread's, and some have been started
            with suppress(ProcessLookupError):  # and some may have ended meanwhile
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))


def limit_memory(max_memory: int) -> None:
    """Fail in this process before the host is starved; 0 is no limit."""
    if max_memory:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))


def report(status_fd: int, **message: Any) -> None:
    """One JSON line to the supervisor."""
    os.write(status_fd, orjson.dumps(message) + b"\n")


async def report_often(status_fd: int, describe: Callable[[], dict[str, Any]]) -> None:
    """One JSON line every second, but none while the supervisor has not read the last: it may hang, we may not."""
    pipe = os.fdopen(os.dup(status_fd), "wb", 0)
    transport, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, pipe)
    while not transport.is_closing():
        if not transport.get_write_buffer_size():
            transport.write(orjson.dumps(describe()) + b"\n")
        await asyncio.sleep(REPORT_EVERY)


async def start_child(
    name: str, setup: dict[str, Any], fds: tuple[int, ...], *, stop_with_stdin: bool = True
) -> asyncio.subprocess.Process:
    """`python -m sidelight.child ROLE [NUMBER]`, told its setup on stdin; `-P` keeps the working directory off its
    path. Its linear algebra has one thread, unless somebody says more: further ones would spin while they wait."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "sidelight.child", *name.split()),
        stdin=asyncio.subprocess.PIPE,
        pass_fds=fds,
        env={"OPENBLAS_NUM_THREADS": "1"} | os.environ,  # noqa: TID251
    )
    assert process.stdin
    process.stdin.write(orjson.dumps(setup | {"parent": os.getpid()}) + b"\n")
    if not stop_with_stdin:
        process.stdin.close()
    return process


async def read_lines(on_line: Callable[[dict[str, Any]], Awaitable[None]], on_end: Callable[[], None]) -> None:
    """Further lines of the supervisor on stdin; its end means the supervisor has gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await on_line(orjson.loads(line))
    on_end()


async def ignore(_: dict[str, Any]) -> None:
    """A line that is not for this process."""


def on_sigterm(second: Callable[[], None]) -> asyncio.Event:
    """Set by the first SIGTERM; the second calls `second`."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            second()
        stopping.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    return stopping


async def first_of(awaitable: Any, seconds: float) -> None:
    """Wait for it, but not longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError:
        pass

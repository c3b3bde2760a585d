"""`sidelight demo`: a simulated endpoint, Sidelight in front of it, a few hundred calls, and what was found. Offline.

Everything lives in one temporary folder and two child processes; both are gone when `run_demo` returns or is cancelled.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.text import Text

from pipeline.records import Json
from sidelight.demo import report, traffic
from sidelight.demo.children import POLL, ChildFailed, first_line, python_child, ready
from store.queries import LedgerSums, ledger_sums, opened

SPEED = 10.0  # how many times faster than life the endpoint answers
CONCURRENCY = 16
START_TIMEOUT = 30.0  # s, each child
SETTLE_TIMEOUT = 30.0  # s after the last call until everything is evaluated
TERMINATED = 128 + signal.SIGTERM
LOG = "sidelight.log"
SERVICE = "sidelight-demo"
LOG_LINES_SHOWN = 20
SLOW = 1.2  # s; an ordinary answer takes a tenth to a half of that at SPEED


@dataclass(frozen=True, slots=True)
class Place:
    """Where one demo runs."""

    folder: Path
    proxy: str  # host:port
    health: str  # host:port
    otlp: str | None = None  # a collector or backend that is told everything

    @property
    def store(self) -> Path:
        return self.folder / "sidelight.db"

    @property
    def config(self) -> Path:
        return self.folder / "sidelight.yaml"

    @property
    def log(self) -> Path:
        return self.folder / LOG


async def run_demo(calls: int, keep: bool, otlp: str | None, console: Console) -> int:
    """Run the demo with `calls` calls and print its report; `keep` leaves the temporary folder in place.

    `otlp` is the endpoint of a collector or backend, over HTTP, that gets all the telemetry.

    0 when every call sent is an exchange in the store with one outcome of each evaluator, 1 when not or when a child
    did not start, 143 after SIGTERM.
    """
    folder = Path(tempfile.mkdtemp(prefix="sidelight-demo-"))
    try:
        with terminable() as terminated:
            proxy, health = free_addresses(2)
            return await demonstrated(calls, keep, console, Place(folder, proxy, health, otlp))
    except ChildFailed as failure:
        console.print(Text(f"{failure}\n{log_end(folder)}"))
        return 1
    except asyncio.CancelledError:
        if terminated.is_set():
            return TERMINATED
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def demonstrated(calls: int, keep: bool, console: Console, place: Place) -> int:
    console.print("Starting a simulated LLM endpoint, and Sidelight in front of it.")
    simulator = ("sidelight.demo.simulator", "--port", "0", "--speed", str(SPEED))
    async with python_child(*simulator, log=place.log, piped=True) as endpoint:
        upstream = (await first_line(endpoint, START_TIMEOUT)).removeprefix("listening on ")
        place.config.write_text(yaml.safe_dump(config(upstream, place), sort_keys=False))
        async with python_child("sidelight", "run", "--config", str(place.config), log=place.log) as sidelight:
            await ready(sidelight, f"http://{place.health}/", START_TIMEOUT)
            await send(calls, console, place)
            sums = await settled(place.store, calls)
        return conclude(console, place, calls, sums, keep)


async def send(calls: int, console: Console, place: Place) -> None:
    console.print(f"Sending {calls} calls to http://{place.proxy} in the formats of two providers.")
    with report.progress(console, "calls", calls) as advance:
        await traffic.send(f"http://{place.proxy}", calls, CONCURRENCY, advance)


def config(upstream: str, place: Place) -> Json:
    """Sidelight's settings for the demo: keep everything, ask all the default evaluators."""
    backend = {"otlp": {"endpoint": place.otlp}} if place.otlp else {}
    return {
        "proxy": {"listen": place.proxy, "upstreams": {"simulator": {"url": upstream}}},
        "processors": {
            "redact": {"content": "redacted"},
            "sample": {"ratio": 1.0},
            "refusal": {},
            "truncation": {},
            "json_valid": {},
            "repetition": {},
            "pii": {},
            "latency": {"max_duration": SLOW, "max_time_to_first_chunk": SLOW},
            "tool_arguments": {},
        },
        "exporters": {"store": {"path": str(place.store)}, **backend},
        "service": {"name": SERVICE, "health": place.health},
    }


async def settled(store: Path, calls: int) -> LedgerSums | None:
    """The ledger's sums once all calls are done and none is pending, or when patience ends; None: there is no store."""
    sums: LedgerSums | None = None
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT):
            while sums is None or sums.pending or sums.done < calls:
                await asyncio.sleep(POLL)
                sums = await asyncio.to_thread(sums_in, store)
    except TimeoutError:
        pass
    return sums


def sums_in(store: Path) -> LedgerSums | None:
    try:
        with opened(store) as db:
            return ledger_sums(db)
    except (FileNotFoundError, sqlite3.OperationalError):  # not created yet, or not yet with its tables
        return None


def conclude(console: Console, place: Place, calls: int, sums: LedgerSums | None, keep: bool) -> int:
    """Print the report and the balance; the exit code."""
    if sums is None:
        raise ChildFailed("Sidelight wrote no store.")
    report.print_report(console, place.store, keep)
    if place.otlp:
        report.print_where_to_look(console, place.otlp, SERVICE)
    outcomes = sum(sums.outcomes.values())
    adds_up = sums.done == calls and not sums.pending and sums.balanced
    verdict = "the numbers add up" if adds_up else "the numbers do not add up"
    console.print(
        f"\n{calls:,} calls sent, {sums.done:,} evaluated, {sums.pending:,} pending, {outcomes:,} outcomes: {verdict}.",
        highlight=False,
    )
    return 0 if adds_up else 1


def log_end(folder: Path) -> str:
    """The last lines that the children wrote."""
    return "\n".join((folder / LOG).read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def free_addresses(count: int) -> list[str]:
    """As many different loopback addresses that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


@contextmanager
def terminable() -> Iterator[asyncio.Event]:
    """Within, SIGTERM and SIGHUP cancel the current task, as Ctrl-C does; the event says that one came."""
    came = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def terminate() -> None:
        came.set()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, terminate)
    try:
        yield came
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

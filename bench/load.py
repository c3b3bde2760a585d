"""The load, as a process of its own: closed loop, open loop, paced streams.

`python -m bench.load closed|open|streams …`. Prints `begin` when the measured window opens, `end` when it closes,
and last one line of JSON with what was seen, so that whoever watches can read the processes' clocks in between.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from bench.http1 import INCOMPLETE, message_end
from bench.measure import percentile
from bench.payloads import STAMP, request

RAMP = 1.0  # s, over which streams are started
AFTERGLOW = 0.4  # s after the window in which streams go on, for whoever reads memory now
PATIENCE = 2.0  # s for the last answers of an open loop
MS = 1e6  # ns


def announce(word: str) -> None:
    print(word, flush=True)


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return cast("str", parts.hostname), cast("int", parts.port)


def request_for(url: str, stream: str | None = None) -> bytes:
    parts = urlsplit(url)
    return request(parts.netloc, parts.path, stream)


class Client(asyncio.Protocol):
    """One keep-alive connection that carries one request at a time; `done(client, ok)` after each."""

    transport: asyncio.Transport

    def __init__(self, done: Callable[[Client, bool], None]) -> None:
        self.done = done
        self.busy = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, data: bytes) -> None:
        self.busy = True
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if message_end(self.buffer) != INCOMPLETE:
            ok = self.buffer.startswith(b"HTTP/1.1 200")
            self.buffer = b""
            self.finish(ok)

    def connection_lost(self, error: Exception | None) -> None:
        if self.busy:
            self.finish(False)

    def finish(self, ok: bool) -> None:
        self.busy = False
        self.done(self, ok)


async def connected(url: str, protocol: Client) -> Client:
    await asyncio.get_running_loop().create_connection(lambda: protocol, *address(url))
    return protocol


class ClosedLoop:
    """`concurrency` connections, each sending its next request when the last is answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.request = request_for(url)
        self.counts = Counter[bool]()
        self.latencies: list[int] = []
        self.sent: dict[Client, int] = {}

    def next(self, client: Client) -> None:
        self.sent[client] = time.monotonic_ns()
        client.send(self.request)

    def done(self, client: Client, ok: bool) -> None:
        self.counts[ok] += 1
        self.latencies.append(time.monotonic_ns() - self.sent[client])
        if not client.transport.is_closing():
            self.next(client)

    async def run(self, concurrency: int, seconds: float) -> dict[str, Any]:
        """Requests answered, failures, p50 and p99 in ms."""
        for _ in range(concurrency):
            self.next(await connected(self.url, Client(self.done)))
        self.counts.clear()
        self.latencies.clear()
        announce("begin")
        await asyncio.sleep(seconds)
        announce("end")
        return {"requests": self.counts[True], "failed": self.counts[False]} | in_ms(self.latencies)


class Arrivals:
    """One open loop's requests to one target: each on an idle connection, or a new one; timed from when it was due."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.request = request_for(url)
        self.idle: list[Client] = []
        self.due: dict[Client, int] = {}
        self.opening = set[asyncio.Task[None]]()
        self.latencies: list[int] = []
        self.sent = 0
        self.counted_from = 0

    async def open(self, client: Client) -> None:
        try:
            await connected(self.url, client)
        except OSError:
            del self.due[client]
        else:
            client.send(self.request)

    def arrive(self, due: int) -> None:
        self.sent += due >= self.counted_from
        while self.idle:
            client = self.idle.pop()
            if not client.transport.is_closing():
                self.due[client] = due
                client.send(self.request)
                return
        client = Client(self.done)
        self.due[client] = due
        task = asyncio.get_running_loop().create_task(self.open(client))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    def done(self, client: Client, ok: bool) -> None:
        due = self.due.pop(client)
        if ok:
            self.idle.append(client)
            if due >= self.counted_from:
                self.latencies.append(time.monotonic_ns() - due)

    def count_from(self, now: int) -> None:
        """Forgets what was due before `now`, in monotonic ns."""
        self.counted_from = now
        self.latencies.clear()
        self.sent = 0

    def told(self) -> dict[str, Any]:
        return {"requests": self.sent, "failed": self.sent - len(self.latencies)} | in_ms(self.latencies)


class Ticks:
    """A kernel timer that is right to microseconds, where an event loop's own is right to a millisecond."""

    def __init__(self, interval: int, tick: Callable[[int], None]) -> None:
        """Calls `tick(due)` every `interval` ns from now; `due` in monotonic ns, missed ticks included."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        self.interval = interval
        self.tick = tick
        self.due = time.monotonic_ns() + interval
        spec = (ctypes.c_long * 4)(0, interval, *divmod(self.due, 10**9))
        libc.timerfd_settime(self.fd, 1, ctypes.byref(spec), None)
        asyncio.get_running_loop().add_reader(self.fd, self.fire)

    def fire(self) -> None:
        for _ in range(int.from_bytes(os.read(self.fd, 8), "little")):
            self.tick(self.due)
            self.due += self.interval

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)


async def open_loop(targets: Mapping[str, str], rate: float, seconds: float, warm_up: float) -> dict[str, Any]:
    """`rate` requests/s to each target by turns, whatever the answers do; figures by target."""
    arrivals = {name: Arrivals(url) for name, url in targets.items()}
    turns = list(arrivals.values())
    turn = 0

    def tick(due: int) -> None:
        nonlocal turn
        turns[turn % len(turns)].arrive(due)
        turn += 1

    ticks = Ticks(int(1e9 / rate / len(turns)), tick)
    await asyncio.sleep(warm_up)
    now = time.monotonic_ns()
    for each in turns:
        each.count_from(now)
    announce("begin")
    await asyncio.sleep(seconds)
    ticks.stop()
    await all_answered(turns)
    announce("end")
    return {name: each.told() for name, each in arrivals.items()}


async def all_answered(turns: list[Arrivals]) -> None:
    """Until nothing is owed, or patience ends."""
    patience_ends = time.monotonic() + PATIENCE
    while any(each.due for each in turns) and time.monotonic() < patience_ends:
        await asyncio.sleep(0.01)


class Streams:
    """`count` clients, each reading one paced stream after the other."""

    def __init__(self, url: str, chunks: int, gap: int) -> None:
        """`gap` in ms between the chunks of one stream."""
        self.url = url
        self.request = request_for(url, f"{chunks}/{gap}")
        self.chunks = chunks + 1  # the upstream adds one with the finish reason
        self.gap = int(gap * MS)
        self.readers: list[StreamReader] = []
        self.first: list[int] = []
        self.delays: list[int] = []
        self.in_time = 0
        self.failed = 0

    async def run(self, count: int, seconds: float) -> dict[str, Any]:
        """Chunks delivered, offered and in time, and p50 and p99 of TTFT and of the chunks' delay, in ms."""
        for _ in range(count):
            self.readers.append(StreamReader(self))
            await asyncio.get_running_loop().create_connection(lambda: self.readers[-1], *address(self.url))
            await asyncio.sleep(RAMP / count)
        self.forget()
        announce("begin")
        await asyncio.sleep(seconds)
        told = self.told(time.monotonic_ns())
        announce("end")
        await asyncio.sleep(AFTERGLOW)
        return told

    def forget(self) -> None:
        self.first.clear()
        self.delays.clear()
        self.in_time = self.failed = 0

    def told(self, now: int) -> dict[str, Any]:
        return {
            "chunks": len(self.delays),
            "offered": len(self.delays) + sum(reader.overdue(now) for reader in self.readers),
            "in_time": self.in_time,
            "failed": self.failed,
            **in_ms(self.first, "ttft_"),
            **in_ms(self.delays, "delay_"),
        }


class StreamReader(asyncio.Protocol):
    """Reads streams on one connection, one after the other, and notes when each chunk came.

    A chunk's delay counts from when it was sent; it is in time when that is less than the gap between chunks.
    """

    transport: asyncio.Transport

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.rest = b""
        self.asked_at = 0
        self.seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        self.rest = b""
        self.seen = 0
        self.asked_at = time.monotonic_ns()
        self.transport.write(self.streams.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        whole, _, self.rest = (self.rest + data).rpartition(b"\n\n")
        for stamp in STAMP.findall(whole):
            self.note(now, int(stamp))
        if self.rest.endswith(b"\r\n0\r\n\r\n"):
            self.ask()

    def note(self, now: int, sent_at: int) -> None:
        streams = self.streams
        if not self.seen:
            streams.first.append(now - self.asked_at)
        self.seen += 1
        streams.delays.append(now - sent_at)
        streams.in_time += now - sent_at < streams.gap

    def overdue(self, now: int) -> int:
        """How many chunks should have been here by now."""
        return max(0, min(self.streams.chunks, (now - self.asked_at) // self.streams.gap) - self.seen)

    def connection_lost(self, error: Exception | None) -> None:
        self.streams.failed += 1


def in_ms(nanoseconds: list[int], prefix: str = "") -> dict[str, float | None]:
    return {f"{prefix}p{share}_ms": percentile(nanoseconds, share / 100, MS) for share in (50, 99)}


def named_url(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    return name, url


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    closed, arrivals, streams = (kinds.add_parser(kind) for kind in ("closed", "open", "streams"))
    for kind in (closed, streams):
        kind.add_argument("--url", required=True)
    for kind in (closed, arrivals, streams):
        kind.add_argument("--seconds", type=float, default=3.0)
    closed.add_argument("--concurrency", type=int, default=64)
    arrivals.add_argument("--target", type=named_url, action="append", required=True, metavar="NAME=URL")
    arrivals.add_argument("--rate", type=float, default=200.0)
    arrivals.add_argument("--warm-up", type=float, default=0.5)
    streams.add_argument("--count", type=int, default=500)
    streams.add_argument("--chunks", type=int, default=64)
    streams.add_argument("--gap", type=int, default=20, help="ms")
    return parser.parse_args()


async def run(asked: argparse.Namespace) -> dict[str, Any]:
    if asked.kind == "closed":
        return await ClosedLoop(asked.url).run(asked.concurrency, asked.seconds)
    if asked.kind == "open":
        return await open_loop(dict(asked.target), asked.rate, asked.seconds, asked.warm_up)
    return await Streams(asked.url, asked.chunks, asked.gap).run(asked.count, asked.seconds)


if __name__ == "__main__":
    announce(json.dumps(uvloop.run(run(options()))))

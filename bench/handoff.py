"""What handing one capture to the pipeline costs the proxy: `python -m bench.handoff`.

The same loop runs with four sinks: none, the ring as it is configured, a ring too large for the cache, and a Unix
socket that is sent one packet for each capture without waiting. Every turn of the loop encodes some frames and offers
them; a process on another core takes them out. The figures are the CPU of the offering thread, without what the loop
costs with no sink, so the doorbell and the waking of the reader are in it; and the same with the reader's CPU added.
Sinks take turns in each round, and the median of the rounds is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import select
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess

import msgspec
import uvloop

from bench.machine import HARNESS_CPU, PROXY_CPU, cpu_of, described
from bench.pipeline import a_whole_answer
from bench.report import markdown
from config.settings import CaptureLimits
from pipeline import frame
from pipeline.frame import Frame
from pipeline.ring import BELL_INTERVAL, HandOffFds, HandOffReader, HandOffWriter

WARM_UP = 20  # turns
PAUSE = 0.001  # s between turns: long enough for the reader to follow and to fall asleep
READ = 64  # as the runner reads
TURNS = (1, 16, 64)  # captures finished in one turn of the loop
NONE = "none"
LARGE_RING = 64 * 2**20
MAX_RECORD = 2**20
FORK = multiprocessing.get_context("fork")

Offer = Callable[[bytes], bool]


class Sink:
    """Where the records go, and the process that takes them out."""

    refused = 0
    reader: BaseProcess | None = None

    def open(self) -> Offer:
        """Start the reader; what to call with each record."""
        return bool

    def close(self) -> None:
        """End the reader."""

    def reader_cpu(self) -> float:
        """us, since it began."""
        return cpu_of([self.reader.pid]) * 1e6 if self.reader and self.reader.pid else 0.0


class RingSink(Sink):
    def __init__(self, size: int) -> None:
        self.size = size

    def open(self) -> Offer:
        self.fds = HandOffFds.create(self.size, MAX_RECORD)
        self.reader = started(lambda: read_ring(self.fds))
        self.writer = HandOffWriter(self.fds)
        return self.writer.offer

    def close(self) -> None:
        self.refused += sum(self.writer.refused.values())
        ended(self.reader)
        self.fds.close()


class SocketSink(Sink):
    def open(self) -> Offer:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        self.reader = started(lambda: read_socket(self.theirs))
        return self.send

    def send(self, record: bytes) -> bool:
        try:
            self.ours.send(record)
        except BlockingIOError:
            self.refused += 1
            return False
        return True

    def close(self) -> None:
        ended(self.reader)
        self.ours.close()
        self.theirs.close()


def started(work: Callable[[], None]) -> BaseProcess:
    process = FORK.Process(target=lambda: (os.sched_setaffinity(0, {HARNESS_CPU}), work()), daemon=True)
    process.start()
    return process


def ended(process: BaseProcess) -> None:
    process.kill()
    process.join()


def read_ring(fds: HandOffFds) -> None:
    reader = HandOffReader(fds)
    while select.select([reader.bell], [], []):
        reader.hear_bell()
        while reader.read(READ):
            reader.done()


def read_socket(channel: socket.socket) -> None:
    buffer = memoryview(bytearray(MAX_RECORD))
    while size := channel.recv_into(buffer):
        bytes(buffer[:size])


async def run(offer: Offer, record: Frame, turns: int, turn: int) -> None:
    """Encode and offer `turn` frames in each of `turns` turns of the loop."""
    for _ in range(turns):
        for _ in range(turn):
            offer(frame.encode(record))
        await asyncio.sleep(PAUSE)


async def cpu(sink: Sink, record: Frame, turns: int, turn: int) -> tuple[float, float]:
    """us of CPU for each frame: of this thread, and of this thread and the reader."""
    offer = sink.open()
    try:
        await run(offer, record, WARM_UP, turn)
        began, reader_began = time.thread_time_ns(), sink.reader_cpu()
        await run(offer, record, turns, turn)
        own, reader = (time.thread_time_ns() - began) / 1000, sink.reader_cpu() - reader_began
    finally:
        await asyncio.sleep(2 * BELL_INTERVAL)  # the last ring of the bell
        sink.close()
    return own / turns / turn, (own + reader) / turns / turn


Laps = Mapping[tuple[str, int], Sequence[tuple[float, float]]]


def measured(sinks: Mapping[str, Sink], record: Frame, seconds: float, rounds: int) -> Laps:
    """(sink, captures in a turn) → what each round cost."""
    laps: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    turns = int(seconds / PAUSE / rounds / len(TURNS) / len(sinks))
    for _ in range(rounds):
        for turn in TURNS:
            for name, sink in sinks.items():
                laps[name, turn].append(uvloop.run(cpu(sink, record, turns, turn)))
    return laps


def added(laps: Laps, name: str, turn: int) -> tuple[float, float]:
    """What the sink costs more than none: the offering thread, and both; medians over the rounds."""
    pairs = list(zip(laps[name, turn], laps[NONE, turn], strict=True))
    own, both = ([sink[which] - none[which] for sink, none in pairs] for which in (0, 1))
    return round(statistics.median(own), 2), round(statistics.median(both), 2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.handoff", description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {PROXY_CPU})
    encoded = a_whole_answer(1)
    ring = CaptureLimits().ring
    sinks = {
        NONE: Sink(),
        f"ring of {ring >> 20} MiB": RingSink(ring),
        f"ring of {LARGE_RING >> 20} MiB": RingSink(LARGE_RING),
        "Unix socket": SocketSink(),
    }
    laps = measured(sinks, msgspec.msgpack.decode(encoded, type=Frame), asked.seconds, asked.rounds)
    costs = {name: {turn: added(laps, name, turn) for turn in TURNS} for name in sinks if name != NONE}
    lines = [
        [name, *(f"{own:.2f} / {both:.2f}" for own, both in row.values()), str(sinks[name].refused)]
        for name, row in costs.items()
    ]
    print(f"us of CPU to hand over {len(encoded)} bytes: offering thread / with the reader\n")
    print(markdown(["sink", *(f"{turn} in a turn" for turn in TURNS), "refused"], lines))
    print(json.dumps(described()))


if __name__ == "__main__":
    main()

"""An evaluator process whose evaluators misbehave when an exchange tells them to.

`python -m tests.support.worker_process CHANNEL HEARTBEAT EVALUATOR…`; an exchange's request model names who does what,
like `second:hang`. Everyone else passes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.evaluate import Heartbeat, serve
from pipeline.records import Evaluation, Exchange

MEMORY = 2**30


def raises() -> None:
    raise ValueError("told to")


def hang() -> None:
    while True:
        pass


def leave() -> None:
    os._exit(3)


def segfault() -> None:
    ctypes.string_at(0)


def allocate() -> None:
    bytearray(4 * MEMORY)


def exit_politely() -> None:
    sys.exit(1)


def kill_parent_channel() -> None:
    os.closerange(3, 64)
    os._exit(0)


ACTIONS: Mapping[str, Callable[[], None]] = {
    "raise": raises,
    "hang": hang,
    "leave": leave,
    "segfault": segfault,
    "allocate": allocate,
    "exit": exit_politely,
    "close": kill_parent_channel,
}


@dataclass(frozen=True)
class Guest:
    """Passes, unless the exchange tells it to do something else."""

    name: str
    requires: ClassVar[tuple[str, ...]] = ()

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        who, _, action = (exchange.request_model or "").partition(":")
        said: Any = (Evaluation(self.name, 1.0, "pass", f"process {os.getpid()}"),)
        if who == self.name:
            if action == "nonsense":
                return (Evaluation(self.name, score_label=5),)  # type: ignore[arg-type]
            ACTIONS[action]()
        return tuple(said)


def main(channel: str, heartbeat: str, *names: str) -> None:
    """Serve these evaluators until the channel closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    page = memoryview(mmap.mmap(int(heartbeat), mmap.PAGESIZE))
    evaluators = {name: Guest(name) for name in names}
    serve(evaluators, socket.socket(fileno=int(channel)), Heartbeat(page[: Heartbeat.SIZE].cast("Q")))


if __name__ == "__main__":
    main(*sys.argv[1:])

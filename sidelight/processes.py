"""What each process of this Sidelight takes: memory, CPU time, and how long it has lived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic, time
from typing import Final, NamedTuple

import psutil

from pipeline.telemetry import Observation, Telemetry

FRESH: Final = 1.0  # seconds: several instruments ask at once, and looking costs a walk over all processes
CHILD: Final = "sidelight.child"


class Seen(NamedTuple):
    """One process when it was looked at."""

    name: str
    memory: int  # bytes, resident
    cpu_time: float  # s, user and system
    uptime: float  # s


class Processes:
    """The supervisor and everything it started; processes of one name are told together."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self._seen: dict[int, Seen] = {}
        self._gone: dict[str, float] = {}  # CPU time of those that have ended: a sum must not fall
        self._looked_at = -FRESH

    def observe(self, telemetry: Telemetry) -> None:
        """Show it in the instruments."""
        telemetry.process_memory.observe(lambda: self._each("memory", sum))
        telemetry.process_cpu_time.observe(self._cpu_time)
        telemetry.process_uptime.observe(lambda: self._each("uptime", min))

    def _cpu_time(self) -> list[Observation]:
        living = {str(dict(attributes)["process"]): value for value, attributes in self._each("cpu_time", sum)}
        names = living.keys() | self._gone.keys()
        return [(living.get(name, 0) + self._gone.get(name, 0), (("process", name),)) for name in names]

    def _each(self, field: str, together: Callable[[Iterable[float]], float]) -> list[Observation]:
        self._look()
        by_name: dict[str, list[float]] = {}
        for seen in self._seen.values():
            by_name.setdefault(seen.name, []).append(getattr(seen, field))
        return [(together(values), (("process", name),)) for name, values in by_name.items()]

    def _look(self) -> None:
        if monotonic() - self._looked_at < FRESH:
            return
        self._looked_at = monotonic()
        seen = dict(look(self._supervisor))
        for pid in self._seen.keys() - seen.keys():
            ended = self._seen[pid]
            self._gone[ended.name] = self._gone.get(ended.name, 0) + ended.cpu_time
        self._seen = seen


def look(supervisor: int) -> Iterator[tuple[int, Seen]]:
    """Each process as it is now, by pid; one that ends meanwhile is left out."""
    try:
        parent = psutil.Process(supervisor)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            with process.oneshot():
                name = "supervisor" if process.pid == supervisor else name_of(process.cmdline())
                used = process.cpu_times()
                age = max(time() - process.create_time(), 0)
                yield process.pid, Seen(name, process.memory_info().rss, used.user + used.system, age)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def name_of(command: list[str]) -> str:
    """`proxy 0` of `python -P -m sidelight.child proxy 0`."""
    return " ".join(command[command.index(CHILD) + 1 :]) if CHILD in command else "other"

"""The pure part: percentiles, what /proc says, and what the promises make of the figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Figures = Mapping[str, float | None]


def percentile(values: Sequence[float], share: float, unit: float = 1.0) -> float | None:
    """The nearest-rank percentile (`share` from 0 to 1), in `unit`s of the values; None of nothing."""
    if not values:
        return None
    rank = max(1, -(-len(values) * round(share * 1e6) // 10**6))
    return sorted(values)[rank - 1] / unit


def median_figures(rounds: Sequence[Figures]) -> dict[str, float | None]:
    """Figure by figure, the median of the rounds that have it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: _median([figures[name] for figures in rounds if figures.get(name) is not None]) for name in names}


def _median(values: Sequence[float | None]) -> float | None:
    return statistics.median(value for value in values if value is not None) if values else None


@dataclass(frozen=True)
class Stat:
    """One process in /proc/PID/stat; times in clock ticks, user and system together."""

    pid: int
    parent: int
    own: int
    reaped: int  # of children that ended and were waited for


def parse_stat(text: str) -> Stat:
    """From /proc/PID/stat; the command in it may hold spaces and brackets."""
    opening, closing = text.index("("), text.rindex(")")
    fields = text[closing + 1 :].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    return Stat(int(text[:opening]), int(fields[1]), user + system, reaped_user + reaped_system)


def parse_pss(text: str) -> int:
    """Bytes, from /proc/PID/smaps_rollup; 0 when it does not say."""
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def parse_busy(text: str) -> int:
    """Clock ticks that all cores spent in processes or lost to other guests, from /proc/stat; interrupts left out."""
    user, nice, system, _idle, _iowait, _irq, _softirq, stolen = map(int, text.split("\n", 1)[0].split()[1:9])
    return user + nice + system + stolen


def descendants(stats: Iterable[Stat], root: int) -> set[int]:
    """`root` and everything it started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in stats:
        children.setdefault(stat.parent, []).append(stat.pid)
    found, left = set[int](), [root]
    while left:
        pid = left.pop()
        found.add(pid)
        left.extend(children.get(pid, ()))
    return found


def ratio(figure: float | None, reference: float | None) -> float | None:
    """`figure` ÷ `reference`; None where one is missing, or so small that noise made it less than nothing."""
    if figure is None or reference is None or figure < 0 or reference <= 0:
        return None
    return figure / reference


Rows = Mapping[tuple[str, str], Figures]  # (scenario, peer) → figures


@dataclass(frozen=True)
class Ratio:
    """One promise: a figure of Sidelight's, alone or against a peer's of the same run, and its bound."""

    promise: str
    scenario: str
    figure: str
    bound: float | None  # None: told, not promised
    against: tuple[str, str] | None = None  # (peer, figure); None: the figure itself
    at_least: bool = False
    unit: str = "x"

    @property
    def peers(self) -> set[str]:
        """Whose rows it is read from."""
        return {"sidelight", *(self.against[:1] if self.against else ())}

    def value(self, rows: Rows) -> float | None:
        own = rows.get((self.scenario, "sidelight"), {}).get(self.figure)
        if self.against is None:
            return own
        peer, figure = self.against
        return ratio(own, rows.get((self.scenario, peer), {}).get(figure))

    def met(self, rows: Rows) -> bool | None:
        """None: not promised, or not measured in this run."""
        value = self.value(rows)
        if value is None or self.bound is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


def against_nginx(promise: str, scenario: str, figure: str, bound: float) -> Ratio:
    return Ratio(promise + ", against nginx's", scenario, figure, bound, ("nginx", figure))


def against_textbook(what: str, scenario: str, figure: str) -> Ratio:
    return Ratio(what + ", against the textbook aiohttp proxy's", scenario, figure, None, ("textbook", figure))


def while_disturbed(doing: str, scenario: str) -> tuple[Ratio, Ratio]:
    return (
        Ratio(f"requests answered while the pipeline is {doing}", scenario, "ok_pct", 100.0, at_least=True, unit=" %"),
        Ratio(f"p99 while {doing}, against the undisturbed", scenario, "p99_ms", 1.1, ("sidelight", "calm_p99_ms")),
    )


PROMISES = (
    against_nginx("CPU per request, 64 connections", "json c64", "cpu_us", 2.0),
    against_nginx("CPU per request, 16 connections", "json c16", "cpu_us", 2.0),
    against_nginx("CPU per request, 1000 requests/s, all captured", "json 1000/s", "cpu_us", 2.0),
    against_nginx("CPU per request, HTTPS upstream", "https c16", "cpu_us", 3.0),
    against_nginx("CPU per chunk, 500 paced streams", "streams", "cpu_us", 1.5),
    Ratio("chunks in time, of those offered", "streams", "in_time_pct", 99.0, at_least=True, unit=" %"),
    against_nginx("added latency p50 at a fixed rate", "open loop", "added_p50_ms", 1.25),
    against_nginx("added latency p99 at a fixed rate", "open loop", "added_p99_ms", 2.0),
    Ratio("CPU of all processes, the whole exchange", "open loop", "cpu_all_us", 1000.0, unit=" us"),
    Ratio("memory of the hot process, 500 streams", "streams", "pss_mb", 60.0, unit=" MB"),
    *while_disturbed("killed", "pipeline SIGKILL"),
    *while_disturbed("stopped", "pipeline SIGSTOP"),
    against_textbook("CPU per request, 64 connections", "json c64", "cpu_us"),
    against_textbook("requests/s on one core", "json c64", "rps"),
    against_textbook("CPU per chunk, 500 paced streams", "streams", "cpu_us"),
)

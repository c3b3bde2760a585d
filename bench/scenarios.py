"""What is done to each peer, and the figures that come of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from bench import machine, peers
from bench.machine import HARNESS_CPU, Children, Window, python
from bench.payloads import headers, request_body
from bench.peers import Peer, Place

US = 1e6  # in a second
MB = 1e6  # bytes
QUIET_WITHIN = 8.0  # s a peer gets to finish what it was given
SIGNAL_EVERY = 5.0  # s, as the promise says


@dataclass(frozen=True)
class Plan:
    """How long (s) and how often; `limit` ends the whole run."""

    rounds: int
    warm_up: float
    closed: float
    streams: float
    open: float
    https: float
    calm: float
    disturbed: float
    limit: int
    rate: int = 200  # requests/s at which latency is measured
    followed_rate: int = 1000  # requests/s at which CPU is measured with nothing lost on the way to the pipeline
    stream_count: int = 500
    chunks: int = 64  # of one stream
    gap: int = 20  # ms between a stream's chunks

    @property
    def offered(self) -> float:
        """Chunks/s when every stream keeps its schedule: the words and the last one, over their time."""
        return self.stream_count * (self.chunks + 1) / (self.chunks * self.gap / 1000)


FULL = Plan(rounds=2, warm_up=0.5, closed=3, streams=2.5, open=3, https=3, calm=8, disturbed=18, limit=270)
QUICK = Plan(rounds=1, warm_up=0.2, closed=1, streams=1, open=1.5, https=1, calm=1.5, disturbed=7, limit=75)


@dataclass(frozen=True)
class Bench:
    """A run: its plan, its processes, and where its servers are."""

    plan: Plan
    children: Children
    place: Place
    direct: Peer

    @property
    def wrk(self) -> str | None:
        return shutil.which("wrk")


class Failed(Exception):
    """A load could not do its work on a peer; says why."""


Figures = dict[str, float | None]
Scenario = Callable[[Bench, Peer], Figures]


def watched(bench: Bench, window: Window, command: Sequence[str], at_end: Callable[[], None] = lambda: None) -> Any:
    """Runs a load that says `begin` and `end`; opens and closes the window then; what it saw."""
    child = bench.children.start(*command, cpu=HARNESS_CPU, piped=True)
    for line in cast("IO[str]", child.stdout):
        if line == "begin\n":
            window.open()
        elif line == "end\n":
            window.close()
            at_end()
        else:
            return json.loads(line)
    raise Failed(bench.children.log_of(child))


def window_on(peer: Peer) -> Window:
    return Window(peer.hot, peer.root)


def costs(peer: Peer, window: Window, units: int) -> Figures:
    """CPU in us per unit of work (request, chunk), and how busy the data plane was, in % of one core."""
    told: Figures = {"foreign": window.foreign_cpu}
    if peer.root is None or not units:
        return told
    return told | {
        "cpu_us": window.hot_cpu * US / units,
        "cpu_all_us": window.all_cpu * US / units,
        "busy_pct": 100 * window.hot_cpu / window.seconds,
    }


WRK_SCRIPT = """
wrk.method = "POST"
wrk.body = [==[%s]==]
%s
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\nJSON{"requests": %%d, "failed": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f}\\n',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def wrk_script(directory: Path) -> Path:
    """The POST request as wrk wants it."""
    fields = {name: value for name, value in headers("").items() if name != "Host"}
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in fields.items())
    path = directory / "post.lua"
    path.write_text(WRK_SCRIPT % (request_body().decode(), lines))
    return path


def by_wrk(bench: Bench, window: Window, url: str, concurrency: int, seconds: float) -> Mapping[str, float]:
    """wrk's whole life is the window, so its connecting is in it too."""
    script = str(wrk_script(bench.place.directory))
    flags = ["-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", script]
    window.open()
    child = bench.children.start(cast("str", bench.wrk), *flags, url, cpu=HARNESS_CPU, piped=True)
    output, _ = child.communicate()
    window.close()
    _, found, told = output.rpartition("JSON")
    if not found:
        raise Failed(output + bench.children.log_of(child))
    return cast("Mapping[str, float]", json.loads(told))


def by_python(bench: Bench, window: Window, url: str, concurrency: int, seconds: float) -> Mapping[str, float]:
    command = [*python("bench.load"), "closed", "--url", url, "--concurrency", str(concurrency)]
    seen = watched(bench, window, [*command, "--seconds", str(seconds)])
    return cast("Mapping[str, float]", seen | {"seconds": window.seconds})


def closed_loop(bench: Bench, peer: Peer, url: str, concurrency: int, seconds: float) -> Figures:
    """As many requests as `concurrency` keep-alive connections get answered."""
    window = window_on(peer)
    load = by_wrk if bench.wrk else by_python
    seen = load(bench, window, url, concurrency, seconds)
    told: Figures = {"rps": seen["requests"] / seen["seconds"], "requests": seen["requests"], "failed": seen["failed"]}
    told |= {name: seen[name] for name in ("p50_ms", "p99_ms")}
    return told | costs(peer, window, int(seen["requests"]))


def json_c64(bench: Bench, peer: Peer) -> Figures:
    return closed_loop(bench, peer, peer.url, 64, bench.plan.closed)


def json_c16(bench: Bench, peer: Peer) -> Figures:
    return closed_loop(bench, peer, peer.url, 16, bench.plan.closed)


def https_c16(bench: Bench, peer: Peer) -> Figures:
    return closed_loop(bench, peer, peer.https_url, 16, bench.plan.https)


def streams(bench: Bench, peer: Peer) -> Figures:
    """Paced streams, each restarted when it ends."""
    plan, window, memory = bench.plan, window_on(peer), list[int]()
    options = {"url": peer.url, "count": plan.stream_count, "chunks": plan.chunks, "gap": plan.gap}
    command = [*python("bench.load"), "streams", *flags_of(options | {"seconds": plan.streams})]
    seen = watched(bench, window, command, lambda: memory.append(machine.memory_of(peer.hot())))
    told: Figures = {
        "chunks_per_s": seen["chunks"] / window.seconds,
        "offered_per_s": plan.offered,
        "in_time_pct": 100 * seen["in_time"] / max(1, seen["offered"]),
        "pss_mb": memory[0] / MB if peer.root else None,
    }
    told |= {name: seen[name] for name in seen if name.endswith("_ms") or name == "failed"}
    return told | costs(peer, window, seen["chunks"])


def flags_of(options: Mapping[str, object]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def fixed_rate(bench: Bench, peer: Peer) -> Figures:
    """Requests at a rate that a pipeline on part of one core can follow, so that every hand-off is in the price."""
    window = window_on(peer)
    command = arrivals(bench, [peer], bench.plan.open, bench.plan.followed_rate)
    seen = watched(bench, window, command)[peer.name]
    return {**seen, **costs(peer, window, seen["requests"])}


def arrivals(bench: Bench, targets: Sequence[Peer], seconds: float, rate: int | None = None) -> list[str]:
    """An open loop's command line; `rate` in requests/s to each target, the plan's unless told."""
    named = [part for peer in targets for part in ("--target", f"{peer.name}={peer.url}")]
    options = {"rate": rate or bench.plan.rate, "seconds": seconds, "warm-up": bench.plan.warm_up}
    return [*python("bench.load"), "open", *named, *flags_of(options)]


def open_loop(bench: Bench, peer: Peer) -> Figures:
    """Requests at fixed times, by turns direct and through the peer; and what the whole peer spends on one."""
    window = window_on(peer)
    root = cast("int", peer.root)
    before = machine.cpu_of_tree(root)
    seen = watched(bench, window, arrivals(bench, (bench.direct, peer), bench.plan.open))
    if peer.database:
        machine.quiet(root, QUIET_WITHIN)
    spent = machine.cpu_of_tree(root) - before
    own, straight = seen[peer.name], seen[bench.direct.name]
    sent = own["requests"] + bench.plan.warm_up * bench.plan.rate
    told: Figures = {"cpu_all_us": spent * US / sent, "failed": own["failed"], "foreign": window.foreign_cpu}
    for share in ("p50_ms", "p99_ms"):
        told |= {share: own[share], f"direct_{share}": straight[share]}
    return told


def pipeline_killed(bench: Bench, peer: Peer) -> Figures:
    return disturbed(bench, peer, signal.SIGKILL)


def pipeline_stopped(bench: Bench, peer: Peer) -> Figures:
    try:
        return disturbed(bench, peer, signal.SIGSTOP)
    finally:
        signal_pipeline(peer, signal.SIGCONT)


def disturbed(bench: Bench, peer: Peer, number: signal.Signals) -> Figures:
    """A fixed rate in calm, then while the pipeline process gets a signal every 5 s."""
    window = window_on(peer)
    calm = watched(bench, window, arrivals(bench, [peer], bench.plan.calm))[peer.name]
    command = arrivals(bench, [peer], bench.plan.disturbed)
    window.open()
    child = bench.children.start(*command, cpu=HARNESS_CPU, piped=True)
    signals = 0
    while not ended(child, SIGNAL_EVERY):
        signals += signal_pipeline(peer, number)
    window.close()
    if not signals:
        raise Failed("no pipeline process was found")
    seen = json.loads(cast("IO[str]", child.stdout).read().splitlines()[-1])[peer.name]
    return {
        "ok_pct": 100 * (1 - seen["failed"] / seen["requests"]),
        "signals": signals,
        "requests": seen["requests"],
        **{f"calm_{name}": calm[name] for name in ("p50_ms", "p99_ms")},
        **{name: seen[name] for name in ("p50_ms", "p99_ms")},
        "foreign": window.foreign_cpu,
    }


def ended(child: subprocess.Popen[str], within: float) -> bool:
    """Did it end by itself in the next `within` seconds?"""
    with suppress(subprocess.TimeoutExpired):
        child.wait(within)
    return child.poll() is not None


def signal_pipeline(peer: Peer, number: signal.Signals) -> int:
    """How many pipeline processes got it."""
    found = peers.roles(cast("int", peer.root), "pipeline")
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(found)


def with_captures(bench: Bench, peer: Peer, scenario: Scenario) -> Figures:
    """The scenario's figures, and which share of its requests is in the store when all is quiet again."""
    before = peer.captured()
    figures = scenario(bench, peer)
    settle(peer)
    requests = figures.get("requests")
    if not peer.database or not requests:
        return figures
    return figures | {"captured_pct": min(100.0, 100 * (peer.captured() - before) / requests)}


def settle(peer: Peer) -> None:
    """Before the next peer's turn: nobody else's work on the cores, and a restarted data plane on its own."""
    if not peer.database:
        return
    machine.quiet(cast("int", peer.root), QUIET_WITHIN)
    peers.arrange(peer)


def warm_up(bench: Bench, everyone: Sequence[Peer]) -> None:
    for peer in everyone:
        by_python(bench, window_on(peer), peer.url, 64, bench.plan.warm_up)
        settle(peer)

"""`python -m bench`: Sidelight beside its peers, in one run, on this machine. See README.md here."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from bench import machine, peers, report, scenarios
from bench.machine import Children
from bench.measure import Figures
from bench.peers import Absent, Peer, Place
from bench.scenarios import FULL, QUICK, Bench, Failed, Plan, Scenario

Rounds = dict[tuple[str, str], list[Figures]]

PEERS: dict[str, Callable[[Children, Place], Peer]] = {
    "nginx": peers.nginx,
    "textbook": peers.textbook,
    "sidelight": peers.sidelight,
}
PROXIES = tuple(PEERS)
EVERYONE = ("direct", *PROXIES)
AGAINST_NGINX = ("nginx", "sidelight")
SCENARIOS: dict[str, tuple[Scenario, Sequence[str]]] = {
    "json c64": (scenarios.json_c64, EVERYONE),
    "json c16": (scenarios.json_c16, AGAINST_NGINX),
    "json 1000/s": (scenarios.fixed_rate, AGAINST_NGINX),
    "streams": (scenarios.streams, EVERYONE),
    "open loop": (scenarios.open_loop, PROXIES),
    "https c16": (scenarios.https_c16, AGAINST_NGINX),
    "pipeline SIGKILL": (scenarios.pipeline_killed, ("sidelight",)),
    "pipeline SIGSTOP": (scenarios.pipeline_stopped, ("sidelight",)),
}
ONCE = ("pipeline SIGKILL", "pipeline SIGSTOP")


class OutOfTime(Exception):
    """The run's limit is reached; what is measured so far stands."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within a minute: figures to look at, not to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything measured, round by round")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only these; may be repeated")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="only these; may be repeated")
    return parser.parse_args()


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def out_of_time(*_: object) -> None:
    raise OutOfTime


def started(bench: Bench, wanted: Sequence[str]) -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that run, and why the others do not."""
    running, left_out = {"direct": bench.direct}, dict[str, str]()
    for name in wanted:
        try:
            running[name] = PEERS[name](bench.children, bench.place)
        except Absent as reason:
            left_out[name] = str(reason).strip()
            say(f"{name} is left out: {left_out[name]}")
    return running, left_out


def measure(
    bench: Bench, running: dict[str, Peer], wanted: Sequence[str], rounds: Rounds, left_out: dict[str, str]
) -> None:
    """Scenario by scenario, the peers by turns in each round."""
    scenarios.warm_up(bench, list(running.values()))
    for name in wanted:
        scenario, who = SCENARIOS[name]
        turns = [running[peer] for peer in who if peer in running]
        for number in range(1 if name in ONCE else bench.plan.rounds):
            for peer in turns:
                say(f"{name}, round {number + 1}: {peer.name}")
                try:
                    figures = scenarios.with_captures(bench, peer, scenario)
                except Failed as reason:
                    left_out[f"{peer.name} in {name}"] = str(reason)
                    scenarios.settle(peer)
                else:
                    rounds[name, peer.name].append(figures)


def run(plan: Plan, asked: argparse.Namespace, children: Children, directory: Path) -> None:
    place = peers.start_place(children, directory)
    bench = Bench(plan, children, place, peers.direct(place))
    running, left_out = started(bench, asked.peer or list(PEERS))
    rounds: Rounds = defaultdict(list)
    begun = time.monotonic()
    try:
        measure(bench, running, asked.scenario or list(SCENARIOS), rounds, left_out)
    except OutOfTime:
        say(f"stopped at the limit of {plan.limit} s")
    signal.alarm(0)
    report.show(rounds, left_out)
    if asked.json:
        asked.json.write_text(json.dumps(about(bench, left_out, time.monotonic() - begun, rounds), indent=2) + "\n")


def about(bench: Bench, left_out: dict[str, str], seconds: float, rounds: Rounds) -> dict[str, object]:
    versions = {name: version(name) for name in ("aiohttp", "uvloop", "httptools")}
    context = {
        "machine": machine.described(),
        "versions": versions,
        "load": "wrk" if bench.wrk else "python",
        "plan": vars(bench.plan),
        "seconds": seconds,
        "left_out": left_out,
        "exported": peers.counted(bench.place),
    }
    return report.as_json(context, rounds)


def allow_many_files() -> None:
    """500 streams are two sockets each in every process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    asked = options()
    plan = QUICK if asked.quick else FULL
    allow_many_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(plan.limit)
    with tempfile.TemporaryDirectory(prefix="sidelight-bench-") as directory:
        Path(directory).chmod(0o755)
        try:
            with Children(Path(directory)) as children:
                run(plan, asked, children, Path(directory))
        except KeyboardInterrupt:
            sys.exit(130)
        except OutOfTime:
            sys.exit(f"the peers did not start within {plan.limit} s")


if __name__ == "__main__":
    main()

"""The figures as tables to read and as JSON to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.measure import PROMISES, Figures, Ratio, Rows, median_figures

DISTURBED = 0.12  # of a core, used by processes that are not the bench's

COLUMNS = {
    "rps": "requests/s",
    "chunks_per_s": "chunks/s",
    "offered_per_s": "offered",
    "in_time_pct": "in time %",
    "cpu_us": "CPU us",
    "cpu_all_us": "CPU us, all processes",
    "busy_pct": "busy %",
    "pss_mb": "PSS MB",
    "ok_pct": "answered %",
    "signals": "signals",
    "direct_p50_ms": "direct p50 ms",
    "direct_p99_ms": "direct p99",
    "calm_p50_ms": "calm p50 ms",
    "calm_p99_ms": "calm p99",
    "p50_ms": "p50 ms",
    "p99_ms": "p99",
    "added_p50_ms": "added p50 ms",
    "added_p99_ms": "added p99",
    "ttft_p50_ms": "TTFT p50 ms",
    "ttft_p99_ms": "TTFT p99",
    "delay_p50_ms": "chunk delay p50 ms",
    "delay_p99_ms": "chunk delay p99",
    "requests": "requests",
    "failed": "failed",
    "captured_pct": "captured %",
    "foreign": "foreign CPU",
}


def medians(rounds: Mapping[tuple[str, str], Sequence[Figures]]) -> Rows:
    """One row of each scenario and peer: the median of its undisturbed rounds, of all when none was."""
    rows = {key: median_figures([each for each in row if not is_disturbed(each)] or row) for key, row in rounds.items()}
    for share in ("p50_ms", "p99_ms"):
        add_latency(rows.values(), share)
    return rows


def add_latency(rows: Iterable[dict[str, float | None]], share: str) -> None:
    """What a peer adds to the best direct figure of the run: its own background work slows its direct neighbour too."""
    rows = [figures for figures in rows if figures.get(f"direct_{share}") is not None]
    best = min((figures[f"direct_{share}"] or 0.0 for figures in rows), default=0.0)
    for figures in rows:
        through = figures.get(share)
        figures[f"added_{share}"] = None if through is None else through - best


def is_disturbed(figures: Figures) -> bool:
    return (figures.get("foreign") or 0.0) > DISTURBED


def number(value: float | None) -> str:
    if value is None:
        return ""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns also line up in a terminal."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scenario_table(scenario: str, rows: Rows) -> str:
    """One scenario, a line for each peer; a star marks figures taken while others used the machine."""
    mine = {peer: figures for (name, peer), figures in rows.items() if name == scenario}
    columns = [column for column in COLUMNS if any(figures.get(column) is not None for figures in mine.values())]
    lines = [
        [peer + (" *" if is_disturbed(figures) else ""), *(number(figures.get(column)) for column in columns)]
        for peer, figures in mine.items()
    ]
    return f"### {scenario}\n\n" + markdown([scenario, *(COLUMNS[column] for column in columns)], lines)


def verdict(promise: Ratio, rows: Rows) -> str:
    if promise.value(rows) is None:
        return "not measured"
    disturbed = any(is_disturbed(rows.get((promise.scenario, peer), {})) for peer in promise.peers)
    word = {True: "met", False: "NOT MET", None: "told"}[promise.met(rows)]
    return word + (" *" if disturbed else "")


def promise_table(rows: Rows) -> str:
    """What was promised, what was measured, and whether that is enough."""
    lines = [
        [
            promise.promise,
            "" if (value := promise.value(rows)) is None else number(value) + promise.unit,
            "" if promise.bound is None else f"{'>=' if promise.at_least else '<='} {promise.bound:g}{promise.unit}",
            verdict(promise, rows),
        ]
        for promise in PROMISES
    ]
    return "### Promises\n\n" + markdown(["Sidelight's", "measured", "promised", "verdict"], lines)


def as_json(about: Mapping[str, object], rounds: Mapping[tuple[str, str], Sequence[Figures]]) -> dict[str, Any]:
    """Everything: the machine, each round, the medians, the promises."""
    rows = medians(rounds)
    return {
        **about,
        "rows": [
            {
                "scenario": scenario,
                "peer": peer,
                "disturbed": is_disturbed(figures),
                "median": figures,
                "rounds": rounds[scenario, peer],
            }
            for (scenario, peer), figures in rows.items()
        ],
        "promises": [
            {"promise": each.promise, "value": each.value(rows), "bound": each.bound, "met": each.met(rows)}
            for each in PROMISES
        ],
    }


def show(rounds: Mapping[tuple[str, str], Sequence[Figures]], left_out: Mapping[str, str]) -> None:
    """To the terminal, as markdown."""
    rows = medians(rounds)
    for scenario in dict.fromkeys(scenario for scenario, _ in rows):
        print(scenario_table(scenario, rows), end="\n\n")
    print(promise_table(rows))
    for peer, reason in left_out.items():
        print(f"\n{peer} was left out: {reason}")
    if any(map(is_disturbed, rows.values())):
        print(f"\n* other processes used more than {DISTURBED} of a core in every round: repeat it on a quiet machine")

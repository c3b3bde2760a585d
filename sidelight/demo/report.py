"""What the demo shows: progress while it runs, then what Sidelight found, read back from its store."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from store.queries import Failure, Group, PassRate, failures, opened, pass_rates, summary

FAILURES_SHOWN = 3


@contextmanager
def progress(console: Console, label: str, total: int) -> Iterator[Callable[[object], None]]:
    """A bar that moves by one with each call of what this yields; nothing is drawn when there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda _: bar.advance(task)


def print_report(console: Console, store: Path, kept: bool) -> None:
    """The final tables; `kept` says whether the store will still be there afterwards."""
    with opened(store) as db:
        counted, rates, failing = summary(db), pass_rates(db), failures(db, FAILURES_SHOWN)
    console.print()
    console.print(traffic_table([*counted.groups, counted.total]))
    console.print()
    console.print(evaluator_table(rates))
    console.print()
    console.print(Text("Three that failed" if len(failing) == FAILURES_SHOWN else "What failed", "bold"))
    for failure in failing:
        console.print(failing_line(failure))
    console.print()
    print_next_steps(console, store, failing, kept)


def traffic_table(groups: Sequence[Group]) -> Table:
    columns = ("calls", "errors", "p50", "p95", "first\nchunk", "tokens\nin", "tokens\nout")
    table = a_table(f"Traffic, times in seconds{in_dollars(groups[-1].cost)}", "model", columns)
    for group in groups:
        is_total = group.upstream == "all"
        table.add_row(
            "all" if is_total else group.model or "unknown",
            f"{group.calls:,}",
            f"{group.errors:,}",
            seconds(group.duration_p50),
            seconds(group.duration_p95),
            seconds(group.first_chunk_p50),
            f"{group.input_tokens:,}",
            f"{group.output_tokens:,}",
            style="bold" if is_total else None,
        )
    return table


def in_dollars(cost: float | None) -> str:
    return "" if cost is None else f"; by list prices it cost {cost:.2f} USD"


def evaluator_table(rates: Sequence[PassRate]) -> Table:
    table = a_table("Evaluators", "evaluator", ("passed", "failed", "skipped", "errors", "pass rate", "effective n"))
    for rate in rates:
        failed = Text(f"{rate.failed:,}", "red" if rate.failed else "")
        errors = Text(f"{rate.errors:,}", "yellow" if rate.errors else "")
        passing = "" if rate.pass_rate is None else f"{rate.pass_rate:.1%}"
        size = "" if rate.pass_rate is None else f"{rate.effective_n:,.0f}"
        table.add_row(rate.evaluator, f"{rate.passed:,}", failed, f"{rate.skipped:,}", errors, passing, size)
    return table


def a_table(title: str, names: str, numbers: Sequence[str]) -> Table:
    """Where the terminal is too narrow, the names fold; numbers never do."""
    table = Table(title=Text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = table.pad_edge = False
    table.add_column(names, overflow="fold", vertical="bottom")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    return table


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def failing_line(failure: Failure) -> Text:
    score = "" if failure.score is None else f"score {failure.score:.3g}"
    reason = failure.explanation or score or "no explanation"
    return Text.assemble(("  " + failure.exchange_id, "cyan"), "  ", (failure.evaluator, "red"), f": {reason}")


def print_where_to_look(console: Console, endpoint: str, service: str) -> None:
    """In the backend that was told."""
    told = f"\n{endpoint} was told everything. In Jaeger: service {service}, tag sidelight.failed_by.refusal=true."
    console.print(Text(told), soft_wrap=True)


def command() -> str:
    """What to type here: by its name where the shell finds it, else by its place in this environment."""
    return "sidelight" if shutil.which("sidelight") else os.path.relpath(Path(sys.executable).with_name("sidelight"))


def print_next_steps(console: Console, store: Path, failing: Sequence[Failure], kept: bool) -> None:
    console.print(Text("Next", "bold"))
    if kept and failing:
        console.print(Text(f"  {command()} explain {failing[0].exchange_id} --store {store}"), soft_wrap=True)
    steps = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    steps.add_column(no_wrap=True)
    steps.add_column()
    if not kept:
        steps.add_row(f"{command()} demo --keep", "keeps the store for `explain`")
    steps.add_row(f"{command()} run --upstream https://…", "stands in front of your endpoint")
    steps.add_row("base_url = http://127.0.0.1:4000/v1", "in your app, and that is all")
    steps.add_row("docs/configuration.md", "says what can be set")
    console.print(Padding.indent(steps, 2))

"""`sidelight backfill`: what the store holds, judged again by the evaluators as they are configured now.

When a rubric, a threshold or a release changes an evaluator, its series breaks: earlier outcomes are of another
version. Judged again they are of one version, and what that changes is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Final, TypeAlias

from msgspec.structs import replace
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import Settings
from pipeline.errors import ConfigError
from pipeline.records import Exchange, LedgerEntry
from sidelight.components import Components
from sidelight.demo.report import progress
from sidelight.engine import Entries, judge_all
from sidelight.intervals import wilson
from store.journal import rewrite
from store.queries import LedgerRow, judged_exchanges, opened

Outcomes: TypeAlias = dict[str, Entries]  # exchange id → everybody's
Ledger: TypeAlias = Mapping[str, LedgerRow]  # evaluator → its outcome
DECIDED: Final = ("pass", "fail")
NEVER_ASKED: Final = "skipped"  # a judge that was not asked then is not asked now: its sample stays the same


@dataclass(frozen=True, slots=True)
class Series:
    """One evaluator's outcomes of one version."""

    version: str | None
    passed: int
    failed: int
    others: int

    def rate(self) -> str:
        """`80 % (49–94)` of those decided."""
        decided = self.passed + self.failed
        if not decided:
            return ""
        low, high = wilson(self.passed, decided)
        return f"{self.passed / decided:.0%} ({low * 100:.0f}–{high * 100:.0f})"


@dataclass(frozen=True, slots=True)
class Break:
    """What judging again makes of one evaluator's series."""

    evaluator: str
    before: tuple[Series, ...]
    after: Series
    to_pass: int  # that failed before
    to_fail: int  # that passed before


async def backfill(
    store: Path, settings: Settings, components: Components, since: float, console: Console, *, write: bool
) -> None:
    """Judge again what began in the last `since` seconds; print what changes, and keep it if that is wanted."""
    stored = await asyncio.to_thread(read, store, time_ns() - int(since * 1e9))
    ledgers = {exchange.id: ledger for exchange, ledger in stored}

    def asked_before(judge: str, exchange: Exchange) -> bool:
        row = ledgers[exchange.id].get(judge)
        return row is not None and row.outcome != NEVER_ASKED

    exchanges = [exchange for exchange, _ in stored]
    outcomes: Outcomes = {}
    with progress(console, "exchanges", len(exchanges)) as advance:

        def on_whole(exchange: Exchange, entries: Entries) -> None:
            outcomes[exchange.id] = entries
            advance(exchange)

        await judge_all(exchanges, settings, components, on_whole, asked_before)
    console.print(breaks_table(breaks(ledgers, outcomes)))
    if write:
        rows = [
            (identity, with_weight(entry, ledgers[identity])) for identity, each in outcomes.items() for entry in each
        ]
        await asyncio.to_thread(rewrite, store, rows)
    kept = "are in the store now" if write else "were not kept; --write does that"
    console.print(f"{len(exchanges):,} exchanges judged again; the outcomes {kept}.", highlight=False)


def read(store: Path, since: int) -> Sequence[tuple[Exchange, Ledger]]:
    try:
        with opened(store) as db:
            found = [(exchange, {row.evaluator: row for row in rows}) for exchange, rows in judged_exchanges(db, since)]
    except FileNotFoundError:
        raise ConfigError(f"{store}: there is no store; name another with --config") from None
    if not found:
        raise ConfigError(f"{store}: holds no exchange of that time with its content; give a longer --since")
    return found


def with_weight(entry: LedgerEntry, ledger: Ledger) -> LedgerEntry:
    """It stands for as many as the outcome whose place it takes."""
    earlier = ledger.get(entry.evaluator)
    return replace(entry, weight=earlier.weight) if earlier else entry


def breaks(ledgers: Mapping[str, Ledger], outcomes: Outcomes) -> list[Break]:
    """Of every evaluator that is configured now, in its order."""
    names = dict.fromkeys(entry.evaluator for entries in outcomes.values() for entry in entries)
    return [break_of(name, ledgers, outcomes) for name in names]


def break_of(name: str, ledgers: Mapping[str, Ledger], outcomes: Outcomes) -> Break:
    now = {identity: entry for identity, entries in outcomes.items() for entry in entries if entry.evaluator == name}
    then = {identity: ledger[name] for identity, ledger in ledgers.items() if name in ledger}
    changed = Counter((then[identity].outcome, entry.outcome) for identity, entry in now.items() if identity in then)
    versions = dict.fromkeys(row.version for row in then.values())
    before = tuple(
        series(version, [row.outcome for row in then.values() if row.version == version]) for version in versions
    )
    after = series(next((entry.version for entry in now.values()), None), [entry.outcome for entry in now.values()])
    return Break(name, before, after, changed["fail", "pass"], changed["pass", "fail"])


def series(version: str | None, outcomes: Sequence[str]) -> Series:
    counts = Counter(outcomes)
    others = sum(count for outcome, count in counts.items() if outcome not in DECIDED)
    return Series(version, counts["pass"], counts["fail"], others)


def breaks_table(found: Sequence[Break]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name in (
        "evaluator", "version before", "pass rate (95 %)", "version now", "pass rate (95 %)", "to pass", "to fail",
    ):  # fmt: skip
        table.add_column(name, justify="right" if name.startswith(("pass", "to")) else "left", no_wrap=True)
    for each in found:
        for number, before in enumerate(each.before or (Series(None, 0, 0, 0),)):
            now = (each.after.version or "", each.after.rate(), str(each.to_pass), str(each.to_fail))
            table.add_row(
                Text(each.evaluator if not number else ""),
                Text(before.version or ("not told" if each.before else "none")),
                before.rate(),
                *(now if not number else ("", "", "", "")),
            )
    return table

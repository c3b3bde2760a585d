"""`sidelight evaluate FILE`: the evaluators of live traffic on a file, in the same processes, with the same scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from config.settings import Settings
from pipeline.errors import ConfigError
from pipeline.records import Exchange, LedgerEntry
from pipeline.workers import WorkerPool
from sidelight.components import Components
from sidelight.dataset import Dataset, exchange_of, mapping_of, read_dataset
from sidelight.demo.report import progress
from sidelight.evaluators import spawner
from sidelight.verdict import Judged, Verdict, write_json, write_junit
from sidelight.verdict_page import write_page
from sidelight.verdict_table import print_verdict

MOST_WAITING: Final = 1_000_000  # nothing may be refused: a file is there as a whole


async def evaluate_file(
    file: Path,
    settings: Settings,
    components: Components,
    console: Console,
    *,
    given: Mapping[str, str],
    least: float,
    json_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
) -> bool:
    """Evaluate every row, print what was found, and write it where that is asked for.

    True when every row could be read and each evaluator's pass rate is at least `least`. `given` is field → column.
    """
    dataset = read_dataset(file)
    mapping = mapping_of(dataset.columns, given)
    if not components.evaluators:
        raise ConfigError("processors: there is no evaluator to ask; name one, or leave the section out for all")
    with progress(console, "rows", len(dataset.rows)) as advance:
        judged = await judge(dataset, mapping, settings, components, advance)
    verdict = Verdict(str(file), mapping, judged, dataset.problems, least, dataset.digest)
    print_verdict(verdict, console)
    if json_file:
        write_json(verdict, json_file)
    if junit_file:
        write_junit(verdict, junit_file)
    if html_file:
        write_page(verdict, html_file, datetime.now(UTC))
    return verdict.passed


async def judge(
    dataset: Dataset,
    mapping: Mapping[str, str],
    settings: Settings,
    components: Components,
    advance: Callable[[object], None],
) -> tuple[Judged, ...]:
    """Every row with its outcomes, in the file's order."""
    outcomes: dict[str, tuple[LedgerEntry, ...]] = {}

    def on_done(exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        outcomes[exchange.id] = entries
        advance(exchange)

    options = settings.evaluation
    pool = WorkerPool(
        spawner(settings, in_the_gaps=False),
        tuple(components.evaluators),
        on_done,
        workers=options.workers,
        timeout=options.timeout,
        max_attempts=options.max_attempts,
        queue_size=MOST_WAITING,
    )
    exchanges = [components.redact.redact(exchange_of(row, mapping)) for row in dataset.rows]
    async with pool:
        for exchange in exchanges:
            pool.submit(exchange)
        await pool.drained()
    return tuple(
        Judged(row.number, exchange, outcomes[exchange.id])
        for row, exchange in zip(dataset.rows, exchanges, strict=True)
    )

"""`sidelight evaluate FILE`: the evaluators of live traffic on a file, in the same processes, with the same scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from config.settings import Settings
from pipeline.errors import ConfigError
from sidelight.components import Components
from sidelight.dataset import Dataset, exchange_of, mapping_of, read_dataset
from sidelight.demo.report import progress
from sidelight.engine import outcomes_of
from sidelight.verdict import Judged, Verdict, write_json, write_junit
from sidelight.verdict_table import print_verdict


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
) -> bool:
    """Evaluate every row, print what was found, and write it where that is asked for.

    True when every row could be read and each evaluator's pass rate is at least `least`. `given` is field → column.
    """
    dataset = read_dataset(file)
    mapping = mapping_of(dataset.columns, given)
    if not components.evaluators and not components.judges:
        raise ConfigError("processors: there is no evaluator to ask; name one, or leave the section out for all")
    with progress(console, "rows", len(dataset.rows)) as advance:
        judged = await judge(dataset, mapping, settings, components, advance)
    verdict = Verdict(str(file), mapping, judged, dataset.problems, least)
    print_verdict(verdict, console)
    if json_file:
        write_json(verdict, json_file)
    if junit_file:
        write_junit(verdict, junit_file)
    return verdict.passed


async def judge(
    dataset: Dataset,
    mapping: Mapping[str, str],
    settings: Settings,
    components: Components,
    advance: Callable[[object], None],
) -> tuple[Judged, ...]:
    """Every row with its outcomes, in the file's order."""
    exchanges = [components.redact.redact(exchange_of(row, mapping)) for row in dataset.rows]
    outcomes = await outcomes_of(exchanges, settings, components, advance)
    return tuple(
        Judged(row.number, exchange, outcomes[exchange.id])
        for row, exchange in zip(dataset.rows, exchanges, strict=True)
    )

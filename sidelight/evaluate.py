"""`sidelight evaluate FILE`: the evaluators of live traffic on a file, in the same processes, with the same scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from config.settings import Settings
from pipeline.calibration import Calibration
from pipeline.errors import ConfigError
from pipeline.records import Exchange, LedgerEntry
from processors.judge import Judge
from sidelight import __version__
from sidelight.classification import Classification, check_roles, classification_of
from sidelight.components import Components, evaluators_among, judges_among
from sidelight.dataset import Dataset, exchange_of, mapping_of, read_dataset, row_number
from sidelight.demo.report import progress
from sidelight.engine import judge_all
from sidelight.outcomes import Header, Outcomes, digests_of, outcomes_in
from sidelight.verdict import Judged, Verdict, write_json, write_junit
from sidelight.verdict_page import write_page
from sidelight.verdict_table import print_verdict


@dataclass(frozen=True)
class Request:
    """What is asked for; a file that is None is not written."""

    file: Path
    given: Mapping[str, str]  # field → column
    labels: Mapping[str, str]  # true, predicted, score → column; empty: nothing to compare
    least: float  # the pass rate that each evaluator must reach
    json: Path | None
    junit: Path | None
    html: Path | None
    resume: Path | None  # where outcomes are kept as they come, and found by the next run

    def __post_init__(self) -> None:
        places = [each for each in (self.json, self.junit, self.html, self.resume) if each]
        if homeless := [each for each in places if not each.parent.is_dir()]:
            raise ConfigError(*(f"{each}: there is no folder {each.parent}; make it first" for each in homeless))


async def evaluate_file(request: Request, settings: Settings, components: Components, console: Console) -> bool:
    """Evaluate every row, print what was found, and write it where that is asked for.

    True when every row could be read and each evaluator's pass rate is reached.
    """
    dataset = read_dataset(request.file)
    mapping = mapping_of(dataset.columns, request.given)
    if not components.evaluators and not components.judges:
        raise ConfigError("processors: there is no evaluator to ask; name one, or leave the section out for all")
    classification = classification_for(request, dataset)
    with outcomes_for(request, dataset, mapping, settings) as outcomes:
        if outcomes:
            console.print(Text(f"{len(outcomes):,} rows were evaluated before: {request.resume}."), soft_wrap=True)
        with progress(console, "rows", len(dataset.rows)) as advance:
            judged = await judge(dataset, mapping, settings, components, advance, outcomes)
    verdict = Verdict(
        str(request.file),
        mapping,
        judged,
        dataset.problems,
        request.least,
        dataset.digest,
        classification,
        calibrations_of(components.judges),
    )
    print_verdict(verdict, console)
    if outcomes.failure:
        said = f"{request.resume}: not every outcome could be kept there: {outcomes.failure}."
        console.print(Text(said, "yellow"), soft_wrap=True)
    write_verdict(verdict, request)
    return verdict.passed


def calibrations_of(judges: Mapping[str, Judge]) -> dict[str, Calibration]:
    """Of those that are calibrated in the version that is asked."""
    return {
        name: judge.calibrated
        for name, judge in judges.items()
        if judge.calibrated and judge.calibration_state == "calibrated"
    }


def classification_for(request: Request, dataset: Dataset) -> Classification | None:
    if not request.labels:
        return None
    check_roles(request.labels, dataset.columns)
    return classification_of(dataset.rows, request.labels)


def outcomes_for(
    request: Request, dataset: Dataset, mapping: Mapping[str, str], settings: Settings
) -> AbstractContextManager[Outcomes]:
    """What an earlier run has left of the same work; nothing where none is to be kept."""
    if request.resume is None:
        return nullcontext(Outcomes())
    judging = evaluators_among(settings.processors) | judges_among(settings.processors)
    judging |= {"redact": dict(settings.processors.get("redact") or {})}
    return outcomes_in(request.resume, Header(__version__, dataset.digest, mapping, digests_of(judging)))


def write_verdict(verdict: Verdict, request: Request) -> None:
    try:
        if request.json:
            write_json(verdict, request.json)
        if request.junit:
            write_junit(verdict, request.junit)
        if request.html:
            write_page(verdict, request.html, datetime.now(UTC))
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from None


async def judge(
    dataset: Dataset,
    mapping: Mapping[str, str],
    settings: Settings,
    components: Components,
    advance: Callable[[object], None],
    outcomes: Outcomes,
) -> tuple[Judged, ...]:
    """Every row with its outcomes, in the file's order; `outcomes` are those that are known, and get the others.

    A row with an error among them is judged again: what was away may be back.
    """

    def on_whole(exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        outcomes[row_number(exchange)] = entries
        advance(exchange)

    exchanges = [components.redact.redact(exchange_of(row, mapping)) for row in dataset.rows]
    left = [each for each in exchanges if not is_known(outcomes.get(row_number(each)))]
    for _ in range(len(exchanges) - len(left)):
        advance(None)
    await judge_all(left, settings, components, on_whole)
    return tuple(
        Judged(row.number, exchange, outcomes[row.number])
        for row, exchange in zip(dataset.rows, exchanges, strict=True)
    )


def is_known(entries: tuple[LedgerEntry, ...] | None) -> bool:
    return entries is not None and all(entry.outcome != "error" for entry in entries)

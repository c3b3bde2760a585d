"""`sidelight calibrate FILE`: an evaluator's verdicts against those of people, and how far to trust it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from config.load import suggestion
from config.settings import Settings
from pipeline.calibration import State, load, save
from pipeline.errors import ConfigError
from pipeline.records import LedgerEntry
from pipeline.versions import version_of as edition_of
from sidelight.calibration_table import print_calibration
from sidelight.components import build_components, build_evaluators, build_judges, evaluators_among, judges_among
from sidelight.dataset import Dataset, mapping_of, read_dataset
from sidelight.demo.report import progress
from sidelight.evaluate import judge
from sidelight.labels import Column, Opinion, existing, label_column, read_labels, read_scores
from sidelight.outcomes import Outcomes
from sidelight.pairs import Pair, differing, measure
from sidelight.rows import Problem

PASS_AT: Final = 3.0


class Asked(NamedTuple):
    """What the command line says."""

    file: Path
    evaluator: str
    label: str | None
    score: str | None
    given: Mapping[str, str]  # field → column
    pass_at: float
    out: Path | None


def calibrate_file(asked: Asked, settings: Settings, made_at: datetime, console: Console) -> bool:
    """Measure, print, and write where that is asked for. True when the evaluator is calibrated.

    What is wrong with the command or the file's columns is told before an evaluator is asked, which may cost money.
    """
    settings = alone(settings, asked)
    version = version_of(asked.evaluator, settings)
    before = state_before(asked, version)
    dataset = read_dataset(asked.file)
    label = label_column(dataset.columns, asked.label)
    labels = read_labels(dataset.rows, label, asked.pass_at)
    labelled = dataset._replace(rows=tuple(row for row in dataset.rows if row.number in labels.opinions))
    verdicts = in_the_file(labelled, asked) if asked.score else by_asking(labelled, asked, settings, console)
    pairs = [Pair(n, labels.opinions[n], verdict) for n, verdict in verdicts.opinions.items()]
    measured = measure(pairs, asked.evaluator, version, made_at, asked.pass_at, before)
    problems = sorted((*dataset.problems, *labels.problems, *verdicts.problems))
    source = f"label from {label}, verdicts " + (f"from {asked.score}" if asked.score else f"of {asked.evaluator}")
    print_calibration(measured, f"{asked.file}: {source}", differing(pairs), problems, console)
    if asked.out:
        save(measured, asked.out)
    return measured.state == "calibrated"


def alone(settings: Settings, asked: Asked) -> Settings:
    """Without the others, who are not asked. With a column of scores nobody is, so any name will do."""
    evaluators = evaluators_among(settings.processors) | judges_among(settings.processors)
    if asked.evaluator not in evaluators and asked.score is None:
        raise ConfigError(
            f"--evaluator {asked.evaluator}: the configuration has none of this id; "
            f"{suggestion(asked.evaluator, list(evaluators))}"
        )
    others = evaluators.keys() - {asked.evaluator}
    processors = {identity: options for identity, options in settings.processors.items() if identity not in others}
    return settings.model_copy(update={"processors": processors})


def version_of(identity: str, settings: Settings) -> str | None:
    """As each of its results says it; None: it is not in the configuration."""
    judge = build_judges(settings).get(identity)
    if judge is not None:
        return judge.version
    evaluator = build_evaluators(settings.processors).get(identity)
    return None if evaluator is None else edition_of(evaluator)


def state_before(asked: Asked, version: str | None) -> State:
    """What the file that will be written over says of the same evaluator in the same version."""
    if asked.out is None or not asked.out.exists():
        if asked.out and not asked.out.parent.is_dir():
            raise ConfigError(f"-o {asked.out}: there is no folder {asked.out.parent}; make it first")
        return "uncalibrated"
    before = load(asked.out)
    if before.evaluator != asked.evaluator:
        raise ConfigError(f"-o {asked.out}: holds the calibration of {before.evaluator}; name another file")
    return before.state_for(version)


def in_the_file(labelled: Dataset, asked: Asked) -> Column:
    """The column's words, or numbers."""
    assert asked.score is not None
    if asked.given:
        raise ConfigError("--map and --score exclude each other: with a column of scores no evaluator is asked")
    column = existing(labelled.columns, asked.score, "--score")
    read = read_scores(labelled.rows, column, asked.pass_at)
    check_scale([opinion.score for opinion in read.opinions.values() if opinion.score is not None], asked.pass_at)
    return read


def by_asking(labelled: Dataset, asked: Asked, settings: Settings, console: Console) -> Column:
    """The evaluator judges the rows that have a label, as `sidelight evaluate` does."""
    mapping = mapping_of(labelled.columns, asked.given)
    with progress(console, "rows", len(labelled.rows)) as advance:
        judged = asyncio.run(judge(labelled, mapping, settings, build_components(settings), advance, Outcomes()))
    entries = {each.number: each.entries[0] for each in judged}
    check_scale([score for entry in entries.values() if (score := undecided_score(entry)) is not None], asked.pass_at)
    opinions = {n: opinion for n, entry in entries.items() if (opinion := opinion_of(entry, asked.pass_at))}
    problems = tuple(Problem(n, no_verdict(entry)) for n, entry in entries.items() if n not in opinions)
    if not opinions:
        raise ConfigError(f"--evaluator {asked.evaluator}: {problems[0].said}; so in every row that has a label")
    return Column(opinions, problems)


def check_scale(scores: Sequence[float], pass_at: float) -> None:
    """Scores that all are below what is a pass are on another scale than somebody thought."""
    if scores and max(scores) <= 1 < pass_at:
        raise ConfigError(
            f"--pass-at: no score is above 1, and a pass is {pass_at:g} or more; say from which score on, like 0.5"
        )


def opinion_of(entry: LedgerEntry, pass_at: float) -> Opinion | None:
    """Its verdict, or what its score says where it gives none."""
    if entry.outcome in ("pass", "fail"):
        return Opinion(entry.outcome == "pass", entry.evaluations[0].score_value)
    score = undecided_score(entry)
    return None if score is None else Opinion(score >= pass_at, score)


def undecided_score(entry: LedgerEntry) -> float | None:
    """Of an evaluator that leaves it to others what is a pass."""
    return entry.evaluations[0].score_value if entry.outcome == "scored" else None


def no_verdict(entry: LedgerEntry) -> str:
    return f"the evaluator gave no verdict: {entry.outcome}" + (f" ({entry.reason})" if entry.reason else "")

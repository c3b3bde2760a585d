"""What an evaluated file comes to: each evaluator's sums, the rows that failed and why; as JSON and as JUnit's XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import orjson

from console.evaluations import told
from exporters.outcome import judgements
from pipeline.calibration import Calibration, Corrected
from pipeline.records import Exchange, LedgerEntry
from sidelight import __version__
from sidelight.classification import MEASURES, Classification, Counts
from sidelight.intervals import bootstrap, wilson
from sidelight.rows import Problem


class Judged(NamedTuple):
    """A row with everyone's outcome."""

    number: int
    exchange: Exchange
    entries: tuple[LedgerEntry, ...]


class Failure(NamedTuple):
    """One row that one evaluator failed, or could not judge."""

    number: int
    evaluator: str
    outcome: str
    score: float | None
    said: str


@dataclass(frozen=True)
class Tally:
    """One evaluator over all rows."""

    evaluator: str
    outcomes: Mapping[str, int]
    scores: tuple[float, ...]
    version: str | None = None
    calibration: Calibration | None = None  # of this version; None: it is not calibrated

    @property
    def decided(self) -> int:
        return self.outcomes.get("pass", 0) + self.outcomes.get("fail", 0)

    @property
    def pass_rate(self) -> float | None:
        """Of those that were decided; None: of none."""
        return self.outcomes.get("pass", 0) / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between which the pass rate lies with 95 %."""
        return wilson(self.outcomes.get("pass", 0), self.decided) if self.decided else None

    @property
    def corrected(self) -> Corrected | None:
        """The pass rate as people would find it; None where the evaluator is not calibrated."""
        if self.calibration is None or self.pass_rate is None:
            return None
        return self.calibration.corrected(self.pass_rate, self.decided)

    @property
    def mean_score(self) -> float | None:
        return sum(self.scores) / len(self.scores) if self.scores else None

    @cached_property
    def mean_interval(self) -> tuple[float, float] | None:
        """Between which the mean lies with 95 %; None: of fewer than two scores."""
        return bootstrap(self.scores)


@dataclass(frozen=True)
class Verdict:
    """The whole file."""

    file: str
    mapping: Mapping[str, str]
    judged: Sequence[Judged]
    problems: Sequence[Problem]
    least: float  # the pass rate that each evaluator must reach
    digest: str  # SHA-256 of the file, hex
    classification: Classification | None = None  # None: no labels to compare
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)  # of evaluators that are calibrated

    @cached_property
    def tallies(self) -> tuple[Tally, ...]:
        names = [entry.evaluator for entry in self.judged[0].entries] if self.judged else []
        return tuple(tally(name, self.judged, self.calibrations.get(name)) for name in names)

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """In the file's order."""
        return tuple(
            failure_of(each.number, entry)
            for each in self.judged
            for entry in each.entries
            if entry.outcome in ("fail", "error")
        )

    @property
    def failed_evaluators(self) -> list[str]:
        """Those below the rate that is asked for, and those that broke."""
        return [
            each.evaluator
            for each in self.tallies
            if each.outcomes.get("error", 0) or (each.pass_rate is not None and each.pass_rate < self.least)
        ]

    @property
    def passed(self) -> bool:
        return not self.failed_evaluators and not self.problems


def tally(evaluator: str, judged: Sequence[Judged], calibration: Calibration | None = None) -> Tally:
    entries = [entry for each in judged for entry in each.entries if entry.evaluator == evaluator]
    scores = [
        entry.evaluations[0].score_value
        for entry in entries
        if entry.evaluations and entry.evaluations[0].score_value is not None
    ]
    outcomes: Counter[str] = Counter(entry.outcome for entry in entries)
    version = next((entry.version for entry in entries if entry.version), None)
    return Tally(evaluator, outcomes, tuple(scores), version, calibration)


def failure_of(number: int, entry: LedgerEntry) -> Failure:
    """The evaluation that decided speaks for the others."""
    said = judgements(entry)
    decisive = next((each for each in said if each.score_label == "fail" or each.error_type), said[0])
    words = (decisive.explanation or decisive.error_type or entry.reason, decisive.reasoning)
    reason = " – ".join(filter(None, words)) or "no explanation"
    return Failure(number, entry.evaluator, entry.outcome, decisive.score_value, reason)


def write_json(verdict: Verdict, file: Path) -> None:
    """Everything, for programs."""
    everything: dict[str, Any] = {
        "sidelight": __version__,
        "file": verdict.file,
        "sha256": verdict.digest,
        "mapping": dict(verdict.mapping),
        "passed": verdict.passed,
        "least_pass_rate": verdict.least,
        "evaluators": [
            {
                "evaluator": each.evaluator,
                "outcomes": dict(each.outcomes),
                "version": each.version,
                "pass_rate": each.pass_rate,
                "interval": each.interval,
                "corrected": each.corrected and each.corrected._asdict(),
                "mean_score": each.mean_score,
                "mean_interval": each.mean_interval,
            }
            for each in verdict.tallies
        ],
        "classification": verdict.classification and classification_told(verdict.classification),
        "problems": [problem._asdict() for problem in verdict.problems],
        "rows": [
            {"row": each.number, "outcomes": {entry.evaluator: told(entry) for entry in each.entries}}
            for each in verdict.judged
        ],
    }
    file.write_bytes(orjson.dumps(everything, option=orjson.OPT_INDENT_2) + b"\n")


def classification_told(found: Classification) -> dict[str, Any]:
    return {
        "labels": found.labels,
        "matrix": found.matrix,
        "rows": found.rows,
        "left_out": found.left_out,
        "accuracy": found.accuracy,
        "micro": measures_of(found.micro),
        "macro": {measure: found.macro(measure) for measure in MEASURES},
        "classes": {label: measures_of(counts) for label, counts in found.classes.items()},
        "ranking": found.ranking and found.ranking._asdict(),
    }


def measures_of(counts: Counts) -> dict[str, float | None]:
    return {measure: getattr(counts, measure) for measure in MEASURES}


def write_junit(verdict: Verdict, file: Path) -> None:
    """A suite for each evaluator, a case for each row: what CI systems show."""
    suites = ElementTree.Element("testsuites", name="sidelight evaluate")
    for each in verdict.tallies:
        entries = [(judged.number, entry) for judged in verdict.judged for entry in judged.entries]
        own = [(number, entry) for number, entry in entries if entry.evaluator == each.evaluator]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=each.evaluator,
            tests=str(len(own)),
            failures=str(each.outcomes.get("fail", 0)),
            errors=str(each.outcomes.get("error", 0)),
            skipped=str(each.outcomes.get("skipped", 0)),
        )
        for number, entry in own:
            add_case(suite, number, entry)
    if verdict.problems:
        add_problems(suites, verdict.problems)
    ElementTree.indent(suites)
    ElementTree.ElementTree(suites).write(file, encoding="utf-8", xml_declaration=True)


def add_case(suite: ElementTree.Element, number: int, entry: LedgerEntry) -> None:
    took = f"{entry.duration / 1e9:.6f}"
    case = ElementTree.SubElement(suite, "testcase", classname=entry.evaluator, name=f"row {number}", time=took)
    if entry.outcome == "skipped":
        ElementTree.SubElement(case, "skipped", message=entry.reason or "")
    elif entry.outcome in ("fail", "error"):
        kind = "failure" if entry.outcome == "fail" else "error"
        ElementTree.SubElement(case, kind, message=printable(failure_of(number, entry).said))


def add_problems(suites: ElementTree.Element, problems: Sequence[Problem]) -> None:
    count = str(len(problems))
    suite = ElementTree.SubElement(suites, "testsuite", name="file", tests=count, errors=count)
    for problem in problems:
        case = ElementTree.SubElement(suite, "testcase", classname="file", name=f"row {problem.number}")
        ElementTree.SubElement(case, "error", message=printable(problem.said))


def printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(character if character.isprintable() else "·" for character in text)

"""An evaluated file in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidelight.classification import Classification
from sidelight.verdict import Failure, Tally, Verdict

MATRIX = 32  # characters of the labels above a confusion matrix that fits the terminal
SHOWN = 20  # failures, and rows that could not be read
OUTCOMES = {"pass": "pass", "fail": "fail", "scored": "score", "error": "error", "skipped": "skip"}


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Which column was taken for what, each evaluator's sums, what failed and why, and the conclusion."""
    taken = ", ".join(f"{field} from {column}" for field, column in verdict.mapping.items())
    console.print(Text(f"{len(verdict.judged):,} rows of {verdict.file}: {taken}."), soft_wrap=True)
    console.print(tallies_table(verdict.tallies))
    for text in corrections(verdict.tallies):
        console.print(Text(text), soft_wrap=True)
    if verdict.classification:
        print_classification(verdict.classification, console)
    if verdict.failures:
        console.print(failures_table(verdict.failures[:SHOWN]))
        more(len(verdict.failures), "more failed", console)
    for problem in verdict.problems[:SHOWN]:
        console.print(Text(f"row {problem.number} could not be read: {problem.said}", "yellow"), soft_wrap=True)
    more(len(verdict.problems), "more could not be read", console)
    console.print(conclusion(verdict), soft_wrap=True)


def tallies_table(tallies: Sequence[Tally]) -> Table:
    """Narrow enough for 80 columns; where a name is too long for them it folds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    table.add_column("evaluator", overflow="fold")
    for name in (*OUTCOMES.values(), "pass rate (95 %)", "mean (95 %)"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in tallies:
        counts = (f"{each.outcomes.get(outcome, 0):,}" for outcome in OUTCOMES)
        table.add_row(each.evaluator, *counts, rate(each), mean(each))
    return table


def corrections(tallies: Sequence[Tally]) -> list[str]:
    """Pass rates as people would find them, of evaluators that are calibrated."""
    return [
        f"{each.evaluator}: {share(*each.corrected)} as people would judge, by its calibration."
        for each in tallies
        if each.corrected
    ]


def failures_table(failures: Sequence[Failure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("row", justify="right")
    table.add_column("evaluator", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("why", overflow="fold")
    for each in failures:
        style = "red" if each.outcome == "fail" else "yellow"
        table.add_row(str(each.number), Text(each.evaluator, style), number(each.score), Text(each.said))
    return table


def print_classification(found: Classification, console: Console) -> None:
    console.print(Text(comparison(found)), soft_wrap=True)
    console.print(classes_table(found))


def comparison(found: Classification) -> str:
    """The labels in one sentence."""
    ranking = found.ranking
    auc = f", AUC of {ranking.positive} {number(ranking.auc)} in {ranking.rows:,} rows" if ranking else ""
    left_out = f"; {found.left_out:,} rows without both labels are left out" if found.left_out else ""
    return (
        f"Labels of {found.rows:,} rows: accuracy {found.accuracy:.0%}, F1 {number(found.micro.f1)} over rows (micro), "
        f"{number(found.macro('f1'))} over labels (macro){auc}{left_out}."
    )


def classes_table(found: Classification) -> Table:
    """A line for each true label; the matrix beside it where it is narrow enough."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    narrow = sum(len(f"→ {label} ") for label in found.labels) <= MATRIX
    shown = (*found.labels, "other") if narrow else ()
    table.add_column("true label", overflow="fold")
    for name in ("rows", "precision", "recall", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in shown:
        table.add_column(Text(f"→ {name}"), justify="right", overflow="fold")
    for label, line in zip(found.labels, found.matrix, strict=True):
        counts = found.classes[label]
        measures = (counts.precision, counts.recall, counts.f1)
        predicted = (f"{count:,}" for count in line[: len(shown)])
        table.add_row(Text(label), f"{sum(line):,}", *map(number, measures), *predicted)
    return table


def more(count: int, what: str, console: Console) -> None:
    if count > SHOWN:
        console.print(f"{count - SHOWN:,} {what}.", highlight=False)


def conclusion(verdict: Verdict) -> Text:
    if verdict.passed:
        return Text(f"Passed: every pass rate is at least {verdict.least:.0%}.", "green")
    reasons = [f"below {verdict.least:.0%} or broken: {', '.join(verdict.failed_evaluators)}"]
    reasons = reasons if verdict.failed_evaluators else []
    if verdict.problems:
        reasons.append(f"{len(verdict.problems):,} rows could not be read")
    return Text(f"Failed: {'; '.join(reasons)}.", "red")


def rate(each: Tally) -> str:
    """`75 % (41–93)`."""
    return "" if each.pass_rate is None or each.interval is None else share(each.pass_rate, *each.interval)


def share(value: float, low: float, high: float) -> str:
    return f"{value:.0%} ({low * 100:.0f}–{high * 100:.0f})"


def mean(each: Tally) -> str:
    """`0.62 (0.501–0.743)`."""
    if each.mean_interval is None:
        return number(each.mean_score)
    low, high = each.mean_interval
    return f"{number(each.mean_score)} ({number(low)}–{number(high)})"


def number(value: float | None) -> str:
    """Three digits, and all of them before the point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

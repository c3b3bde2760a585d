"""A calibration in the terminal: never an agreement without what chance would give, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.calibration import Calibration, Grades, Kappa, Scores
from sidelight.intervals import wilson
from sidelight.rows import Problem

SHOWN = 20  # stretches of rows in a line


def print_calibration(
    measured: Calibration, source: str, differing: Sequence[int], problems: Iterable[Problem], console: Console
) -> None:
    """Where it is from, the coefficients, who said what, what could not be read, and the conclusion."""
    version = measured.evaluator_version or "none known"
    console.print(Text(f"{source} (version {version}); of numbers, {measured.pass_at:g} is a pass."), soft_wrap=True)
    console.print(coefficients_table(measured))
    console.print(confusion_table(measured))
    if measured.grades:
        console.print(grades_table(measured.grades))
    if differing:
        console.print(f"They differ in {rows(differing)}.", soft_wrap=True, highlight=False)
    for said, numbers in by_reason(problems):
        console.print(Text(f"Left out, since {said}: {rows(numbers)}.", "yellow"), soft_wrap=True)
    console.print(conclusion(measured), soft_wrap=True)


def coefficients_table(measured: Calibration) -> Table:
    table = a_table(("", "left"), ("", "right"), ("95 %", "right"), ("", "left"))
    for row in coefficients(measured):
        table.add_row(*row)
    return table


def coefficients(measured: Calibration) -> Iterator[tuple[str, str, str, str]]:
    """What, how much, between which, and what that means."""
    yield share("base rate", measured.base_rate, measured.n, "people pass")
    yield share("agreement", measured.agreement, measured.n, "of verdicts, chance included")
    yield coefficient("Cohen's κ", measured.cohen_kappa, "of verdicts, beyond chance")
    if measured.grades:
        yield share("exact", measured.grades.exact_agreement, measured.n, "the same grade, chance included")
        yield share("within 1", measured.grades.agreement_within_1, measured.n, "grades at most 1 apart")
        yield coefficient("quadratic κ", measured.grades.quadratic_kappa, "of grades, beyond chance")
        yield "bias", f"{measured.bias:+.2f}", "", "grades; above 0 it is too kind"
        yield "mean error", f"{measured.mean_absolute_error:.2f}", "", "grades, either way"
    else:
        yield "bias", f"{measured.bias:+.1%}", "", "above 0 it passes more than people do"
    yield share("sensitivity", measured.sensitivity, measured.human_passes, "it passes what people pass")
    yield share("specificity", measured.specificity, measured.human_fails, "it fails what people fail")
    if measured.scores:
        yield from worth(measured.scores)


def worth(scores: Scores) -> Iterator[tuple[str, str, str, str]]:
    if scores.spearman is not None:
        way = "higher" if scores.higher_is_better else "lower"
        yield "Spearman", f"{scores.spearman:.2f}", "", f"of scores and labels; {way} is better"
    way = "pass from there on" if scores.higher_is_better else "pass up to there"
    for name, best, said in (
        ("best threshold", scores.best_by_youden, "Youden's index"),
        ("", scores.best_by_f1, "F1 of what people fail"),
    ):
        if best:
            yield name, f"{best.score:.4g}", "", f"{way}: {said} {best.reached:.2f}"


def share(name: str, value: float | None, of: int, said: str) -> tuple[str, str, str, str]:
    if value is None:
        return name, "–", "", f"{said}: there is none"
    low, high = wilson(round(value * of), of)
    return name, f"{value:.1%}", f"{low * 100:.0f}–{high * 100:.0f}", f"{said}, of {of:,}"


def coefficient(name: str, kappa: Kappa | None, said: str) -> tuple[str, str, str, str]:
    if kappa is None:
        return name, "–", "", f"{said}: everything is one and the same"
    return name, f"{kappa.value:.2f}", f"{kappa.low:.2f}–{kappa.high:.2f}", said


def confusion_table(measured: Calibration) -> Table:
    table = a_table(("", "left"), ("evaluator passes", "right"), ("evaluator fails", "right"))
    both = measured.confusion
    for name, verdicts in zip(("people pass", "people fail"), (both.human_pass, both.human_fail), strict=True):
        table.add_row(name, f"{verdicts.evaluator_pass:,}", f"{verdicts.evaluator_fail:,}")
    return table


def grades_table(grades: Grades) -> Table:
    table = a_table(("people ↓ evaluator →", "left"), *((str(level), "right") for level in grades.levels))
    for level, counts in zip(grades.levels, grades.counts, strict=True):
        table.add_row(str(level), *(f"{count:,}" for count in counts))
    return table


def a_table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left")
    return table


def by_reason(problems: Iterable[Problem]) -> Iterator[tuple[str, list[int]]]:
    ordered = sorted(problems, key=lambda problem: (problem.said, problem.number))
    for said, same in groupby(ordered, key=lambda problem: problem.said):
        yield said, [problem.number for problem in same]


def rows(numbers: Sequence[int]) -> str:
    """`row 3`; `4 rows: 1–3, 7`."""
    stretches = [[numbers[0], numbers[0]]]
    for number in numbers[1:]:
        if number == stretches[-1][1] + 1:
            stretches[-1][1] = number
        else:
            stretches.append([number, number])
    told = [str(first) if first == last else f"{first}–{last}" for first, last in stretches[:SHOWN]]
    more = ["…"] if len(stretches) > SHOWN else []
    return f"row {told[0]}" if len(numbers) == 1 else f"{len(numbers):,} rows: {', '.join(told + more)}"


def conclusion(measured: Calibration) -> Text:
    if measured.state == "calibrated":
        return Text(f"Calibrated: {measured.evaluator} agrees with people well enough to be believed.", "green")
    said = "Drifted: it was calibrated before, but" if measured.state == "drifted" else "Uncalibrated:"
    return Text(f"{said} {measured.reason}.", "red")

"""One number for an exchange: the weighted share of its judgements that passed. What nobody judged does not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, LedgerEntry
from processors.options import check_share


@dataclass(frozen=True, slots=True)
class Overall:
    """Scores from 0 to 1 what the other evaluators made of an exchange: weights that passed ÷ weights that judged."""

    weights: Mapping[str, float] = field(default_factory=dict)  # evaluator → weight; others 1, with 0 it is left out
    threshold: float | None = None  # fails below this score; None: the score without a judgement

    requires: ClassVar[tuple[str, ...]] = ()
    scale: ClassVar[str] = "0 … 1 all passed"

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not (isfinite(weight) and weight >= 0):
                raise ValueError(f"weights.{name} is {weight}; give a number, zero or more")
        if self.threshold is not None:
            check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        """Nothing: it sums up what others say."""
        return ()

    def sum_up(self, entries: Sequence[LedgerEntry]) -> Sequence[Evaluation]:
        judged = [(entry.outcome, self.weights.get(entry.evaluator, 1.0)) for entry in entries if decided(entry)]
        total = sum(weight for _, weight in judged)
        if not total:
            return ()
        score = sum(weight for outcome, weight in judged if outcome == "pass") / total
        label = None if self.threshold is None else "pass" if score >= self.threshold else "fail"
        passed = sum(outcome == "pass" for outcome, _ in judged)
        said = f"{passed} of {len(judged)} judgements passed, of {len(entries)} evaluators"
        return (Evaluation("overall", round(score, 4), label, said),)


def decided(entry: LedgerEntry) -> bool:
    return entry.outcome in ("pass", "fail")

"""How much personal data and how many secrets did redaction find?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from pipeline.records import Evaluation, Exchange
from processors.options import check_choice

Side = Literal["output", "input", "both", "new"]


@dataclass(frozen=True, slots=True)
class Pii:
    """Counts what redaction found, by kind; never looks at the text itself."""

    side: Side = "output"  # output, input, both, or new: kinds in the output that the input has not
    threshold: int = 1  # fails at this many findings

    requires: ClassVar[tuple[str, ...]] = ("genai",)

    def __post_init__(self) -> None:
        check_choice("side", self.side, get_args(Side))
        if self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; give the number of findings that fails, at least 1")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        counts = self._counts(exchange)
        total = sum(counts.values())
        explanation = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        label = "fail" if total >= self.threshold else "pass"
        return (Evaluation("pii", float(total), label, explanation or None),)

    def _counts(self, exchange: Exchange) -> Counter[str]:
        found = {side: Counter(exchange.findings.get(side, {})) for side in ("input", "output")}
        if self.side == "both":
            return found["input"] + found["output"]
        if self.side == "new":
            return Counter({kind: count for kind, count in found["output"].items() if kind not in found["input"]})
        return found[self.side]

"""How much personal data and how many secrets did redaction find?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange
from processors.findings import Side, check_findings, counted, judged


@dataclass(frozen=True, slots=True)
class Pii:
    """Counts what redaction found, by kind; never looks at the text itself."""

    side: Side = "output"  # output, input, both, or new: kinds in the output that the input has not
    threshold: int = 1  # fails at this many findings

    requires: ClassVar[tuple[str, ...]] = ("genai",)
    scale: ClassVar[str] = "number of findings"

    def __post_init__(self) -> None:
        check_findings(self.side, self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        return (judged("pii", counted(exchange.findings, self.side), self.threshold),)

"""How many API keys, passwords and private keys did redaction find, personal data apart?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange
from processors.findings import Side, check_findings, counted, judged
from processors.sensitive import SECRET_KINDS


@dataclass(frozen=True, slots=True)
class Secrets:
    """Counts the secrets that redaction found; never looks at the text itself."""

    side: Side = "output"  # output, input, both, or new: when the input has none
    threshold: int = 1  # fails at this many findings
    kinds: tuple[str, ...] = SECRET_KINDS  # which findings are secrets; a kind of one's own can be one, too

    requires: ClassVar[tuple[str, ...]] = ("genai",)
    scale: ClassVar[str] = "number of findings"

    def __post_init__(self) -> None:
        check_findings(self.side, self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        found = counted(exchange.findings, self.side)
        secret = {kind: count for kind, count in found.items() if kind in self.kinds}
        return (judged("secrets", secret, self.threshold),)

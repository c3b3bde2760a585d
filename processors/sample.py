"""Which exchanges are kept, and how many each of them stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

import msgspec

from config.settings import Duration
from pipeline.frame import CLIENT_DISCONNECT
from pipeline.records import EvaluatedExchange, TraceContext
from processors.options import check_choice, check_share

SPACE = 2**56  # randomness of a trace id, W3C Trace Context Level 2
Rule = Literal["error", "slow", "flagged"]
RULES: Mapping[Rule, Callable[[EvaluatedExchange, float], bool]] = {
    "error": lambda evaluated, slow: evaluated.exchange.error_type not in (None, CLIENT_DISCONNECT),
    "slow": lambda evaluated, slow: evaluated.exchange.timing.duration > slow * 1e9,
    "flagged": lambda evaluated, slow: any(entry.outcome == "fail" for entry in evaluated.entries),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Keeps a share of the exchanges and everything that a rule names; the weights keep sums unbiased."""

    ratio: float = 1.0  # share kept of what no rule names; the same traces at every Sidelight
    always: tuple[Rule, ...] = ("error", "slow", "flagged")  # kept whatever the ratio
    slow: Duration = 30.0  # duration above which an exchange is slow

    def __post_init__(self) -> None:
        check_share("ratio", self.ratio)
        for rule in self.always:
            check_choice("always", rule, get_args(Rule))
        if not (isfinite(self.slow) and self.slow >= 0):
            raise ValueError(f"slow is {self.slow}; give seconds, zero or more")

    def decide(self, evaluated: EvaluatedExchange) -> EvaluatedExchange:
        """The same with `kept` and `weight` set: 1 by a rule, 1/ratio by the ratio, 0 when sampled out."""
        kept, weight = self._verdict(evaluated)
        return msgspec.structs.replace(evaluated, kept=kept, weight=weight)

    def in_ratio(self, trace_id: str) -> bool:
        """Is this trace (32 hex digits) among those kept by the ratio? A lower ratio keeps a subset."""
        return self._keeps(int(trace_id[-14:], 16))

    def _verdict(self, evaluated: EvaluatedExchange) -> tuple[str, float]:
        if rule := next((rule for rule in self.always if RULES[rule](evaluated, self.slow)), None):
            return rule, 1.0
        if self._keeps(randomness(evaluated.exchange.trace)):
            return "ratio", 1 / self.ratio
        return "sampled_out", 0.0

    def _keeps(self, value: int) -> bool:
        return value >= round((1 - self.ratio) * SPACE)


def randomness(trace: TraceContext) -> int:
    """R of OpenTelemetry's consistent sampling: `rv` in tracestate, else the last 56 bits of the trace id."""
    entries = (entry.strip() for entry in (trace.tracestate or "").split(","))
    fields = next((entry[3:].split(";") for entry in entries if entry.startswith("ot=")), [])
    explicit = next((field[3:] for field in fields if field.startswith("rv:")), "")
    try:
        return int(explicit if len(explicit) == 14 else trace.trace_id[-14:], 16)
    except ValueError:
        return int(trace.trace_id[-14:], 16)

"""Which exchanges are kept, and how many each of them stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

import msgspec

from config.settings import Duration
from pipeline.frame import CLIENT_DISCONNECT
from pipeline.records import EvaluatedExchange, Exchange, TraceContext
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
        """The same with `kept` and `weight` set: 1 by a rule, 1/ratio by the ratio, 0 when sampled out.

        Where less than everything is kept, the trace state of what is says so too (`ot=th:…`).
        """
        kept, weight = self._verdict(evaluated)
        exchange = evaluated.exchange
        if self.ratio < 1 and weight:
            exchange = with_threshold(exchange, self._threshold if kept == "ratio" else 0)
        return msgspec.structs.replace(evaluated, exchange=exchange, kept=kept, weight=weight)

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
        return value >= self._threshold

    @property
    def _threshold(self) -> int:
        return round((1 - self.ratio) * SPACE)


def randomness(trace: TraceContext) -> int:
    """R of OpenTelemetry's consistent sampling: `rv` in tracestate, else the last 56 bits of the trace id."""
    explicit = own_fields(members(trace.tracestate)).get("rv", "")
    return int(explicit, 16) if re.fullmatch("[0-9a-f]{14}", explicit) else int(trace.trace_id[-14:], 16)


def with_threshold(exchange: Exchange, threshold: int) -> Exchange:
    """The same with T in its trace state: 0 for what is kept anyway; one that is higher already stays.

    Source: opentelemetry-specification, trace/tracestate-probability-sampling.md.
    """
    listed = members(exchange.trace.tracestate)
    fields = own_fields(listed)
    known = fields.get("th", "")
    if re.fullmatch("[0-9a-f]{1,14}", known):
        threshold = max(threshold, int(known.ljust(14, "0"), 16))
    fields = {"th": f"{threshold:014x}".rstrip("0") or "0"} | {name: fields[name] for name in fields if name != "th"}
    own = "ot=" + ";".join(f"{name}:{value}" for name, value in fields.items())
    tracestate = ",".join([own, *(member for member in listed if not member.startswith("ot="))])
    trace = msgspec.structs.replace(exchange.trace, tracestate=tracestate)
    return msgspec.structs.replace(exchange, trace=trace)


def members(tracestate: str | None) -> list[str]:
    """Of a trace state, in order."""
    return [member for part in (tracestate or "").split(",") if (member := part.strip())]


def own_fields(listed: Sequence[str]) -> dict[str, str]:
    """What OpenTelemetry's own member says."""
    own = next((member.removeprefix("ot=") for member in listed if member.startswith("ot=")), "")
    pairs = (field.partition(":") for field in own.split(";"))
    return {name: value for name, colon, value in pairs if colon}

"""How often evaluators are right on cases of our own, where nobody else's labels are: `python -m bench.own_cases`.

Half of the cases in bench/cases/ is developed on; the rest was written before and is held out: it says how good an
evaluator is, and no evaluator is changed for its sake. Still, whoever writes cases and evaluators uses the same words
in both, so these figures flatter, above all where phrases are looked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.accuracy import share
from pipeline.contracts import Processor
from pipeline.records import Exchange, Message, Part
from processors.citations import Citations
from processors.code_syntax import CodeSyntax
from processors.empty import Empty
from processors.indirect_injection import IndirectInjection
from processors.language import Language
from processors.redact import Redact
from processors.refusal import Refusal
from processors.secrets import Secrets
from processors.system_prompt_leak import SystemPromptLeak
from sidelight.intervals import wilson
from tests.support.records import an_exchange, answer

CASES = Path(__file__).parent / "cases"
CUT = "¦"  # in the files it cuts keys apart, so that nobody's scanner takes them for real ones
NOTHING = ("fine", "none")  # labels of cases where an evaluator has nothing to find
EVALUATORS: dict[str, Processor] = {
    "language": Language(expected="en"),  # with one expected, every language that is told is named
    "secrets": Secrets(),
    "indirect_injection": IndirectInjection(),
    "system_prompt_leak": SystemPromptLeak(),
    "refusal": Refusal(),
    "empty": Empty(),
    "citations": Citations(),
    "code_syntax": CodeSyntax(),
}
HALVES = {"developed on": False, "held out": True}


class Case(NamedTuple):
    """What passed, and what there is to find: `fail`, or a language, or one of NOTHING."""

    label: str
    held_out: bool
    exchange: Exchange


class Counts(NamedTuple):
    """A wrong language instead of the right one is both a false alarm and a miss."""

    n: int
    hits: int
    false_alarms: int
    misses: int

    @property
    def f1(self) -> float:
        return 2 * self.hits / (2 * self.hits + self.false_alarms + self.misses) if self.hits else 0.0

    def __str__(self) -> str:
        precision, recall = told_share(self.hits, self.false_alarms), told_share(self.hits, self.misses)
        return f"n {self.n}: precision {precision}, recall {recall}, F1 {self.f1:.3f}"


def told_share(part: int, rest: int) -> str:
    """With its 95 % interval, where there is anything to share."""
    if not part + rest:
        return f"{share(part, rest):.3f}"
    low, high = wilson(part, part + rest)
    return f"{share(part, rest):.3f} ({low:.3f}–{high:.3f})"


@cache
def cases_of(evaluator: str) -> tuple[Case, ...]:
    return tuple(Case(row["label"], row["held_out"], exchange_of(row)) for row in rows_of(evaluator))


def rows_of(evaluator: str) -> list[dict[str, Any]]:
    lines = (CASES / f"{evaluator}.jsonl").read_text("utf-8").replace(CUT, "").splitlines()
    return [json.loads(line) for line in lines]


def exchange_of(row: dict[str, Any]) -> Exchange:
    """Redacted, as evaluators see it."""
    asked = Message("user", (Part("text", content=row.get("query", "Hello?")),))
    told = [Message("tool", (Part("tool_call_response", response=row["tool_result"]),))] if "tool_result" in row else []
    exchange = an_exchange(
        system_instructions=(Part("text", content=row["system"]),) if "system" in row else (),
        input_messages=(asked, *told),
        output_messages=(answer(row.get("response", "Hello!")),),
        context=tuple(row.get("context", ())),
    )
    return Redact().redact(exchange)


def found_by(evaluator: str, exchange: Exchange) -> str | None:
    """`fail`, or the language that is told; None where nothing is."""
    said = EVALUATORS[evaluator].process(exchange)
    if evaluator == "language":
        return (said[0].explanation or "").partition(",")[0] if said else None
    return "fail" if any(each.score_label == "fail" for each in said) else None


def counts_of(evaluator: str, held_out: bool) -> Counts:
    cases = [case for case in cases_of(evaluator) if case.held_out is held_out]
    return count((case.label, found_by(evaluator, case.exchange)) for case in cases)


def count(judged: Iterable[tuple[str, str | None]]) -> Counts:
    n = hits = false_alarms = misses = 0
    for label, found in judged:
        n += 1
        hits += found == label
        false_alarms += found is not None and found != label
        misses += label not in NOTHING and found != label
    return Counts(n, hits, false_alarms, misses)


def told() -> dict[str, str]:
    """Of each evaluator, how it does on what is held out."""
    return {name: f"own cases, {counts_of(name, held_out=True)}" for name in EVALUATORS}


def main() -> None:
    for name in EVALUATORS:
        for half, held_out in HALVES.items():
            counts = counts_of(name, held_out)
            tally = f"{counts.hits} hits, {counts.false_alarms} false alarms, {counts.misses} misses"
            print(f"{name:20}{half:14}{counts}; {tally}")


if __name__ == "__main__":
    main()

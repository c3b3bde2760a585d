"""What an evaluator costs on this machine: CPU time for a question and an answer of a kilobyte each."""

from __future__ import annotations

from time import process_time_ns
from typing import Final

from pipeline.contracts import Processor
from pipeline.inputs import missing_input
from pipeline.records import Exchange
from sidelight.dataset import exchange_of
from sidelight.rows import Row

SPAN: Final = 4_000_000  # ns of CPU spent on finding it out
WARM: Final = 3
SENTENCE: Final = "The policy lets people carry over five days of unused leave into the next year, says the portal. "
KILOBYTE: Final = (SENTENCE * 11)[:1024]


def a_kilobyte_each() -> Exchange:
    """With everything that an evaluator may ask for."""
    fields = {
        "query": KILOBYTE,
        "response": KILOBYTE,
        "ground_truth": KILOBYTE,
        "context": [KILOBYTE],
        "system": "Answer from the policy.",
    }
    return exchange_of(Row(1, fields), {name: name for name in fields})


def microseconds(processor: Processor, exchange: Exchange) -> float | None:
    """Of CPU for one exchange; None where it has nothing to say of this one, or fails."""
    if missing_input(processor.requires, exchange) is not None:
        return None
    try:
        for _ in range(WARM):
            processor.process(exchange)
        began, runs = process_time_ns(), 0
        while (spent := process_time_ns() - began) < SPAN:
            processor.process(exchange)
            runs += 1
    except Exception:  # somebody's own, with no options; it says nothing of what it costs
        return None
    return spent / 1000 / max(runs, 1)

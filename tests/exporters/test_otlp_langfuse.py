"""What Langfuse reads on the spans, and that nothing there would be counted twice."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from exporters.otlp_span import Telling
from pipeline.records import Cost, EvaluatedExchange, Evaluation, LedgerEntry, Usage
from tests.exporters.test_otlp_encoding import spans
from tests.support.records import MS, an_exchange, reported

TYPE = "langfuse.observation.type"


def told_by(**changes: Any) -> dict[str, dict[str, Any]]:
    entry = LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.25, "pass", "No refusal."),))
    evaluated = EvaluatedExchange(an_exchange(**changes), (entry,))
    told = spans(evaluated, Telling("full", dialect="langfuse"))
    return {name: span["attributes"] for name, span in told.items()}


def langfuse_usage(attributes: dict[str, Any]) -> dict[str, float]:
    """As Langfuse 4.16 reads it: every number under the prefix, input and output less their known parts."""
    prefix = "gen_ai.usage."
    found = {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}
    cached = found.pop("cache_read.input_tokens", 0)
    written = found.pop("cache_creation.input_tokens", 0)
    reasoning = found.pop("reasoning.output_tokens", 0)
    return {
        **found,
        "input_tokens": found.get("input_tokens", 0) - cached - written,
        "output_tokens": found.get("output_tokens", 0) - reasoning,
        "cached": cached,
        "written": written,
        "reasoning": reasoning,
    }


def test_every_token_is_counted_once() -> None:
    usage = reported(9, 3, 4, 2, 1, audio__input_tokens=2, web_searches=1)
    assert sum(langfuse_usage(told_by(usage=usage)["CLIENT"]).values()) == 9 + 3


def test_an_estimate_is_no_usage() -> None:
    assert not [name for name in told_by(usage=Usage(9, 3, source="estimated"))["CLIENT"] if "_tokens" in name]


@pytest.mark.parametrize(
    ("operation", "kind"), [("chat", "generation"), ("embeddings", "embedding"), ("fetch_response", "span")]
)
def test_operations_are_observations_of_a_type(operation: str, kind: str) -> None:
    assert told_by(operation=operation)["CLIENT"][TYPE] == kind


def test_an_evaluation_is_an_evaluator_and_has_no_model_to_be_costed() -> None:
    told = told_by()
    assert (told["SERVER"][TYPE], told["evaluate refusal"][TYPE]) == ("span", "evaluator")
    assert not [name for name in told["evaluate refusal"] if "model" in name]


def test_costs_first_chunk_and_user_have_the_names_that_are_read() -> None:
    timing = msgspec.structs.replace(an_exchange().timing, first_chunk_at=40 * MS)
    told = told_by(cost=Cost(0.75, 0.5, 0.25, "a list"), stream=True, timing=timing, user="0123456789abcdef")["CLIENT"]
    details = json.loads(told["langfuse.observation.cost_details"])
    assert details == {"input": 0.5, "output": 0.25, "total": 0.75}
    assert told["langfuse.observation.completion_start_time"] == "2023-11-14T22:13:20.040000+00:00"
    assert told["langfuse.user.id"] == "0123456789abcdef"


def test_messages_are_texts_not_structures() -> None:
    told = told_by()["CLIENT"]
    assert isinstance(json.loads(told["gen_ai.input.messages"]), list)
    assert isinstance(json.loads(told["gen_ai.output.messages"]), list)

"""What a reader of OpenInference finds on the spans."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from exporters.otlp_span import Telling
from pipeline.records import Cost, EvaluatedExchange, Evaluation, Exchange, LedgerEntry, Message, Part, Usage
from tests.exporters.test_otlp_encoding import spans
from tests.support.records import an_exchange, answer, reported

PREFIX = "evaluations.0.evaluation"


def attributes_of(kind: str, content: Any = "full", entries: tuple[LedgerEntry, ...] = (), **changes: Any) -> Any:
    evaluated = EvaluatedExchange(an_exchange(**changes), entries)
    return spans(evaluated, Telling(content, dialect="openinference"))[kind]["attributes"]


def call(content: Any = "full", **changes: Any) -> dict[str, Any]:
    return attributes_of("CLIENT", content, **changes)


def test_the_kind_of_each_span_is_told() -> None:
    entry = LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.25, "pass", "No refusal."),))
    kinds = [
        attributes_of(kind, entries=(entry,))["openinference.span.kind"]
        for kind in ("SERVER", "CLIENT", "evaluate refusal")
    ]
    assert kinds == ["CHAIN", "LLM", "EVALUATOR"]


@pytest.mark.parametrize(
    ("operation", "kind"), [("embeddings", "EMBEDDING"), ("rerank", "RERANKER"), ("fetch_response", "CHAIN")]
)
def test_operations_are_kinds(operation: str, kind: str) -> None:
    assert call(operation=operation)["openinference.span.kind"] == kind


def test_tokens_and_costs_have_their_names() -> None:
    told = call(usage=reported(9, 3, 4, 2, 1, audio__input_tokens=2), cost=Cost(0.75, 0.5, 0.25, "a list"))
    assert {name: value for name, value in told.items() if name.startswith(("llm.token", "llm.cost"))} == {
        "llm.token_count.prompt": 9,
        "llm.token_count.completion": 3,
        "llm.token_count.total": 12,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 2,
        "llm.token_count.prompt_details.audio": 2,
        "llm.token_count.completion_details.reasoning": 1,
        "llm.cost.prompt": 0.5,
        "llm.cost.completion": 0.25,
        "llm.cost.total": 0.75,
    }


def test_an_estimate_is_no_count() -> None:
    told = call(usage=Usage(9, 3, source="estimated"))
    assert not [name for name in told if name.startswith("llm.token_count")]
    assert told["sidelight.usage.estimated.input_tokens"] == 9


def test_messages_are_flattened_and_the_system_instructions_are_the_first() -> None:
    asked = Message("assistant", (Part("tool_call", id="c1", name="weather", arguments={"city": "Paris"}),))
    told = call(
        system_instructions=(Part("text", content="Be brief."),),
        input_messages=(
            Message("user", (Part("text", content="Weather?"),)),
            asked,
            Message("tool", (Part("tool_call_response", id="c1", response={"sky": "grey"}),)),
        ),
        output_messages=(answer("Rain."),),
        tool_definitions=({"type": "function", "name": "weather"},),
        parameters={"temperature": 0.5},
    )
    messages = {name: value for name, value in told.items() if name.startswith("llm.input_messages")}
    assert messages == {
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "Weather?",
        "llm.input_messages.2.message.role": "assistant",
        "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
        "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "weather",
        "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"city":"Paris"}',
        "llm.input_messages.3.message.role": "tool",
        "llm.input_messages.3.message.tool_call_id": "c1",
        "llm.input_messages.3.message.content": '{"sky":"grey"}',
    }
    assert told["llm.output_messages.0.message.content"] == told["output.value"] == "Rain."
    assert json.loads(told["llm.tools.0.tool.json_schema"]) == {"type": "function", "name": "weather"}
    assert json.loads(told["llm.invocation_parameters"]) == {"temperature": 0.5}
    assert told["input.mime_type"] == "application/json"


def test_nothing_that_was_said_leaves_where_texts_may_not() -> None:
    secret = "the quick brown fox"
    told = call(
        "off",
        input_messages=(Message("user", (Part("text", content=secret),)),),
        output_messages=(answer(secret),),
        tool_definitions=({"type": "function", "name": secret},),
    )
    assert secret not in str(told)
    assert not [name for name in told if name.startswith(("llm.input", "llm.output", "llm.tools", "input", "output"))]


def test_the_newest_of_very_many_messages_are_told_and_the_cut_is_marked() -> None:
    many = tuple(Message("user", (Part("text", content=str(number)),)) for number in range(100))
    told = call(input_messages=many)
    assert told["llm.input_messages.63.message.content"] == "99"
    assert "llm.input_messages.64.message.role" not in told
    assert told["sidelight.content.truncated"] is True


def test_a_judgement_is_an_annotation_on_its_own_span() -> None:
    entry = LedgerEntry("refusal", "fail", evaluations=(Evaluation("refusal", 0.25, "fail", "It refuses."),))
    told = attributes_of("evaluate refusal", entries=(entry,))
    assert {name: value for name, value in told.items() if name.startswith(PREFIX)} == {
        f"{PREFIX}.name": "refusal",
        f"{PREFIX}.annotator_kind": "CODE",
        f"{PREFIX}.score": 0.25,
        f"{PREFIX}.label": "fail",
        f"{PREFIX}.explanation": "It refuses.",
    }


def test_hosts_and_families_of_models_have_their_names_there() -> None:
    told = call(provider="azure.ai.openai")
    assert (told["llm.provider"], told["llm.system"]) == ("azure", "openai")
    assert told["llm.model_name"] == "gpt-4o-2024-08-06"
    assert call(provider="vllm")["llm.system"] == "vllm"


def test_what_json_cannot_hold_is_left_out() -> None:
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    exchange: Exchange = an_exchange(
        input_messages=(Message("assistant", (Part("tool_call", id="c1", name="weather", arguments=deep),)),)
    )
    told = spans(EvaluatedExchange(msgspec.structs.replace(exchange)), Telling("full", dialect="openinference"))
    arguments = "llm.input_messages.0.message.tool_calls.0.tool_call.function.arguments"
    assert told["CLIENT"]["attributes"][arguments] == ""

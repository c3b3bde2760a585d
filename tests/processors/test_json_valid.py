from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Evaluation, Message, Part
from processors.json_valid import JsonValid
from tests.support.records import an_exchange, answer

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def judged(text: str, check: JsonValid | None = None, **changes: Any) -> Evaluation:
    changes = {"output_type": "json", "output_messages": (answer(text),)} | changes
    (evaluation,) = (check or JsonValid()).process(an_exchange(**changes))
    return evaluation


def test_json_that_was_asked_for_passes() -> None:
    assert judged('{"age": 3}') == Evaluation("json_valid", 1.0, "pass")


def test_the_place_of_a_syntax_error_is_told() -> None:
    assert judged('{"age":\n 3,}') == Evaluation("json_valid", 0.0, "fail", "not JSON: line 2, column 3")


@pytest.mark.parametrize("text", ["NaN", "[1,]", "{'a': 1}", '{"a": 1} trailing', "\ud800", "[" * 5000])
def test_what_json_forbids_fails(text: str) -> None:
    assert judged(text).score_label == "fail"


def test_the_requests_schema_is_followed() -> None:
    assert judged('{"age": "x"}', output_schema=SCHEMA).explanation == "$.age: type"
    assert judged("{}", output_schema=SCHEMA).explanation == "$: required"


def test_keys_of_the_answers_own_are_not_quoted() -> None:
    schema = {"additionalProperties": {"items": {"type": "integer"}}}
    assert judged('{"canary": [1, "x"]}', output_schema=schema).explanation == "$.*[1]: type"


def test_the_configured_schema_goes_before_the_requests() -> None:
    check = JsonValid(schema={"type": "array"})
    assert judged("[]", check, output_schema=SCHEMA).score_label == "pass"


def test_nobody_asked_for_json() -> None:
    assert JsonValid().process(an_exchange()) == ()
    assert JsonValid(always=True).process(an_exchange())[0].score_label == "fail"


@pytest.mark.parametrize(
    "message",
    [
        answer("I cannot.", "refusal"),
        answer("I cannot.", "content_filter"),
        Message("assistant", (Part("refusal", content="I cannot."),)),
        Message("assistant", (Part("tool_call", name="f", arguments={}),), finish_reason="tool_call"),
    ],
)
def test_refusals_and_tool_calls_are_none_of_its_business(message: Message) -> None:
    assert JsonValid().process(an_exchange(output_type="json", output_messages=(message,))) == ()


def test_a_code_fence_is_stripped_only_when_allowed() -> None:
    fenced = '```json\n{"age": 3}\n```'
    assert judged(fenced).score_label == "fail"
    assert judged(fenced, JsonValid(allow_fence=True)).score_label == "pass"


def test_each_choice_counts_towards_the_threshold() -> None:
    choices = (answer("[]"), answer("["))
    assert judged("", output_messages=choices).score_value == 0.5
    assert judged("", JsonValid(threshold=0.5), output_messages=choices).score_label == "pass"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"properties": {"a": {"pattern": "("}}},
        5,
        {"enum": ["x" * 2**18]},
    ],
)
def test_a_clients_unusable_schema_leaves_only_the_syntax_to_judge(schema: object) -> None:
    assert judged('{"a": "b"}', output_schema=schema).score_label == "pass"
    assert judged("{", output_schema=schema).score_label == "fail"


def test_a_pattern_made_to_hang_does_not() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert judged('"' + "a" * 5000 + '!"', output_schema=schema).explanation == "$: pattern"


def test_a_constraint_broken_by_redaction_is_not_the_answers_fault() -> None:
    schema = {"properties": {"to": {"pattern": "@"}, "via": {"anyOf": [{"const": "a@b.example"}, {"type": "null"}]}}}
    assert judged('{"to": "[EMAIL_1]", "via": "[EMAIL_2]"}', output_schema=schema).score_label == "pass"
    assert judged('{"to": "nobody"}', output_schema=schema).explanation == "$.to: pattern"


def test_an_unusable_configured_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema is not a JSON Schema; give a self-contained JSON Schema"):
        JsonValid(schema={"type": "nonsense"})

from __future__ import annotations

from typing import Any

from pipeline.records import Evaluation, Message, Part
from processors.tool_arguments import ToolArguments
from tests.support.records import an_exchange

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def judged(
    *arguments: Any, name: str = "weather", tools: tuple[Any, ...] = (WEATHER,), threshold: float = 1.0
) -> Evaluation:
    calls = tuple(
        Part("tool_call", id=f"call_{index}", name=name, arguments=value) for index, value in enumerate(arguments)
    )
    exchange = an_exchange(tool_definitions=tools, output_messages=(Message("assistant", calls),))
    (evaluation,) = ToolArguments(threshold).process(exchange)
    return evaluation


def test_arguments_that_satisfy_the_schema_pass() -> None:
    assert judged({"city": "Oslo"}) == Evaluation("tool_arguments", 1.0, "pass")


def test_arguments_that_do_not_parse_fail() -> None:
    assert judged('{"city": ').explanation == "call 1: arguments are not JSON"


def test_the_place_of_a_mismatch_is_told_and_the_value_is_not() -> None:
    assert judged({"city": "Oslo"}, {"city": 4711}) == Evaluation("tool_arguments", 0.5, "fail", "call 2: $.city: type")


def test_a_tool_nobody_offered_fails() -> None:
    assert judged({}, name="launch").explanation == "call 1: unknown tool"


def test_a_tool_of_the_providers_own_is_known_by_its_type() -> None:
    assert judged({"query": "x"}, name="web_search", tools=(WEATHER, {"type": "web_search"})).score_label == "pass"


def test_tools_defined_elsewhere_are_not_held_against_the_model() -> None:
    assert judged({"city": 1}, tools=()).score_label == "pass"
    assert judged("{", tools=()).score_label == "fail"


def test_no_arguments_are_an_empty_object() -> None:
    clock = {"type": "function", "name": "clock", "parameters": {"type": "object"}}
    assert judged(None, "", name="clock", tools=(clock,)).score_label == "pass"
    assert judged(None).explanation == "call 1: $: required"


def test_a_clients_bad_schema_is_not_the_models_fault() -> None:
    broken = {"type": "function", "name": "weather", "parameters": {"type": "nonsense"}}
    assert judged({"city": 1}, tools=(broken,)) == Evaluation(
        "tool_arguments", 1.0, "pass", "call 1: schema not usable, not checked"
    )


def test_a_real_problem_is_told_before_a_skipped_check() -> None:
    broken = {"type": "function", "name": "weather", "parameters": {"type": "nonsense"}}
    assert judged({}, "{", tools=(broken,)).explanation == "call 2: arguments are not JSON"


def test_the_threshold_tolerates_a_share() -> None:
    assert judged({"city": "Oslo"}, {}, threshold=0.5).score_label == "pass"


def test_an_answer_without_calls_is_none_of_its_business() -> None:
    assert ToolArguments().process(an_exchange()) == ()

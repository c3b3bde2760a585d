"""What the simulated model says to whom."""

from __future__ import annotations

from random import Random

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.demo.answers import SCENARIOS, Ask, Tool, an_instance, answers, chunks, pieces, scenario_of
from sidelight.demo.topics import CARDS, IBANS, TOPICS
from sidelight.demo.traffic import SCHEMA, TOOLS

OFFERED = tuple(Tool(tool["name"], tool["parameters"]) for tool in TOOLS)
PARAMETERS = {tool["name"]: tool["parameters"] for tool in TOOLS}


def an_ask(scenario: str = "answer", seed: int = 1, **changes: object) -> Ask:
    return Ask(scenario, seed, "Can I bake bread in a pot?", 20, **changes)  # type: ignore[arg-type]


@given(st.text())
def test_pieces_and_chunks_join_to_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert "".join(chunks(text, 3)) == text


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_request_gets_the_same_answer(scenario: str) -> None:
    assert answers(an_ask(scenario)) == answers(an_ask(scenario))


def test_choices_differ() -> None:
    texts = [answer.text for answer in answers(an_ask(choices=4))]
    assert len(set(texts)) == 4


def test_an_answer_keeps_to_the_topic_of_the_question() -> None:
    text = answers(an_ask())[0].text
    assert sum(fact in text for fact in TOPICS["bread"].facts) >= 3


def test_a_limit_cuts_the_answer_and_says_so() -> None:
    cut = answers(an_ask(limit=10))[0]
    assert (cut.output_tokens, cut.finish) == (10, "length")
    assert answers(an_ask())[0].text.startswith(cut.text)


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    assert answers(an_ask(limit=10_000)) == answers(an_ask())


@pytest.mark.parametrize("seed", range(20))
def test_json_and_tool_arguments_follow_their_schemas(seed: int) -> None:
    jsonschema_rs.validate(SCHEMA, orjson.loads(answers(an_ask(seed=seed, schema=SCHEMA))[0].text))
    call = answers(an_ask(seed=seed, tools=OFFERED))[0].tool_calls[0]
    jsonschema_rs.validate(PARAMETERS[call.name], orjson.loads(call.arguments))


@pytest.mark.parametrize("seed", range(20))
def test_broken_json_never_follows_its_schema(seed: int) -> None:
    text = answers(an_ask("broken_json", seed, schema=SCHEMA))[0].text
    with pytest.raises((orjson.JSONDecodeError, jsonschema_rs.ValidationError)):
        jsonschema_rs.validate(SCHEMA, orjson.loads(text))


@pytest.mark.parametrize("seed", range(20))
def test_wrong_arguments_never_follow_their_schema(seed: int) -> None:
    call = answers(an_ask("wrong_arguments", seed, tools=OFFERED))[0].tool_calls[0]
    assert not jsonschema_rs.is_valid(PARAMETERS[call.name], orjson.loads(call.arguments))


def test_an_instance_honours_enums_bounds_and_nesting() -> None:
    schema = {
        "type": "object",
        "properties": {
            "grade": {"type": "integer", "minimum": 3, "maximum": 4},
            "share": {"type": "number"},
            "open": {"type": "boolean"},
            "kinds": {"type": "array", "items": {"enum": ["a", "b"]}},
        },
        "required": ["grade", "share", "open", "kinds"],
    }
    for seed in range(50):
        jsonschema_rs.validate(schema, an_instance(schema, Random(seed)))


def test_personal_data_is_made_of_published_test_numbers() -> None:
    texts = [answers(an_ask("pii", seed))[0].text for seed in range(30)]
    assert all(any(value in text for value in (*CARDS, *IBANS)) for text in texts)


@pytest.mark.parametrize(("name", "scenario"), [("pii:17", ("pii", 17)), ("rate_limit:0", ("rate_limit", 0))])
def test_a_request_names_its_scenario(name: str, scenario: tuple[str, int]) -> None:
    assert scenario_of(name, "Hello?") == scenario


@pytest.mark.parametrize("name", [None, "", "someone", "nothing:1", "pii:", "pii:x", 7, {"pii": 1}])
def test_any_other_name_is_a_plain_answer_seeded_by_the_prompt(name: object) -> None:
    assert scenario_of(name, "Hello?") == scenario_of(None, "Hello?")
    assert scenario_of(name, "Hello?")[0] == "answer"
    assert scenario_of(name, "Hello?") != scenario_of(name, "Goodbye?")

"""Options → component, or an error with the option's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.build import build, build_all
from exporters import EXPORTERS
from pipeline.errors import ConfigError
from processors import PROCESSORS


@dataclass(frozen=True)
class Judge:
    """A component with one option of each kind."""

    threshold: float = 0.5
    mode: Literal["strict", "loose"] = "strict"
    words: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; give a number from 0 to 1")


REGISTRY: dict[str, type[Any]] = {"judge": Judge, "other": Judge}


def refusal(identity: str, options: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        build("processors", identity, options, REGISTRY)
    (problem,) = refused.value.problems
    assert "\n" not in problem
    return problem


def test_options_become_fields() -> None:
    assert build("processors", "judge/strict", {"threshold": 1, "words": ["a"]}, REGISTRY) == Judge(1.0, words=("a",))


def test_no_options_are_the_defaults() -> None:
    assert build("processors", "judge", None, REGISTRY) == build("processors", "judge", {}, REGISTRY) == Judge()


def test_an_unknown_component_gets_a_suggestion() -> None:
    assert refusal("jugde", {}) == "processors.jugde: there is no such component; did you mean judge?"


def test_an_unknown_component_with_a_name_gets_a_suggestion_too() -> None:
    assert refusal("jugde/of-a-long-name", {}).endswith("did you mean judge?")


def test_an_unknown_component_unlike_any_gets_the_list() -> None:
    assert refusal("xyz", {}).endswith("known here: judge, other")


def test_an_unknown_option_gets_a_suggestion() -> None:
    assert refusal("judge/strict", {"treshold": 1}) == (
        "processors.judge/strict.treshold: unknown option; did you mean threshold?"
    )


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"threshold": "high"}, "processors.judge.threshold"),
        ({"mode": "other"}, "processors.judge.mode"),
        ({"words": 5}, "processors.judge.words"),
        ({"words": ["a", 5]}, "processors.judge.words[1]"),
        ({"headers": {"a": []}}, "processors.judge.headers.a"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(options: dict[str, Any], place: str) -> None:
    assert refusal("judge", options).startswith(f"{place}: ")


def test_what_the_component_itself_refuses_has_its_place_and_its_words() -> None:
    assert refusal("judge", {"threshold": 2}) == "processors.judge: threshold is 2.0; give a number from 0 to 1"


@pytest.mark.parametrize("options", [[1], "text", 5, True])
def test_options_that_are_no_mapping_are_refused(options: Any) -> None:
    assert refusal("judge", options).startswith("processors.judge: must be a mapping")


def test_all_problems_of_all_components_are_told() -> None:
    components = {"judge": {"treshold": 1, "mood": 2}, "jugde": None, "other": {"threshold": 3}}
    with pytest.raises(ConfigError) as refused:
        build_all("processors", components, REGISTRY)
    assert len(refused.value.problems) == 4


SHIPPED = [("processors", name, PROCESSORS) for name in PROCESSORS] + [
    ("exporters", name, EXPORTERS) for name in EXPORTERS
]
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([{}, [], [{}], {"x": 1}, [[]], ["("], "(", {"type": 5}, {"$ref": "#"}, "\x00", "http://h:x"])
)


@given(component=st.sampled_from(SHIPPED), data=st.data())
def test_any_options_of_a_shipped_component_are_taken_or_refused(component: Any, data: st.DataObject) -> None:
    section, name, registry = component
    options = data.draw(st.dictionaries(st.sampled_from([*registry[name].__dataclass_fields__]), ODD, max_size=2))
    problems: tuple[str, ...] = ()
    try:
        build(section, name, options, registry)
    except ConfigError as refused:
        problems = refused.problems
    assert all(problem.startswith(f"{section}.{name}") and "\n" not in problem for problem in problems)

from __future__ import annotations

from typing import Any

import pytest

from pipeline.inputs import INPUTS
from processors import rubric as rubrics
from processors.rubric import Rubric, names, shipped

TWO: dict[int, str] = {0: "No.", 1: "Yes."}
FIVE: dict[int, str] = dict.fromkeys(range(1, 6), "So.")


def a_rubric(**options: Any) -> Rubric:
    return Rubric(**{"name": "polite", "asks": "Is it polite?", "levels": FIVE} | options)


def test_the_rubrics_that_ship_are_the_files() -> None:
    assert {"coherence", "faithfulness", "context_precision", "preference", "violence"} <= set(names())
    assert all(name.isidentifier() for name in names())


@pytest.mark.parametrize("name", names())
def test_every_rubric_that_ships_is_whole(name: str) -> None:
    rubric = shipped(name)
    assert rubric.name == name
    assert rubric.asks.endswith(("?", "."))
    assert set(rubric.requires) <= set(INPUTS)
    assert not set(rubric.shows) & set(rubric.if_there)
    levels = sorted(rubric.levels)
    assert levels == list(range(levels[0], levels[0] + len(levels))) if levels else rubric.kind != "levels"
    assert len(set(rubric.levels.values())) == len(levels), "two levels read the same"
    assert not rubric.passes(rubric.scale[1] if rubric.lower_is_better else rubric.scale[0])
    assert rubric.passes(rubric.scale[0] if rubric.lower_is_better else rubric.scale[1])


def test_a_rubric_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no rubric 'coherance'; choose one of .*coherence.*, or write one"):
        shipped("coherance")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "name has to be 1 to 64 letters"),
        ({"name": "is it polite?"}, "name has to be 1 to 64 letters"),
        ({"asks": " "}, "asks is empty"),
        ({"shows": ()}, "shows is empty; name what the judge sees, of instructions, question"),
        ({"levels": {}}, "levels are 0; describe from 2 to 11"),
        ({"levels": dict.fromkeys(range(12), "So.")}, "levels are 12; describe from 2 to 11"),
        ({"levels": {-1: "Bad.", 1: "Good."}}, "levels go from 0 to 99"),
        ({"of": "statements"}, "of is for share and ranked"),
        ({"kind": "share", "levels": {}}, "of is missing"),
        ({"kind": "share", "of": "statements"}, "levels are for the kind levels"),
        ({"kind": "ranked", "levels": {}, "of": "use"}, "shows has no 'context'"),
        ({"kind": "preference", "levels": {}}, "shows has no 'reference'"),
        ({"pass_at": 6.0}, "pass_at is 6; give a number from 1 to 5"),
        ({"pass_at": float("nan")}, "pass_at is nan"),
    ],
)
def test_a_rubric_that_cannot_work_says_why(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        a_rubric(**options)


@pytest.mark.parametrize(
    ("options", "passing", "failing"),
    [
        ({}, 3.0, 2.99),
        ({"levels": TWO}, 0.5, 0.49),
        ({"pass_at": 4.0}, 4.0, 3.9),
        ({"lower_is_better": True}, 3.0, 3.01),
        ({"kind": "share", "levels": {}, "of": "statements"}, 0.5, 0.49),
    ],
)
def test_it_passes_at_its_bound_or_in_the_middle_of_its_scale(
    options: dict[str, Any], passing: float, failing: float
) -> None:
    assert a_rubric(**options).passes(passing)
    assert not a_rubric(**options).passes(failing)


def test_it_requires_what_it_shows_once_and_nothing_of_what_it_may_show_besides() -> None:
    rubric = a_rubric(shows=("question", "conversation", "answer"), if_there=("reference",))
    assert rubric.requires == ("question", "response_text")


def test_every_material_is_an_input_that_exchanges_have() -> None:
    assert set(rubrics.INPUTS.values()) <= set(INPUTS)

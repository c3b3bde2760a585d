"""docs/judges.md has a row for each rubric that ships, and says of it what the rubric says."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from config.build import build_all
from config.load import load
from processors import JUDGES
from processors.rubric import Rubric, names, shipped
from tests.test_docs import mentions, yaml_blocks

PAGE = Path(__file__).parents[1] / "docs" / "judges.md"


def row(rubric: Rubric) -> str:
    passes = f"{'≤' if rubric.lower_is_better else '≥'} {rubric.bound:g} of {rubric.scale[0]:g}–{rubric.scale[1]:g}"
    shown, besides = (", ".join(f"`{name}`" for name in some) for some in (rubric.shows, rubric.if_there))
    return f"| `{rubric.name}` | `{rubric.kind}` | {passes} | {shown} | {besides} |"


@pytest.mark.parametrize("name", names())
def test_the_page_has_the_row_of_every_rubric(name: str) -> None:
    assert row(shipped(name)) in PAGE.read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", [field.name for field in fields(Rubric)])
def test_the_page_mentions_every_field_of_a_rubric(name: str) -> None:
    assert mentions(PAGE.read_text("utf-8").partition("## A rubric of your own")[2], name)


def test_the_rubric_of_ones_own_can_be_built() -> None:
    (block,) = yaml_blocks(PAGE.read_text("utf-8"))
    (judge,) = build_all("processors", load(block, {})["processors"], JUDGES).values()
    assert judge.rubrics[0].name == "tone"

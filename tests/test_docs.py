"""The documentation names everything there is, and its examples work."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from config.build import option_names
from config.load import load, settings_from, walk
from config.settings import Settings
from exporters import EXPORTERS
from processors import JUDGES, PROCESSORS, STAGES
from sidelight.cli import parser
from sidelight.components import build_components, with_defaults

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "configuration.md"
COMPONENTS: dict[str, Any] = {**STAGES, **PROCESSORS, **JUDGES, **EXPORTERS}
SET_BY_THE_APPLICATION = {("otlp", "resource")}
PAGES = sorted(str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
ENVIRONMENT = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "OTLP_TOKEN": "k"}


def text_of(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def mentions(text: str, name: str) -> bool:
    """Is the name there as a word in code: `name`, `a.name`, name: …?"""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", text) is not None


def fields(model: type[BaseModel], seen: tuple[type[BaseModel], ...] = ()) -> Iterator[str]:
    """Every field of a section and of the sections in it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in walk(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in seen:
                yield from fields(inner, (*seen, inner))


def verbs() -> list[str]:
    actions = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return list(next(actions).choices)


def options() -> list[tuple[str, str]]:
    every = [(name, option) for name, kind in COMPONENTS.items() for option in option_names(kind)]
    return [option for option in every if option not in SET_BY_THE_APPLICATION]


def section_about(text: str, name: str) -> str:
    """From the heading that names it to the next heading of that level or above."""
    heading = re.search(rf"^(#+) .*(?<![A-Za-z0-9_])`?{re.escape(name)}`?(?![A-Za-z0-9_]).*$", text, re.MULTILINE)
    if heading is None:
        return ""
    rest = text[heading.end() :]
    following = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def yaml_blocks(text: str) -> list[str]:
    return re.findall(r"^```ya?ml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", sorted(set(fields(Settings))))
def test_the_reference_mentions_every_setting(name: str) -> None:
    assert mentions(text_of(REFERENCE), name)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_reference_has_a_section_about_every_component(name: str) -> None:
    assert section_about(text_of(REFERENCE), name)


@pytest.mark.parametrize(("component", "option"), options())
def test_a_components_section_mentions_each_option(component: str, option: str) -> None:
    assert mentions(section_about(text_of(REFERENCE), component), option)


@pytest.mark.parametrize("verb", verbs())
def test_the_reference_mentions_every_verb(verb: str) -> None:
    assert f"sidelight {verb}" in text_of(REFERENCE)


def test_the_example_loads() -> None:
    tree = with_defaults(load(text_of(ROOT / "config" / "example.yaml"), ENVIRONMENT))
    build_components(settings_from(tree))


@pytest.mark.parametrize("file", ["README.md", "docs/configuration.md"])
def test_every_whole_configuration_in_the_documents_loads(file: str) -> None:
    blocks = [block for block in yaml_blocks(text_of(ROOT / file)) if re.search(r"^proxy:", block, re.MULTILINE)]
    assert blocks, f"{file} shows no configuration"
    for block in blocks:
        build_components(settings_from(with_defaults(load(block, ENVIRONMENT))))


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text_of(ROOT / page)):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(text_of(file)), target

"""Each alert has a section in docs/runbooks.md, and leads to it; what that tells people to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporters.prometheus import Prometheus
from tests.support.dashboards import rules
from tests.support.emitted import names
from tests.support.promql import metrics_in
from tests.test_docs import anchors, section_about, text_of, verbs

PAGE = Path(__file__).parents[2] / "docs" / "runbooks.md"
TEXT = text_of(PAGE)
ALERTS = rules("alert")
PARTS = ("Means", "Users", "Look", "Do")
KNOWN = names() | set(rules("record")) | {"up", "ALERTS"}


def queries() -> list[str]:
    return re.findall(r"^```promql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    sections = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
    assert sorted(sections) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_section(name: str) -> None:
    path, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert path == "docs/runbooks.md"
    assert anchor == name.lower()
    assert anchor in anchors(TEXT)


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_it_means_who_feels_it_where_to_look_and_what_to_do(name: str) -> None:
    assert tuple(re.findall(r"^\*\*(\w+)\.\*\*", section_about(TEXT, name), re.MULTILINE)) == PARTS


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_tells_the_severity_of_its_alert(name: str) -> None:
    assert section_about(TEXT, name).strip().startswith(f"*{ALERTS[name]['labels']['severity']}*")


@pytest.mark.parametrize("query", queries())
def test_a_query_on_the_page_asks_only_for_what_is_measured(query: str) -> None:
    assert metrics_in(query)
    assert metrics_in(query) <= KNOWN


def test_the_commands_on_the_page_exist() -> None:
    told = set(re.findall(r"\bsidelight ([a-z-]+)", " ".join(re.findall(r"`[^`]+`", TEXT))))
    assert told
    assert told <= set(verbs())


def test_the_addresses_on_the_page_are_the_usual_ones() -> None:
    assert set(re.findall(r"127\.0\.0\.1:\d+", TEXT)) == {"127.0.0.1:13133", Prometheus.listen}

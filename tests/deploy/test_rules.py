"""Every alert says what it is about, and is shown to fire and to keep quiet; tests/backends/test_rules.py runs that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.dashboards import RULE_TESTS, rules
from tests.support.promql import metrics_in

RECORDS, ALERTS = rules("record"), rules("alert")
SEVERITIES = {"critical", "warning", "info"}


class Case(NamedTuple):
    """One situation: the metrics that there are, and the alerts that fire at any time."""

    name: str
    metrics: set[str]
    firing: set[str]


def cases() -> Iterator[Case]:
    for file in RULE_TESTS:
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            metrics = {name for each in test["input_series"] for name in metrics_in(each["series"])}
            yield Case(test["name"], metrics, set(firing(test)))


def firing(test: dict[str, Any]) -> Iterator[str]:
    for check in test["promql_expr_test"]:
        for sample in check["exp_samples"]:
            yield from re.findall(r'alertname="(\w+)"', sample["labels"])


def measured(expression: str) -> set[str]:
    """The metrics that an expression reads, also through recording rules."""
    names = metrics_in(expression)
    recorded = names & set(RECORDS)
    return (names - recorded).union(*(measured(RECORDS[name]["expr"]) for name in recorded))


CASES = list(cases())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_shown_to_fire(name: str) -> None:
    assert any(name in case.firing for case in CASES)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_shown_to_keep_quiet(name: str) -> None:
    """In a situation with something to measure, which is not bad enough."""
    read = measured(ALERTS[name]["expr"])
    assert any(case.metrics & read and name not in case.firing for case in CASES)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_it_is_about(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Sidelight")
    assert alert["labels"]["severity"] in SEVERITIES
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("name", RECORDS)
def test_a_recorded_name_says_level_and_operation(name: str) -> None:
    assert re.fullmatch(r"sidelight:[a-z_]+:[a-z0-9_]+", name)


def test_every_situation_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)

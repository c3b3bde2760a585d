"""Prometheus' own tool accepts the rules, and each alert fires when it should and not when it should not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.dashboards import RULE_TESTS, RULES

pytestmark = pytest.mark.backends

PROMTOOL = str(Path(__file__).parents[2] / ".backends" / "promtool")


def promtool(*arguments: object) -> None:
    result = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_the_rules_are_accepted(file: Path) -> None:
    promtool("check", "rules", file)


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should(file: Path) -> None:
    promtool("test", "rules", file)

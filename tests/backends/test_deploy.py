"""The programs that deploy/ is for take its files: the Collector, Prometheus' own checker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.backends

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"


def said_by(program: str, *arguments: str | Path) -> str:
    """What it wrote, if it ended well."""
    command = [ROOT / ".backends" / program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_collector_takes_its_file() -> None:
    said_by("otelcol", "validate", "--config", COMPOSE / "otel-collector.yaml")


def test_prometheus_takes_its_file() -> None:
    assert "SUCCESS" in said_by("promtool", "check", "config", COMPOSE / "prometheus.yaml")

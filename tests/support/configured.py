"""A configuration file as `sidelight validate` sees it, in an environment of the test's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.load import load
from config.settings import Settings
from sidelight.components import with_defaults
from sidelight.otel_environment import told_by
from sidelight.supervisor import settings_of

REFERENCE = Path(__file__).parents[2] / "docs" / "configuration.md"


def tree_in(text: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Its tree, references resolved and omitted sections filled in; ConfigError otherwise."""
    variables = environment or {}
    return with_defaults(load(text, variables), told_by(variables))


def settings_in(text: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Its settings, checked together with every component; ConfigError otherwise."""
    return settings_of(tree_in(text, environment))


def port(address: str) -> int:
    """`0.0.0.0:4000` → 4000."""
    return int(address.rpartition(":")[2])


def patience_beyond_drain() -> float:
    """How much longer than `drain` an orchestrator should wait, as the reference says, in seconds."""
    said = re.search(r"An orchestrator should wait `drain` and (\d+) seconds", REFERENCE.read_text())
    assert said
    return float(said[1])

"""The dashboards and rules as they are on disk: what Grafana and Prometheus will read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = DEPLOY / "grafana" / "dashboards"
RULES = (DEPLOY / "prometheus" / "recording.yaml", DEPLOY / "prometheus" / "alerts.yaml")
RULE_TESTS = sorted((Path(__file__).parents[1] / "deploy" / "rules").glob("*.yaml"))

Json = dict[str, Any]


class Query(NamedTuple):
    """One query of one panel."""

    dashboard: str
    panel: str
    legend: str
    expression: str
    instant: bool
    exemplars: bool

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.legend}"


def dashboards() -> dict[str, Json]:
    """Each dashboard by its file's name."""
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: Json) -> list[Json]:
    """All that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """Of all panels of all dashboards."""
    return [
        Query(name, panel["title"], target["legendFormat"], target["expr"], target["instant"], target["exemplar"])
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def rules(kind: str) -> dict[str, Json]:
    """Each rule by its name; `kind` is record or alert."""
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}

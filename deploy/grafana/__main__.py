"""Writes the dashboards as the JSON that Grafana reads."""

from __future__ import annotations

from pathlib import Path

from deploy.grafana import DASHBOARDS
from deploy.grafana.render import as_json

FOLDER = Path(__file__).parent / "dashboards"

if __name__ == "__main__":
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.name}.json").write_text(as_json(dashboard), "utf-8")

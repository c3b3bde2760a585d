"""The dashboards; `python -m deploy.grafana` writes each as JSON into `deploy/grafana/dashboards/`."""

from __future__ import annotations

from deploy.grafana import debug, evaluator, executive, itself, on_call, overview

DASHBOARDS = (
    overview.DASHBOARD,
    executive.DASHBOARD,
    on_call.DASHBOARD,
    debug.DASHBOARD,
    evaluator.DASHBOARD,
    itself.DASHBOARD,
)

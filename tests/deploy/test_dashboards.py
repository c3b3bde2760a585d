"""The dashboards are what their source says, ask for what is measured, and explain themselves."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import yaml

from deploy.grafana import DASHBOARDS
from deploy.grafana.render import as_json
from exporters.prometheus import open_metrics
from pipeline.telemetry import Exemplar
from tests.support.dashboards import DASHBOARDS as FOLDER
from tests.support.dashboards import DEPLOY, dashboards, panels, queries, rules
from tests.support.emitted import names
from tests.support.promql import labels_in, metrics_in

PROMETHEUS_OWN = {"up", "ALERTS"}
KNOWN = names() | PROMETHEUS_OWN | set(rules("record"))
WITH_EXEMPLARS = {
    f"{name}_bucket"
    for name in (
        "gen_ai_client_inference_duration_seconds",
        "gen_ai_client_inference_time_to_first_chunk_seconds",
        "gen_ai_client_inference_operation_input_tokens",
        "gen_ai_client_inference_operation_output_tokens",
        "http_server_request_duration_seconds",
        "http_client_request_duration_seconds",
        "sidelight_evaluation_score",
        "sidelight_evaluation_duration_seconds",
        "sidelight_proxy_overhead_seconds",
    )
}
EVERY_RULE = {**rules("record"), **rules("alert")}


def test_the_files_are_up_to_date() -> None:
    written = {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()}
    assert written == {f"{each.name}.json": as_json(each) for each in DASHBOARDS}, "run python -m deploy.grafana"


@pytest.mark.parametrize("query", queries(), ids=str)
def test_a_panel_asks_only_for_what_is_measured(query: Any) -> None:
    asked = metrics_in(query.expression)
    assert asked
    assert asked <= KNOWN


@pytest.mark.parametrize("name", EVERY_RULE)
def test_a_rule_asks_only_for_what_is_measured(name: str) -> None:
    assert metrics_in(EVERY_RULE[name]["expr"]) <= KNOWN


@pytest.mark.parametrize("name", dashboards())
def test_every_variable_in_a_query_is_one_that_can_be_chosen(name: str) -> None:
    dashboard = dashboards()[name]
    chosen = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {word for query in queries() if query.dashboard == name for word in variables_in(query.expression)}
    assert used <= chosen
    assert chosen - {"datasource"} <= used, "a choice that changes nothing"


def variables_in(expression: str) -> set[str]:
    return {part.split('"')[0] for part in expression.split('"$')[1:]}


@pytest.mark.parametrize("name", dashboards())
def test_every_panel_explains_itself(name: str) -> None:
    for panel in panels(dashboards()[name]):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


@pytest.mark.parametrize("name", dashboards())
def test_no_two_panels_of_a_dashboard_share_place_or_number(name: str) -> None:
    everything = dashboards()[name]["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for one, other in combinations(everything, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in everything)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_what_is_measured_with_exemplars_shows_them() -> None:
    """Over time, and of calls, requests and scores; a chunk's time has no trace."""
    for dashboard in dashboards().values():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                if panel["type"] in ("timeseries", "heatmap") and metrics_in(target["expr"]) & WITH_EXEMPLARS:
                    assert target["exemplar"], panel["title"]


@pytest.mark.parametrize("name", dashboards())
def test_every_dashboard_leads_to_the_others(name: str) -> None:
    dashboard = dashboards()[name]
    assert dashboard["uid"] == f"sidelight-{name}"
    assert [link["tags"] for link in dashboard["links"]] == [dashboard["tags"]]


def test_links_lead_to_dashboards_and_choices_that_exist() -> None:
    everything = dashboards().values()
    uids = {dashboard["uid"]: dashboard for dashboard in everything}
    links = [
        link["url"]
        for dashboard in everything
        for panel in panels(dashboard)
        for link in panel["fieldConfig"]["defaults"].get("links", ())
    ]
    assert links
    for link in links:
        path, _, question = link.partition("?")
        target = uids[path.removeprefix("/d/")]
        chosen = {part.split("=")[0].removeprefix("var-") for part in question.split("&") if part.startswith("var-")}
        assert chosen <= {variable["name"] for variable in target["templating"]["list"]}


def test_an_exemplar_leads_to_its_trace() -> None:
    file = DEPLOY / "grafana" / "provisioning" / "datasources" / "sidelight.yaml"
    sources = {source["uid"]: source for source in yaml.safe_load(file.read_text())["datasources"]}
    (destination,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] in open_metrics(Exemplar(1.0, 1, "0" * 32, "0" * 16)).labels
    assert sources[destination["datasourceUid"]]["type"] == "jaeger"


def test_names_are_told_apart_from_everything_else_in_a_query() -> None:
    query = 'sum by (le, job) (rate(a_bucket{b=~"c|d",e!=""}[5m] offset 1d)) / on () group_left (f) x:y:z or vector(0)'
    assert metrics_in(query) == {"a_bucket", "x:y:z"}
    assert labels_in(query) == {"le", "job", "b", "e", "f"}

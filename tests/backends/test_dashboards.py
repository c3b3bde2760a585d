"""After the demo's traffic, no panel of any dashboard is empty, and Prometheus follows every rule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from sidelight.demo import Place, config, free_addresses, traffic
from tests.backends.otelcol import Collector
from tests.backends.prometheus import Prometheus, prometheus
from tests.support.dashboards import RULES, Query, dashboards, queries, rules
from tests.support.promql import labels_in
from tests.support.running import Running, running, until
from tests.support.simulated import simulated_endpoint

pytestmark = pytest.mark.backends

CALLS = 120  # in each round; the plan is the same, so every series of the first grows in the second
CONCURRENCY = 16
WINDOW = 60  # seconds; all that happens here fits into it, on a slow machine too
CHOICES = {
    "$__rate_interval": f"{WINDOW}s",
    "$__range": f"{WINDOW}s",
    "$job": "sidelight",
    "$instance": ".*",
    "$model": ".*",
    "$upstream": ".*",
}
PROCESSORS = config("", Place(Path(), "", ""))["processors"]
EVALUATORS = sorted(set(PROCESSORS) - {"redact", "sample"})


def chosen(query: Query) -> list[Query]:
    """With a value for every variable; of an evaluator's page, one for each evaluator of the demo."""
    expression = query.expression
    for variable, value in CHOICES.items():
        expression = expression.replace(variable, value)
    if "$evaluator" not in expression:
        return [query._replace(expression=expression)]
    return [query._replace(dashboard=name, expression=expression.replace("$evaluator", name)) for name in EVALUATORS]


QUERIES = [each for query in queries() for each in chosen(query)]
WITH_EXEMPLARS = [query for query in QUERIES if query.exemplars]
RECORDED = rules("record")


class Seen(NamedTuple):
    """What Prometheus had to say."""

    values: dict[Query, list[float]]
    exemplars: dict[Query, set[str]]  # the traces that they lead to
    traces: set[str]
    recorded: dict[str, list[float]]
    choices: dict[str, set[str]]
    labels: set[str]
    rules: list[dict[str, Any]]


async def observed(folder: Path) -> Seen:
    """Two rounds of the demo's calls through a real Sidelight; then every question is asked."""
    (address,) = free_addresses(1)
    collector = Collector(folder)
    exporters = {
        "store": {"path": str(folder / "store.db")},
        "prometheus": {"listen": address},
        "otlp": {"endpoint": collector.endpoints["http/protobuf"]},
    }
    async with (
        simulated_endpoint() as upstream,
        collector.running(),
        running(folder, upstream, processors=PROCESSORS, exporters=exporters) as run,
        prometheus(folder, address, RULES) as backend,
    ):
        for calls in (CALLS, 2 * CALLS):
            await traffic.send(run.url, CALLS, CONCURRENCY, lambda result: None)
            await everything_is_known(run, backend, calls)
        await until(lambda: every_record(backend))
        traces = {trace for (trace,) in await run.rows("SELECT trace_id FROM exchange")}
        return await answers(backend, traces)


async def everything_is_known(run: Running, backend: Prometheus, calls: int) -> None:
    """Wait until Prometheus has read all that these calls led to."""
    await run.settled(calls)

    async def read() -> bool:
        counts = ("sidelight_exchange_done_total", "sidelight_exporter_sent_total", "sidelight_proxy_requests_total")
        return [await backend.total(name) for name in counts] == [calls] * len(counts)

    await until(read)


async def every_record(backend: Prometheus) -> bool:
    """Has each recording rule been followed since all was read?"""
    return set(RECORDED) <= await backend.names()


async def answers(backend: Prometheus, traces: set[str]) -> Seen:
    return Seen(
        {query: await ask(backend, query) for query in QUERIES},
        {query: await traces_of(backend, query) for query in WITH_EXEMPLARS},
        traces,
        {name: await backend.course(name, WINDOW) for name in RECORDED},
        await choices(backend),
        await backend.labels(),
        await backend.rules(),
    )


async def ask(backend: Prometheus, query: Query) -> list[float]:
    if query.instant:
        return [value for _, value in await backend.query(query.expression)]
    return await backend.course(query.expression, WINDOW)


async def traces_of(backend: Prometheus, query: Query) -> set[str]:
    return {exemplar["labels"]["trace_id"] for exemplar in await backend.exemplars(query.expression)}


async def choices(backend: Prometheus) -> dict[str, set[str]]:
    """What each variable of each dashboard offers."""
    offered = {}
    for name, dashboard in dashboards().items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").split(", ")
                offered[f"{name}: {variable['name']}"] = await backend.values(label, metric)
    return offered


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return uvloop.run(observed(tmp_path_factory.mktemp("dashboards")))


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_no_panel_is_empty(seen: Seen, query: Query) -> None:
    assert any(map(math.isfinite, seen.values[query])), query.expression


@pytest.mark.parametrize("query", WITH_EXEMPLARS, ids=str)
def test_dots_lead_to_traces(seen: Seen, query: Query) -> None:
    assert seen.exemplars[query]
    assert seen.exemplars[query] <= seen.traces


@pytest.mark.parametrize("name", RECORDED)
def test_every_recording_rule_records_numbers(seen: Seen, name: str) -> None:
    assert any(map(math.isfinite, seen.recorded[name]))


def test_prometheus_follows_every_rule(seen: Seen) -> None:
    assert {rule["name"] for rule in seen.rules} == {*rules("record"), *rules("alert")}
    assert [(rule["name"], rule.get("lastError")) for rule in seen.rules if rule["health"] != "ok"] == []


def test_nothing_alarming_happens_in_the_demo(seen: Seen) -> None:
    assert [rule["name"] for rule in seen.rules if rule.get("state") == "firing"] == []


def test_every_variable_offers_something(seen: Seen) -> None:
    assert [name for name, values in seen.choices.items() if not values] == []


def test_every_label_in_a_query_is_one_that_exists(seen: Seen) -> None:
    of_what_may_not_be_there = {"alertname", "alertstate", "severity"}  # Prometheus' own, of alerts
    for query in QUERIES:
        assert labels_in(query.expression) - of_what_may_not_be_there <= seen.labels, str(query)

from __future__ import annotations

from exporters.measure import Measure
from exporters.vocabulary import in_vocabulary
from pipeline.records import Usage
from pipeline.telemetry import Metric, Telemetry
from tests.support.records import an_evaluated_exchange, an_exchange


def metrics() -> tuple[Metric, ...]:
    measure = Measure(Telemetry())
    measure.record(an_evaluated_exchange())
    measure.record(an_evaluated_exchange(exchange=an_exchange(operation="embeddings", usage=Usage(input_tokens=5))))
    return measure.snapshot().metrics


def by_name(vocabulary: str) -> dict[str, Metric]:
    told = in_vocabulary(metrics(), vocabulary)  # type: ignore[arg-type]
    assert len({metric.name for metric in told}) == len(told)
    return {metric.name: metric for metric in told}


def operations(metric: Metric) -> list[object]:
    return [dict(point.attributes)["gen_ai.operation.name"] for point in metric.points]


def test_latest_has_the_new_names_and_the_general_ones_only_for_other_operations() -> None:
    told = by_name("latest")
    assert "gen_ai.client.inference.duration" in told
    assert operations(told["gen_ai.client.operation.duration"]) == ["embeddings"]


def test_legacy_has_no_name_that_deployed_dashboards_do_not_know() -> None:
    told = by_name("legacy")
    assert not [name for name in told if name.startswith("gen_ai.client.inference.")]
    assert sorted(map(str, operations(told["gen_ai.client.operation.duration"]))) == ["chat", "embeddings"]
    usage = {
        (dict(point.attributes)["gen_ai.operation.name"], dict(point.attributes)["gen_ai.token.type"]): point.sum
        for point in told["gen_ai.client.token.usage"].points
    }
    assert usage == {("chat", "input"): 9, ("chat", "output"): 3, ("embeddings", "input"): 5}


def test_both_has_every_name_of_either() -> None:
    assert set(by_name("both")) == set(by_name("latest")) | set(by_name("legacy"))


def test_http_metrics_are_the_same_in_every_vocabulary() -> None:
    measured = metrics()
    http = [metric for metric in measured if metric.name.startswith("http.")]
    for told in (in_vocabulary(measured, "latest"), in_vocabulary(measured, "legacy"), in_vocabulary(measured, "both")):
        assert [metric for metric in told if metric.name.startswith("http.")] == http

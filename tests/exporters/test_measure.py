from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporters.measure import Measure
from pipeline.records import Cost, EvaluatedExchange, Evaluation, Http, LedgerEntry, Usage
from pipeline.telemetry import MAX_SERIES, HistogramPoint, NumberPoint, Telemetry
from tests.support.records import MS, TRACE, an_evaluated_exchange, an_exchange, reported


def measured(*exchanges: EvaluatedExchange) -> dict[str, Any]:
    """name → {attributes as a dict's items: point}."""
    telemetry = Telemetry()
    measure = Measure(telemetry)
    for evaluated in exchanges:
        measure.record(evaluated)
    metrics = measure.snapshot().metrics + telemetry.snapshot().metrics
    return {metric.name: list(metric.points) for metric in metrics}


def evaluated_as(**changes: Any) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(**changes))


def http_as(**changes: Any) -> Http:
    return msgspec.structs.replace(an_exchange().http, **changes)


def only(points: list[Any]) -> tuple[dict[str, Any], HistogramPoint | NumberPoint]:
    [point] = points
    return dict(point.attributes), point


def test_an_inference_is_measured_with_its_span_duration_and_tokens() -> None:
    metrics = measured(evaluated_as())
    attributes, point = only(metrics["gen_ai.client.inference.duration"])
    assert point.sum == 0.041
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert only(metrics["gen_ai.client.inference.operation.input_tokens"])[1].sum == 9
    assert only(metrics["gen_ai.client.inference.operation.output_tokens"])[1].sum == 3
    attributes, point = only(metrics["gen_ai.client.inference.usage.input_tokens"])
    assert (point.value, attributes["gen_ai.token.modality"]) == (9, "unknown")


def test_http_is_measured_on_both_sides() -> None:
    metrics = measured(evaluated_as())
    attributes, point = only(metrics["http.server.request.duration"])
    assert point.sum == 0.041
    assert attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
    }
    attributes, point = only(metrics["http.client.request.duration"])
    assert point.sum == 0.040
    assert attributes == {
        "http.request.method": "POST",
        "server.address": "api.openai.com",
        "server.port": 443,
        "http.response.status_code": 200,
    }


def test_tokens_nobody_reported_are_not_counted() -> None:
    metrics = measured(evaluated_as(usage=Usage()))
    assert not [name for name in metrics if "token" in name]


def test_an_http_exchange_has_no_genai_metrics() -> None:
    metrics = measured(evaluated_as(operation=None, wire="http"))
    assert not [name for name in metrics if name.startswith("gen_ai.")]
    assert metrics.keys() >= {"http.server.request.duration", "http.client.request.duration"}


def test_chunks_are_measured_only_in_streams_once_each_after_the_first() -> None:
    timing = msgspec.structs.replace(
        an_exchange().timing, first_chunk_at=20 * MS, chunk_times=(20 * MS, 30 * MS, 35 * MS)
    )
    metrics = measured(evaluated_as(stream=True, timing=timing))
    assert only(metrics["gen_ai.client.inference.time_to_first_chunk"])[1].sum == 0.020
    _, between = only(metrics["gen_ai.client.inference.time_per_output_chunk"])
    assert (between.count, between.sum) == (2, pytest.approx(0.015))
    assert not [name for name in measured(evaluated_as(timing=timing)) if "chunk" in name]


@pytest.mark.parametrize(
    ("status", "server", "client"), [(404, None, "404"), (500, "500", "500"), (200, None, None), (429, None, "429")]
)
def test_a_status_is_an_error_by_the_conventions_of_each_side(status: int, server: Any, client: Any) -> None:
    metrics = measured(evaluated_as(http=http_as(status=status)))
    assert only(metrics["http.server.request.duration"])[0].get("error.type") == server
    assert only(metrics["http.client.request.duration"])[0].get("error.type") == client


def test_an_upstream_that_never_answered_is_an_error_without_status() -> None:
    metrics = measured(evaluated_as(http=http_as(status=None), error_type="connect_error", complete=False))
    attributes, _ = only(metrics["http.server.request.duration"])
    assert attributes["error.type"] == "connect_error"
    assert "http.response.status_code" not in attributes
    assert only(metrics["gen_ai.client.inference.duration"])[0]["error.type"] == "connect_error"


def test_a_broken_stream_is_an_error_though_its_status_was_200() -> None:
    metrics = measured(evaluated_as(error_type="upstream_reset", complete=False))
    assert only(metrics["http.server.request.duration"])[0]["error.type"] == "upstream_reset"


def test_a_client_that_left_is_no_error() -> None:
    metrics = measured(evaluated_as(error_type="client_disconnect", complete=False))
    for name in ("http.server.request.duration", "http.client.request.duration", "gen_ai.client.inference.duration"):
        assert "error.type" not in only(metrics[name])[0]


def test_an_operation_that_is_not_inference_keeps_the_general_names() -> None:
    metrics = measured(evaluated_as(operation="embeddings", usage=Usage(input_tokens=5)))
    assert not [name for name in metrics if "inference" in name]
    assert only(metrics["gen_ai.client.operation.duration"])[0]["gen_ai.operation.name"] == "embeddings"
    assert only(metrics["gen_ai.client.token.usage"])[0]["gen_ai.token.type"] == "input"


def test_sampled_out_exchanges_are_measured_without_exemplars() -> None:
    kept = only(measured(evaluated_as())["gen_ai.client.inference.duration"])[1]
    assert [(each.trace_id, each.span_id) for each in kept.exemplars] == [(TRACE.trace_id, TRACE.client_span_id)]
    out = msgspec.structs.replace(evaluated_as(), kept="sampled_out")
    point = only(measured(out)["gen_ai.client.inference.duration"])[1]
    assert (point.count, point.exemplars) == (1, ())


def test_a_trace_its_caller_does_not_sample_is_no_exemplar() -> None:
    evaluated = evaluated_as(trace=msgspec.structs.replace(TRACE, sampled=False))
    assert only(measured(evaluated)["http.server.request.duration"])[1].exemplars == ()


def test_callers_models_are_bounded_in_number_and_length() -> None:
    many = [evaluated_as(request_model=f"{number}-" + "m" * 10_000) for number in range(MAX_SERIES + 10)]
    points = measured(*many)["gen_ai.client.inference.duration"]
    assert len(points) == MAX_SERIES
    models = [dict(point.attributes).get("gen_ai.request.model", "") for point in points]
    assert max(map(len, models)) == 128


def test_hostile_names_stay_encodable() -> None:
    [point] = measured(evaluated_as(request_model="\ud800\x00model"))["gen_ai.client.inference.duration"]
    assert dict(point.attributes)["gen_ai.request.model"] == "?\x00model"


def test_an_unknown_method_is_other() -> None:
    attributes, _ = only(measured(evaluated_as(http=http_as(method="BREW")))["http.server.request.duration"])
    assert attributes["http.request.method"] == "_OTHER"


def test_evaluations_are_told_by_outcome_score_and_weight() -> None:
    entries = (
        LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.2, "pass"),), duration=2 * MS),
        LedgerEntry("slow", "error", reason="timeout", duration=1000 * MS),
        LedgerEntry("judge", "skipped", reason="budget"),
    )
    metrics = measured(an_evaluated_exchange(entries=entries, weight=4.0))
    outcomes = {
        tuple(dict(point.attributes).values()): point.value for point in metrics["sidelight.evaluation.outcomes"]
    }
    assert outcomes == {("refusal", "pass"): 1, ("slow", "error", "timeout"): 1, ("judge", "skipped", "budget"): 1}
    represented = {dict(p.attributes)["evaluator"]: p.value for p in metrics["sidelight.evaluation.represented"]}
    assert represented == {"refusal": 4.0, "slow": 4.0}
    attributes, score = only(metrics["sidelight.evaluation.score"])
    assert score.sum == 0.2
    assert attributes == {
        "evaluator": "refusal",
        "gen_ai.evaluation.name": "refusal",
        "gen_ai.request.model": "gpt-4o",
    }
    durations = {dict(p.attributes)["evaluator"]: p.sum for p in metrics["sidelight.evaluation.duration"]}
    assert durations == {"refusal": 0.002, "slow": 1.0}


def test_tokens_are_split_by_modality_as_far_as_the_provider_tells() -> None:
    usage = reported(10, 4, 6, audio__input_tokens=3, text__input_tokens=5, audio__output_tokens=4,
                     audio__cache_read__input_tokens=2)  # fmt: skip
    metrics = measured(evaluated_as(usage=usage))
    counted = {
        name.rsplit("usage.", 1)[1]: {dict(point.attributes)["gen_ai.token.modality"]: point.value for point in points}
        for name, points in metrics.items()
        if ".inference.usage." in name
    }
    assert counted == {
        "input_tokens": {"audio": 3, "text": 5, "unknown": 2},
        "output_tokens": {"audio": 4},
        "cache_read.input_tokens": {"audio": 2, "unknown": 4},
    }


def test_estimated_tokens_have_a_counter_of_their_own_and_no_conventional_one() -> None:
    telemetry = Telemetry()
    measure = Measure(telemetry)
    measure.record(evaluated_as(usage=Usage(input_tokens=5, output_tokens=2, source="estimated")))
    assert not [each.name for each in measure.snapshot().metrics if "token" in each.name]
    assert telemetry.usage_estimated_tokens.total(**{"gen_ai.token.type": "input"}) == 5
    assert telemetry.usage_estimated_tokens.total() == 7
    assert telemetry.usage_exchanges.total(source="estimated", wire="openai_chat", upstream="openai") == 1


def test_cost_is_summed_where_it_is_known_and_counted_where_it_is_not() -> None:
    telemetry = Telemetry()
    measure = Measure(telemetry)
    measure.record(evaluated_as(cost=Cost(0.25, 0.2, 0.05, "override")))
    measure.record(evaluated_as(cost=Cost(0.5, 0.3, 0.2, "genai-prices 0.2.3", estimated=True)))
    measure.record(evaluated_as())
    measure.record(evaluated_as(usage=Usage()))
    assert telemetry.cost_total.total() == 0.75
    assert telemetry.cost_total.total(estimated=True) == 0.5
    assert telemetry.cost_unknown.total(**{"gen_ai.request.model": "gpt-4o"}) == 1


def test_a_turn_of_a_connection_is_no_http_request_of_its_own() -> None:
    assert not [name for name in measured(evaluated_as(turn=1)) if name.startswith("http.")]

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
)

from exporters.measure import Measure
from exporters.otlp_metrics import metrics_request
from exporters.temporality import Deltas, Temporality
from pipeline.exponential import bucket_of
from pipeline.telemetry import HistogramPoint, Telemetry
from tests.support.otlp_receiver import metrics_in
from tests.support.records import TRACE, an_evaluated_exchange


def test_every_kind_of_instrument_is_told_with_its_scope() -> None:
    telemetry = Telemetry()
    telemetry.exporter_sent.add(3, (("exporter", "otlp"),))
    telemetry.journal_pending.observe(lambda: [(7, ())])
    telemetry.process_memory.observe(lambda: [(1.5, (("process", "proxy"),))])
    measure = Measure(telemetry)
    measure.record(an_evaluated_exchange())
    snapshots = (telemetry.snapshot(), measure.snapshot())
    message = ExportMetricsServiceRequest.FromString(metrics_request({"service.name": "bot"}, snapshots, "latest"))
    told = {metric["name"]: metric for metric in metrics_in(message)}

    sent = told["sidelight.exporter.sent"]
    assert (sent["kind"], sent["scope"], sent["unit"]) == ("sum", "sidelight", "{exchange}")
    assert sent["points"] == [{"attributes": {"exporter": "otlp"}, "exemplars": [], "value": 3}]
    assert told["sidelight.journal.pending"]["points"][0]["value"] == 7
    assert told["sidelight.process.memory"]["kind"] == "gauge"
    assert told["sidelight.process.memory"]["points"][0]["value"] == 1.5

    duration = told["http.server.request.duration"]
    assert (duration["scope"], duration["schema_url"]) == ("sidelight.http", "https://opentelemetry.io/schemas/1.44.0")
    [point] = duration["points"]
    assert (point["count"], point["sum"], point["exemplars"]) == (1, 0.041, [TRACE.trace_id])
    assert sum(point["bucket_counts"]) == 1
    assert len(point["bucket_counts"]) == len(point["bounds"]) + 1
    assert {metric["resource"]["service.name"] for metric in told.values()} == {"bot"}


def test_sums_are_cumulative_and_only_counters_are_monotonic() -> None:
    telemetry = Telemetry()
    telemetry.exchange_done.add(1)
    telemetry.journal_pending.observe(lambda: [(7, ())])
    snapshot = telemetry.snapshot()
    message = ExportMetricsServiceRequest.FromString(metrics_request({}, [snapshot], "both"))
    metrics = {metric.name: metric for metric in message.resource_metrics[0].scope_metrics[0].metrics}
    assert metrics["sidelight.exchange.done"].sum.is_monotonic
    assert not metrics["sidelight.journal.pending"].sum.is_monotonic
    for metric in metrics.values():
        assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        [point] = metric.sum.data_points
        assert (point.start_time_unix_nano, point.time_unix_nano) == (snapshot.started_at, snapshot.time)


def test_nothing_measured_is_no_request() -> None:
    assert metrics_request({}, [Telemetry().snapshot()], "both") == b""


def exponentially(temporality: Temporality, *rounds: Sequence[float]) -> Any:
    """What a backend is told last of these durations, recorded round by round and each round taken."""
    telemetry, deltas = Telemetry(), Deltas()
    telemetry.count_exponentially()
    message = None
    for values in rounds:
        for value in values:
            telemetry.evaluation_duration.record(value, (("evaluator", "refusal"),), "ab" * 16, "cd" * 8)
        snapshots = [telemetry.snapshot()]
        told = deltas.since_last(snapshots) if temporality == "delta" else snapshots
        deltas.taken()
        body = metrics_request({}, told, "both", temporality, "exponential")
        message = ExportMetricsServiceRequest.FromString(body)
    assert message
    (metric,) = message.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.exponential_histogram.data_points
    return metric.exponential_histogram, point


def test_histograms_are_exponential_where_that_is_asked_for() -> None:
    histogram, point = exponentially("cumulative", [0.0, 0.5, 0.5, 2.0])
    assert histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert (point.count, point.sum, point.zero_count, point.min, point.max) == (4, 3.0, 1, 0.0, 2.0)
    counts = {point.positive.offset + index: n for index, n in enumerate(point.positive.bucket_counts) if n}
    assert counts == {(-1 << point.scale) - 1: 2, (1 << point.scale) - 1: 1}
    assert {exemplar.trace_id.hex() for exemplar in point.exemplars} == {"ab" * 16}


def test_exponential_deltas_are_what_was_gained_even_when_the_buckets_became_coarser() -> None:
    histogram, point = exponentially("delta", [1.0, 1.01], [0.001, 1000.0])
    assert histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    assert (point.count, sum(point.positive.bucket_counts)) == (2, 2)
    used = [index for index, count in enumerate(point.positive.bucket_counts, point.positive.offset) if count]
    assert used == [bucket_of(0.001, point.scale), bucket_of(1000.0, point.scale)]


def test_nobody_pays_for_exponential_buckets_that_nobody_wants() -> None:
    telemetry = Telemetry()
    telemetry.evaluation_duration.record(1.0)
    (metric,) = telemetry.snapshot().metrics
    (point,) = metric.points
    assert isinstance(point, HistogramPoint)
    assert point.exponential is None

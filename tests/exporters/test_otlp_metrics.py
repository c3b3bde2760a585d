from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from exporters.measure import Measure
from exporters.otlp_metrics import metrics_request
from pipeline.telemetry import Telemetry
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

"""Snapshots of our instruments as OTLP metrics, through the SDK's data model and the official encoder.

A snapshot is sent a few times a minute, so the encoder's price does not matter as it does for spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as SdkHistogram
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporters import semconv
from exporters.temporality import Temporality
from exporters.vocabulary import Vocabulary, in_vocabulary
from pipeline.exponential import ExponentialBuckets
from pipeline.telemetry import Exemplar, HistogramPoint, Metric, NumberPoint, Snapshot

Histograms = Literal["explicit", "exponential"]

TEMPORALITIES: dict[Temporality, AggregationTemporality] = {
    "cumulative": AggregationTemporality.CUMULATIVE,
    "delta": AggregationTemporality.DELTA,
}


def metrics_request(
    resource: Mapping[str, str],
    snapshots: Iterable[Snapshot],
    vocabulary: Vocabulary,
    temporality: Temporality = "cumulative",
    histograms: Histograms = "explicit",
) -> bytes:
    """An ExportMetricsServiceRequest holding every metric under the names of `vocabulary`; empty when there is none.

    `temporality` says what the counters and histograms of these snapshots hold.
    """
    added_up = TEMPORALITIES[temporality]
    by_scope: dict[semconv.Scope, list[SdkMetric]] = {}
    for snapshot in snapshots:
        for metric in in_vocabulary(snapshot.metrics, vocabulary):
            by_scope.setdefault(semconv.scope_of(metric.name), []).append(
                sdk_metric(metric, snapshot, added_up, histograms)
            )
    if not by_scope:
        return b""
    scopes = [
        ScopeMetrics(InstrumentationScope(scope.name, schema_url=scope.schema_url), metrics, scope.schema_url)
        for scope, metrics in by_scope.items()
    ]
    data = MetricsData([ResourceMetrics(Resource(dict(resource)), scopes, "")])
    return bytes(encode_metrics(data).SerializeToString())


def sdk_metric(
    metric: Metric, snapshot: Snapshot, added_up: AggregationTemporality, histograms: Histograms
) -> SdkMetric:
    data = (
        sdk_histogram(metric, snapshot, added_up, histograms)
        if metric.kind == "histogram"
        else sdk_numbers(metric, snapshot, added_up)
    )
    return SdkMetric(metric.name, metric.description, metric.unit, data)


def sdk_histogram(
    metric: Metric, snapshot: Snapshot, added_up: AggregationTemporality, histograms: Histograms
) -> SdkHistogram | ExponentialHistogram:
    points = [point for point in metric.points if isinstance(point, HistogramPoint)]
    if histograms == "exponential":
        counted = [(point, point.exponential) for point in points if point.exponential]
        return ExponentialHistogram([exponential_point(*each, snapshot) for each in counted], added_up)
    return SdkHistogram([histogram_point(point, metric, snapshot) for point in points], added_up)


def sdk_numbers(metric: Metric, snapshot: Snapshot, added_up: AggregationTemporality) -> Sum | Gauge:
    """Sums that may fall are cumulative in either case."""
    numbers = number_points(metric, snapshot)
    if metric.kind == "gauge":
        return Gauge(numbers)
    monotonic = metric.kind == "counter"
    return Sum(numbers, added_up if monotonic else AggregationTemporality.CUMULATIVE, is_monotonic=monotonic)


def number_points(metric: Metric, snapshot: Snapshot) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(dict(point.attributes), snapshot.started_at, snapshot.time, point.value)
        for point in metric.points
        if isinstance(point, NumberPoint)
    ]


def histogram_point(point: HistogramPoint, metric: Metric, snapshot: Snapshot) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=dict(point.attributes),
        start_time_unix_nano=snapshot.started_at,
        time_unix_nano=snapshot.time,
        count=point.count,
        sum=point.sum,
        bucket_counts=point.bucket_counts,
        explicit_bounds=metric.bounds,
        min=point.min,  # type: ignore[arg-type]  # None leaves the field out
        max=point.max,  # type: ignore[arg-type]
        exemplars=[sdk_exemplar(exemplar) for exemplar in point.exemplars],
    )


def exponential_point(
    point: HistogramPoint, buckets: ExponentialBuckets, snapshot: Snapshot
) -> ExponentialHistogramDataPoint:
    return ExponentialHistogramDataPoint(
        attributes=dict(point.attributes),
        start_time_unix_nano=snapshot.started_at,
        time_unix_nano=snapshot.time,
        count=point.count,
        sum=point.sum,
        scale=buckets.scale,
        zero_count=buckets.zero_count,
        positive=Buckets(buckets.offset, buckets.counts),
        negative=Buckets(0, ()),
        flags=0,
        min=point.min,  # type: ignore[arg-type]  # None leaves the field out
        max=point.max,  # type: ignore[arg-type]
        exemplars=[sdk_exemplar(exemplar) for exemplar in point.exemplars],
    )


def sdk_exemplar(exemplar: Exemplar) -> SdkExemplar:
    ids = {"span_id": int(exemplar.span_id, 16), "trace_id": int(exemplar.trace_id, 16)}
    return SdkExemplar({}, exemplar.value, exemplar.time, **ids)

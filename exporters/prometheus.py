"""All metrics at /metrics, for Prometheus to read: OpenMetrics with exemplars where it asks for that, else its text.

Names are what Prometheus itself makes of the same metrics when they are pushed over OTLP, so a dashboard does not care
which way they came (prometheus/otlptranslator, UnderscoreEscapingWithSuffixes).
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from aiohttp import web
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar as OpenMetricsExemplar

from config.settings import Address
from exporters.vocabulary import Vocabulary, in_vocabulary
from pipeline.condition import Condition
from pipeline.listening import keep_listening
from pipeline.telemetry import Attributes, AttributeValue, Exemplar, HistogramPoint, Metric, NumberPoint, Snapshot

SECOND: Final = 1_000_000_000
UNITS: Final = {"s": "seconds", "By": "bytes"}
KINDS: Final = {"counter": "counter", "updown": "gauge", "gauge": "gauge", "histogram": "histogram"}

Read = Callable[[], Iterable[Snapshot]]


@dataclass(frozen=True)
class Prometheus:
    """Shows all metrics on a page that Prometheus reads."""

    listen: Address = "127.0.0.1:9464"
    metrics: Vocabulary = "both"  # names of the GenAI metrics
    # Set by the application, see exporters.resource.
    resource: Mapping[str, str] = field(default_factory=dict, metadata={"option": False})

    @asynccontextmanager
    async def serving(self, read: Read, condition: Condition) -> AsyncIterator[None]:
        """Listen while the block lasts; an address that is taken is waited for, and costs nothing but the page."""
        app = web.Application()
        app.router.add_get("/metrics", self._answer_with(read))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        async with keep_listening(runner, self.listen, condition, "prometheus"):
            yield

    def _answer_with(self, read: Read) -> Any:
        async def answer(request: web.Request) -> web.Response:
            snapshots = tuple(read())  # instruments belong to this thread; their text takes longer
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            text = await asyncio.to_thread(encode, Page(self.resource, snapshots, self.metrics))
            return web.Response(body=text, headers={"Content-Type": content_type})

        return answer


class Page:
    """What prometheus_client's encoders take: anything that collects."""

    def __init__(self, resource: Mapping[str, str], snapshots: Iterable[Snapshot], vocabulary: Vocabulary) -> None:
        self._resource = resource
        self._snapshots = snapshots
        self._vocabulary = vocabulary

    def collect(self) -> Iterator[Family]:
        """The resource as `target_info`, then every metric."""
        target = Family("target", "Who is telling.", "info")
        target.add_sample("target_info", {label(name): value for name, value in self._resource.items()}, 1)
        yield target
        for snapshot in self._snapshots:
            for metric in in_vocabulary(snapshot.metrics, self._vocabulary):
                yield family(metric)


def family(metric: Metric) -> Family:
    """A metric with all of its points."""
    unit = UNITS.get(metric.unit, "ratio" if metric.unit == "1" and metric.kind == "gauge" else "")
    told = Family(plain(metric.name), metric.description, KINDS[metric.kind], unit)
    for point in metric.points:
        if isinstance(point, HistogramPoint):
            add_histogram(told, metric.bounds, point)
        else:
            add_number(told, point)
    return told


def add_number(told: Family, point: NumberPoint) -> None:
    suffix = "_total" if told.type == "counter" else ""
    told.add_sample(told.name + suffix, labels(point.attributes), point.value)


def add_histogram(told: Family, bounds: tuple[float, ...], point: HistogramPoint) -> None:
    """Its buckets, each with the ones below it, then count and sum."""
    common = labels(point.attributes)
    exemplars = {bisect_left(bounds, each.value): each for each in point.exemplars}
    for bucket, count in enumerate(accumulate(point.bucket_counts)):
        bound = f"{bounds[bucket]:.17g}" if bucket < len(bounds) else "+Inf"
        exemplar = exemplars.get(bucket)
        told.add_sample(
            f"{told.name}_bucket", {**common, "le": bound}, count, exemplar=exemplar and open_metrics(exemplar)
        )
    told.add_sample(f"{told.name}_count", common, point.count)
    told.add_sample(f"{told.name}_sum", common, point.sum)


def open_metrics(exemplar: Exemplar) -> OpenMetricsExemplar:
    ids = {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id}
    return OpenMetricsExemplar(ids, exemplar.value, exemplar.time / SECOND)


def labels(attributes: Attributes) -> dict[str, str]:
    return {label(name): said(value) for name, value in attributes}


def said(value: AttributeValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def label(name: str) -> str:
    """`gen_ai.request.model` → `gen_ai_request_model`."""
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", name)
    return f"key_{name}" if name[:1].isdigit() else name


def plain(name: str) -> str:
    """`gen_ai.client.inference.duration` → `gen_ai_client_inference_duration`, without its unit."""
    return re.sub(r"[^a-zA-Z0-9_:]+", "_", name)

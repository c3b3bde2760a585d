"""Which names the GenAI metrics go by: the conventions' latest, the ones deployed dashboards read, or both.

The conventions renamed inference metrics in October 2026, while every library, gateway and dashboard known at the
time still read the older names. The two sets hold the same measurements in the same buckets, so only the latest
are recorded and the older ones are derived here, at export. `both` is the default: each dashboard finds the names
it knows, and as no name is in both sets nothing can be counted twice by accident.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from exporters import semconv
from pipeline.telemetry import HistogramPoint, Metric, NumberPoint

Vocabulary = Literal["latest", "legacy", "both"]


def in_vocabulary(metrics: Iterable[Metric], vocabulary: Vocabulary) -> list[Metric]:
    """The metrics under the names of `vocabulary`; what is not GenAI inference passes as it is."""
    metrics = list(metrics)
    kept = [metric for metric in metrics if vocabulary != "legacy" or not is_inference(metric)]
    derived = (
        [] if vocabulary == "latest" else [legacy(metric) for metric in metrics if metric.name in semconv.LEGACY_NAMES]
    )
    return merged(kept + derived)


def is_inference(metric: Metric) -> bool:
    return metric.name.startswith(semconv.INFERENCE_METRICS)


def legacy(metric: Metric) -> Metric:
    """The same measurements under the older name."""
    name, token_type = semconv.LEGACY_NAMES[metric.name]
    points = metric.points if token_type is None else tuple(of_type(point, token_type) for point in metric.points)
    return metric._replace(name=name, points=points)


def of_type(point: NumberPoint | HistogramPoint, token_type: str) -> NumberPoint | HistogramPoint:
    return replace(point, attributes=(*point.attributes, (semconv.TOKEN_TYPE, token_type)))


def merged(metrics: Iterable[Metric]) -> list[Metric]:
    """One metric for each name, holding the points of all that share it."""
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        known = by_name.get(metric.name)
        by_name[metric.name] = known._replace(points=known.points + metric.points) if known else metric
    return list(by_name.values())

"""What the pipeline says of itself every second: how each component fares, and sums that must add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.condition import Condition, worst
from pipeline.delivery import Delivery
from pipeline.telemetry import Observed, Telemetry

Conditions = Mapping[str, Sequence[Condition]]  # a component's id → what its state is made of


def health(conditions: Conditions, deliveries: Iterable[Delivery], telemetry: Telemetry) -> dict[str, Any]:
    """As the page shows it: `components`, and `counts` of requests, captures, exchanges, exporters and evaluators."""
    return {
        "components": {name: worst(each).told() for name, each in conditions.items()},
        "counts": {
            "requests": total(telemetry.proxy_requests),
            "active_requests": total(telemetry.proxy_active_requests),
            "capture_parts": total(telemetry.proxy_capture_parts),
            "captures": total(telemetry.capture_offered),
            "refused": by_reason(telemetry.capture_refused),
            "accepted": telemetry.exchange_accepted.total(),
            "done": telemetry.exchange_done.total(),
            "pending": total(telemetry.journal_pending),
            "coverage": coverage(telemetry),
            "exporters": {delivery.name: delivery.sums._asdict() for delivery in deliveries},
            "evaluators": outcomes(telemetry),
        },
    }


def total(instrument: Observed) -> float:
    """Over all attributes."""
    return sum(point.value for point in instrument.points())


def by_reason(instrument: Observed) -> dict[str, float]:
    """Its sums by the attribute `reason`, but for those that are 0."""
    sums: dict[str, float] = {}
    for point in instrument.points():
        if point.value:
            reason = str(dict(point.attributes)["reason"])
            sums[reason] = sums.get(reason, 0) + point.value
    return sums


def coverage(telemetry: Telemetry) -> float:
    """The share of finished captures that the pipeline got, or still gets; 1 when there were none."""
    offered = total(telemetry.capture_offered)
    return 1 - total(telemetry.capture_refused) / offered if offered else 1.0


def outcomes(telemetry: Telemetry) -> dict[str, dict[str, float]]:
    """Evaluator → outcome → how many."""
    sums: dict[str, dict[str, float]] = {}
    for point in telemetry.evaluation_outcomes.points():
        attributes = dict(point.attributes)
        own = sums.setdefault(str(attributes.get("evaluator", "")), {})
        outcome = str(attributes.get("outcome", ""))
        own[outcome] = own.get(outcome, 0) + point.value
    return sums

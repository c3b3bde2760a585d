from __future__ import annotations

from pipeline.condition import Condition
from pipeline.delivery import Delivery
from pipeline.telemetry import Telemetry
from sidelight.health import health
from tests.support.records import an_evaluated_exchange


class Sink:
    async def export(self, batch: object) -> None: ...


def test_a_component_is_as_well_as_its_worst_part() -> None:
    well, failing = Condition(), Condition()
    failing.failing("away")
    told = health({"exporters.otlp": [well, failing], "journal": [well]}, [], Telemetry())
    statuses = {name: each["status"] for name, each in told["components"].items()}
    assert statuses == {"exporters.otlp": "StatusRecoverableError", "journal": "StatusOK"}


def test_what_is_lost_on_the_way_is_told_by_reason_and_taken_off_the_coverage() -> None:
    telemetry = Telemetry()
    telemetry.capture_offered.observe(lambda: [(60, (("worker", 0),)), (40, (("worker", 1),))])
    telemetry.capture_refused.observe(
        lambda: [
            (3, (("worker", 0), ("reason", "ring_full"))),
            (1, (("worker", 1), ("reason", "ring_full"))),
            (0, (("worker", 1), ("reason", "too_large"))),
        ]
    )
    counts = health({}, [], telemetry)["counts"]
    assert (counts["captures"], counts["refused"], counts["coverage"]) == (100, {"ring_full": 4}, 0.96)


def test_where_nothing_was_captured_nothing_is_missing() -> None:
    assert health({}, [], Telemetry())["counts"]["coverage"] == 1


async def test_exporters_and_evaluators_are_counted() -> None:
    telemetry = Telemetry()
    delivery = Delivery("debug", Sink(), telemetry)
    async with delivery:
        delivery.offer(an_evaluated_exchange())
    for outcome, reason in (("pass", None), ("pass", None), ("skipped", "filtered"), ("skipped", "missing_input")):
        more = (("reason", reason),) if reason else ()
        telemetry.evaluation_outcomes.add(1, (("evaluator", "refusal"), ("outcome", outcome), *more))
    counts = health({}, [delivery], telemetry)["counts"]
    assert counts["exporters"] == {"debug": {"offered": 1, "sent": 1, "failed": 0, "refused": 0, "queued": 0}}
    assert counts["evaluators"] == {"refusal": {"pass": 2, "skipped": 2}}

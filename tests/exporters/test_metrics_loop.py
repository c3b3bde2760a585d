"""Metrics go out every so often, once more at the end, and a backend that is away is one line in the log."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporters.measure import Measure
from exporters.metrics_loop import MetricsLoop
from exporters.otlp import Otlp
from pipeline.telemetry import Telemetry
from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.records import an_evaluated_exchange
from tests.support.sidecar import eventually


def names(metrics: Sequence[dict[str, object]]) -> set[object]:
    return {metric["name"] for metric in metrics}


def a_loop(exporter: Otlp) -> MetricsLoop:
    telemetry = Telemetry()
    telemetry.exchange_done.add(1)
    measure = Measure(telemetry)
    measure.record(an_evaluated_exchange())
    return MetricsLoop("otlp", exporter, telemetry, measure)


def posts(receiver: OtlpReceiver) -> int:
    return sum(request.signal == "metrics" for request in receiver.requests)


async def test_metrics_are_sent_again_and_again() -> None:
    async with OtlpReceiver() as receiver:
        exporter = Otlp(endpoint=receiver.endpoint, metrics_interval=0.01)
        async with exporter, a_loop(exporter):
            await eventually(lambda: posts(receiver) >= 3)
    assert names(receiver.metrics) >= {"sidelight.exchange.done", "gen_ai.client.operation.duration"}


async def test_metrics_are_sent_once_more_at_the_end() -> None:
    async with OtlpReceiver() as receiver:
        exporter = Otlp(endpoint=receiver.endpoint, metrics_interval=3600)
        async with exporter, a_loop(exporter):
            assert posts(receiver) == 0
        assert posts(receiver) == 1
    assert "sidelight.exchange.done" in names(receiver.metrics)


async def test_a_backend_that_is_away_is_one_line_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    async with OtlpReceiver() as receiver:
        receiver.script.extend([Reply(status=503)] * 4)
        exporter = Otlp(endpoint=receiver.endpoint, metrics_interval=0.01)
        async with exporter, a_loop(exporter) as loop:
            await eventually(lambda: loop.condition.state == "StatusRecoverableError")
            await eventually(lambda: bool(receiver.metrics))
            await eventually(lambda: loop.condition.state == "StatusOK")
            receiver.script.extend([Reply(status=400)] * 2)
            await eventually(lambda: not receiver.script)
    assert [record.name for record in caplog.records] == ["sidelight.exporters"] * 2


async def test_an_exporter_that_takes_no_metrics_gets_none() -> None:
    async with OtlpReceiver() as receiver:
        exporter = Otlp(endpoint=receiver.endpoint, metrics_interval=0.01, signals=("traces",))
        async with exporter, a_loop(exporter):
            pass
    assert receiver.requests == []

"""Sends the metrics of an OTLP exporter every so often, and once more at the end."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from exporters.measure import Measure
from exporters.otlp import Otlp
from pipeline.condition import Condition
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.telemetry import Telemetry

log = logging.getLogger("sidelight.exporters")


class MetricsLoop:
    """An async context manager. Metrics are cumulative: what one failed post would have said, the next one says."""

    def __init__(self, name: str, exporter: Otlp, telemetry: Telemetry, measure: Measure) -> None:
        self._name = name
        self._exporter = exporter
        self._telemetry = telemetry
        self._measure = measure
        self.condition = Condition()

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"metrics of {self._name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._send()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._exporter.metrics_interval)
            await self._send()

    async def _send(self) -> None:
        try:
            await self._exporter.export_metrics(self._measure.snapshot(), self._telemetry.snapshot())
        except (Retryable, Permanent, PartialSuccess) as error:
            if self.condition.error is None:
                log.warning("metrics of %s: %s", self._name, error)
            self.condition.failing(f"metrics: {error}", permanent=isinstance(error, Permanent))
        except Exception as error:
            log.exception("metrics of %s: failed", self._name)
            self.condition.failing(f"metrics: {type(error).__name__}", permanent=True)
        else:
            self.condition.well()

"""Sidelight's own instruments: counting costs a dictionary look-up, and a snapshot is plain data for any exporter.

The OpenTelemetry SDK takes several microseconds for each measurement, which adds up at dozens for every exchange;
these take a fraction of one. What they keep of its data model: cumulative temporality, explicit buckets whose upper
bound is inclusive, one exemplar (the latest) for each bucket, and 2,000 attribute sets for each instrument with the
rest in one overflow point. Not thread-safe: an instrument belongs to the thread of its event loop.

Names mirror the Collector's own telemetry (suffix and meaning) under the prefix `sidelight.`.
"""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from pipeline.exponential import Exponential, ExponentialBuckets

AttributeValue: TypeAlias = str | int | float | bool
Attributes: TypeAlias = tuple[tuple[str, AttributeValue], ...]
Observation: TypeAlias = tuple[float, Attributes]
Kind = Literal["counter", "updown", "gauge", "histogram"]

MAX_SERIES = 2000
OVERFLOW: Attributes = (("otel.metric.overflow", True),)

EVALUATION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DELAY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
OVERHEAD_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1)
SCORES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 5, 10)

MODEL = "gen_ai.request.model"
CALL = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    MODEL,
    "gen_ai.response.model",
    "server.address",
    "server.port",
)

logger = logging.getLogger(__name__)


class Exemplar(NamedTuple):
    """One measurement and the span it was made in; `time` in ns since the epoch, ids in hex."""

    value: float
    time: int
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class NumberPoint:
    """The value of one attribute set, since the instrument began."""

    attributes: Attributes
    value: float


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """The distribution of one attribute set, since the instrument began; one more bucket than bounds."""

    attributes: Attributes
    count: int
    sum: float
    min: float | None  # None: not known, of a part of the time
    max: float | None
    bucket_counts: tuple[int, ...]
    exemplars: tuple[Exemplar, ...]
    exponential: ExponentialBuckets | None = None  # the same measurements, where somebody wants them so


class Metric(NamedTuple):
    """An instrument as it stood; `points` are NumberPoints, or HistogramPoints when `kind` says so."""

    name: str
    kind: Kind
    unit: str
    description: str
    bounds: tuple[float, ...]
    points: tuple[NumberPoint | HistogramPoint, ...]


class Snapshot(NamedTuple):
    """Every instrument that has something to say; times in ns since the epoch."""

    started_at: int
    time: int
    metrics: tuple[Metric, ...]


class Instrument:
    """A name with a unit and a meaning; what it holds is for the subclass to say."""

    kind: ClassVar[Kind]

    def __init__(self, name: str, unit: str, description: str, *, by: tuple[str, ...] = ()) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self.by = by  # every attribute its points may have

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets; nothing but a histogram has any."""
        return ()

    def points(self) -> Sequence[NumberPoint | HistogramPoint]:
        """What was measured until now."""
        raise NotImplementedError


class Counter(Instrument):
    """A sum that only grows."""

    kind = "counter"

    def __init__(self, name: str, unit: str, description: str, *, by: tuple[str, ...] = ()) -> None:
        super().__init__(name, unit, description, by=by)
        self._values: dict[Attributes, float] = {}

    def add(self, value: float, attributes: Attributes = ()) -> None:
        """Add `value`, which is not negative."""
        try:
            self._values[attributes] += value
        except KeyError:
            key = attributes if len(self._values) < MAX_SERIES - 1 else OVERFLOW
            self._values[key] = self._values.get(key, 0) + value

    def total(self, **attributes: AttributeValue) -> float:
        """The sum over every attribute set that has all of these; for status pages and tests."""
        wanted = attributes.items()
        return sum(value for key, value in self._values.items() if wanted <= dict(key).items())

    def points(self) -> Sequence[NumberPoint]:
        return [NumberPoint(attributes, value) for attributes, value in self._values.items()]


class Series:
    """One attribute set of a histogram."""

    __slots__ = ("bucket_counts", "exemplars", "exponential", "max", "min", "sum")

    def __init__(self, buckets: int, exponential: bool) -> None:
        self.exponential = Exponential() if exponential else None
        self.bucket_counts = [0] * buckets
        self.exemplars: dict[int, tuple[float, int, str, str]] = {}
        self.sum = 0.0
        self.min = math.inf
        self.max = -math.inf

    def point(self, attributes: Attributes) -> HistogramPoint:
        counts = tuple(self.bucket_counts)
        exemplars = tuple(Exemplar(*self.exemplars[bucket]) for bucket in sorted(self.exemplars))
        exponential = self.exponential.buckets() if self.exponential else None
        return HistogramPoint(attributes, sum(counts), self.sum, self.min, self.max, counts, exemplars, exponential)


class Histogram(Instrument):
    """A distribution over explicit buckets, each including its upper bound.

    Negative and non-finite measurements are refused and counted in `refused`: a histogram's sum must only grow.
    """

    kind = "histogram"

    def __init__(
        self, name: str, unit: str, description: str, buckets: tuple[float, ...], *, by: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name, unit, description, by=by)
        self._bounds = buckets
        self._series: dict[Attributes, Series] = {}
        self.exponential = False  # count exponentially as well; to be set before the first measurement
        self.refused = 0

    @property
    def bounds(self) -> tuple[float, ...]:
        return self._bounds

    def record(self, value: float, attributes: Attributes = (), trace_id: str | None = None, span_id: str = "") -> None:
        """Count one measurement; with a trace it becomes its bucket's exemplar."""
        if not 0 <= value < math.inf:
            self.refused += 1
            return
        series = self._series.get(attributes) or self._admit(attributes)
        bucket = bisect_left(self._bounds, value)
        series.bucket_counts[bucket] += 1
        series.sum += value
        if value < series.min:
            series.min = value
        if value > series.max:
            series.max = value
        if series.exponential is not None:
            series.exponential.record(value)
        if trace_id is not None:
            series.exemplars[bucket] = (value, time.time_ns(), trace_id, span_id)

    def record_many(self, values: Sequence[float], attributes: Attributes = ()) -> None:
        """Count finite, non-negative measurements of one attribute set at once, for the chunks of a stream."""
        if not values:
            return
        series = self._series.get(attributes) or self._admit(attributes)
        counts, bounds = series.bucket_counts, self._bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            if series.exponential is not None:
                series.exponential.record(value)
        series.sum += sum(values)
        series.min = min(series.min, min(values))
        series.max = max(series.max, max(values))

    def _admit(self, attributes: Attributes) -> Series:
        key = attributes if len(self._series) < MAX_SERIES - 1 else OVERFLOW
        return self._series.setdefault(key, Series(len(self._bounds) + 1, self.exponential))

    def points(self) -> Sequence[HistogramPoint]:
        return [series.point(attributes) for attributes, series in self._series.items()]


class Observed(Instrument):
    """Values somebody else keeps, asked for when a snapshot is taken.

    `kind` is counter (cumulative), updown (sums over attributes make sense) or gauge (they do not). The attributes
    are ours, never the caller's, so nothing bounds their number.
    """

    def __init__(self, kind: Kind, name: str, unit: str, description: str, *, by: tuple[str, ...] = ()) -> None:
        super().__init__(name, unit, description, by=by)
        self.kind = kind  # type: ignore[misc]  # the one instrument whose objects differ
        self._sources: list[Callable[[], Iterable[Observation]]] = []

    def observe(self, source: Callable[[], Iterable[Observation]]) -> Callable[[], None]:
        """Ask `source` for (value, attributes) pairs at every snapshot; returns the way to stop it."""
        self._sources.append(source)
        return lambda: self._sources.remove(source)

    def points(self) -> Sequence[NumberPoint]:
        return [NumberPoint(attributes, value) for source in self._sources for value, attributes in self._ask(source)]

    def _ask(self, source: Callable[[], Iterable[Observation]]) -> list[Observation]:
        try:
            return list(source())
        except Exception:
            logger.exception("no value for %s: its source failed", self.name)
            return []


class Instruments:
    """A table of instruments: each one is an attribute, set once in the constructor."""

    def __init__(self) -> None:
        self.started_at = time.time_ns()

    def count_exponentially(self) -> None:
        """Every histogram as well; before anything is measured."""
        for value in vars(self).values():
            if isinstance(value, Histogram):
                value.exponential = True

    def snapshot(self) -> Snapshot:
        """Every instrument with at least one point, in the table's order."""
        instruments = [value for value in vars(self).values() if isinstance(value, Instrument)]
        return Snapshot(self.started_at, time.time_ns(), tuple(filter(has_points, map(metric_of, instruments))))


def metric_of(instrument: Instrument) -> Metric:
    """The instrument as it stands."""
    return Metric(
        instrument.name,
        instrument.kind,
        instrument.unit,
        instrument.description,
        instrument.bounds,
        tuple(instrument.points()),
    )


def has_points(metric: Metric) -> bool:
    """Was anything measured?"""
    return bool(metric.points)


class Telemetry(Instruments):
    """Sidelight's own health, one line an instrument.

    The sums: proxy.requests + proxy.capture_parts = capture.offered + proxy.active_requests; capture.offered =
    exchange.accepted + capture.refused + what is in the hand-off; exchange.accepted = exchange.done +
    journal.pending; every done exchange has one evaluation.outcomes for each evaluator, or a judge owes it
    (judge.pending); and for each exporter, what was offered + restored = sent + send_failed + enqueue_failed +
    queue_size.
    """

    def __init__(self) -> None:
        super().__init__()
        # The proxy processes keep these; they are read through the hand-off.
        self.capture_offered = Observed(
            "counter", "sidelight.capture.offered", "{capture}", "Captures finished.", by=("worker",)
        )
        self.capture_refused = Observed(
            "counter", "sidelight.capture.refused", "{capture}", "Captures lost on the way.", by=("worker", "reason")
        )
        self.capture_cut = Observed(
            "counter", "sidelight.capture.cut", "{body}", "Copies of bodies cut at the limit.", by=("worker",)
        )
        self.exchange_accepted = Counter(
            "sidelight.exchange.accepted", "{exchange}", "Exchanges the pipeline took on.", by=("wire",)
        )
        self.exchange_done = Counter("sidelight.exchange.done", "{exchange}", "Exchanges evaluated and handed on.")
        self.exchange_delay = Histogram(
            "sidelight.exchange.delay",
            "s",
            "From the end of an exchange until it was evaluated and handed on.",
            DELAY_SECONDS,
        )
        self.decode_errors = Counter(
            "sidelight.decode.errors", "{exchange}", "Exchanges only partly readable.", by=("kind",)
        )
        self.evaluation_outcomes = Counter(
            "sidelight.evaluation.outcomes",
            "{outcome}",
            "Outcomes, one for each exchange and evaluator.",
            by=("evaluator", "outcome", "reason"),
        )
        self.evaluation_represented = Counter(
            "sidelight.evaluation.represented",
            "{exchange}",
            "Exchanges the outcomes stand for: each outcome counted with its sampling weight.",
            by=("evaluator", "outcome", MODEL),
        )
        self.evaluation_duration = Histogram(
            "sidelight.evaluation.duration",
            "s",
            "Time one evaluator took for one exchange.",
            EVALUATION_SECONDS,
            by=("evaluator",),
        )
        self.evaluation_score = Histogram(
            "sidelight.evaluation.score",
            "1",
            "Scores that evaluators gave.",
            SCORES,
            by=("evaluator", "gen_ai.evaluation.name", MODEL),
        )
        self.judge_asked = Counter(
            "sidelight.judge.asked",
            "{question}",
            "Judgements wanted, by what came of it: answered, cached, failed (each attempt), budget.",
            by=("judge", "result"),
        )
        self.judge_calls = Counter("sidelight.judge.calls", "{call}", "Calls that were answered.", by=("judge",))
        self.judge_tokens = Counter("sidelight.judge.tokens", "{token}", "Tokens of these calls.", by=("judge",))
        self.judge_cost = Counter(
            "sidelight.judge.cost", "{USD}", "What these calls cost, where that is known.", by=("judge",)
        )
        self.judge_pending = Observed(
            "updown", "sidelight.judge.pending", "{exchange}", "Outcomes that judges owe.", by=("judge",)
        )
        self.usage_exchanges = Counter(
            "sidelight.usage.exchanges",
            "{exchange}",
            "GenAI exchanges by who counted their tokens.",
            by=("source", "wire", "upstream"),
        )
        self.usage_estimated_tokens = Counter(
            "sidelight.usage.estimated_tokens",
            "{token}",
            "Tokens of exchanges whose provider reported none, estimated.",
            by=(*CALL, "gen_ai.token.type"),
        )
        self.usage_lost = Observed(
            "gauge",
            "sidelight.usage.lost",
            "1",
            "1 where a provider used to report usage and stopped.",
            by=("upstream", "wire", "stream"),
        )
        self.cost_total = Counter(
            "sidelight.cost", "{USD}", "What exchanges cost, where that is known.", by=(*CALL, "estimated")
        )
        self.cost_unknown = Counter(
            "sidelight.cost.unknown", "{exchange}", "Exchanges with tokens whose price is not known.", by=(MODEL,)
        )
        self.worker_restarts = Counter(
            "sidelight.worker.restarts", "{restart}", "Evaluation workers replaced.", by=("reason",)
        )
        self.exporter_sent = Counter(
            "sidelight.exporter.sent", "{exchange}", "Exchanges a destination took.", by=("exporter",)
        )
        self.exporter_send_failed = Counter(
            "sidelight.exporter.send_failed",
            "{exchange}",
            "Exchanges given up: the destination did not take them.",
            by=("exporter", "error.type"),
        )
        self.exporter_enqueue_failed = Counter(
            "sidelight.exporter.enqueue_failed",
            "{exchange}",
            "Exchanges refused because the queue was full.",
            by=("exporter",),
        )
        self.exporter_restored = Counter(
            "sidelight.exporter.restored",
            "{exchange}",
            "Exchanges that were on disk when the exporter started.",
            by=("exporter",),
        )
        self.exporter_rejected = Counter(
            "sidelight.exporter.rejected",
            "{item}",
            "Spans, records or points refused from requests that were taken.",
            by=("exporter",),
        )
        self.exporter_retries = Counter(
            "sidelight.exporter.retries", "{retry}", "Batches that had to be sent again.", by=("exporter",)
        )
        self.exporter_queue_size = Observed(
            "updown",
            "sidelight.exporter.queue_size",
            "{exchange}",
            "Exchanges waiting or on their way.",
            by=("exporter",),
        )
        self.exporter_queue_capacity = Observed(
            "updown",
            "sidelight.exporter.queue_capacity",
            "{exchange}",
            "Exchanges the queue may hold.",
            by=("exporter",),
        )
        self.exporter_disk_size = Observed(
            "updown",
            "sidelight.exporter.queue_disk_size",
            "By",
            "What waits on disk for a destination that is away.",
            by=("exporter",),
        )
        self.exporter_disk_capacity = Observed(
            "updown", "sidelight.exporter.queue_disk_capacity", "By", "What may wait on disk.", by=("exporter",)
        )
        self.journal_pending = Observed(
            "updown", "sidelight.journal.pending", "{exchange}", "Exchanges written and not yet evaluated."
        )
        self.journal_failed = Counter(
            "sidelight.journal.failed", "{exchange}", "Exchanges the journal could not keep.", by=("operation",)
        )
        # These too are the proxies' own.
        self.proxy_requests = Observed(
            "counter", "sidelight.proxy.requests", "{request}", "Requests taken on.", by=("worker",)
        )
        self.proxy_refusals = Observed(
            "counter", "sidelight.proxy.refusals", "{request}", "Answers of our own.", by=("worker",)
        )
        self.proxy_invalid_requests = Observed(
            "counter",
            "sidelight.proxy.invalid_requests",
            "{request}",
            "Requests that were not valid HTTP.",
            by=("worker",),
        )
        self.proxy_rejected_connections = Observed(
            "counter",
            "sidelight.proxy.rejected_connections",
            "{connection}",
            "Connections over the limit.",
            by=("worker",),
        )
        self.proxy_failures = Observed(
            "counter", "sidelight.proxy.failures", "{request}", "Requests whose upstream failed.", by=("worker",)
        )
        self.proxy_client_disconnects = Observed(
            "counter",
            "sidelight.proxy.client_disconnects",
            "{request}",
            "Requests whose client left first.",
            by=("worker",),
        )
        self.proxy_capture_parts = Observed(
            "counter",
            "sidelight.proxy.capture_parts",
            "{capture}",
            "Captures of connections that were still going on.",
            by=("worker",),
        )
        self.proxy_compared_answers = Observed(
            "counter",
            "sidelight.proxy.compared_answers",
            "{response}",
            "Whole answers, compared as they came and left.",
            by=("worker",),
        )
        self.proxy_mismatched_answers = Observed(
            "counter",
            "sidelight.proxy.mismatched_answers",
            "{response}",
            "Answers that left otherwise than they came.",
            by=("worker",),
        )
        self.proxy_active_requests = Observed(
            "updown", "sidelight.proxy.active_requests", "{request}", "Requests under way.", by=("worker",)
        )
        self.proxy_client_connections = Observed(
            "updown", "sidelight.proxy.client_connections", "{connection}", "Open client connections.", by=("worker",)
        )
        self.proxy_upstream_connections = Observed(
            "updown",
            "sidelight.proxy.upstream_connections",
            "{connection}",
            "Open upstream connections.",
            by=("worker",),
        )
        self.proxy_capture_memory = Observed(
            "updown", "sidelight.proxy.capture_memory", "By", "Memory that copies under way take.", by=("worker",)
        )
        self.proxy_overhead = Histogram(
            "sidelight.proxy.overhead",
            "s",
            "From a whole request head until it was sent on, the wait for a new connection included.",
            OVERHEAD_SECONDS,
        )
        self.loop_lag = Observed(
            "gauge",
            "sidelight.loop.lag",
            "s",
            "The latest that anything was on an event loop in the last ten seconds.",
            by=("process",),
        )
        self.process_memory = Observed(
            "gauge", "sidelight.process.memory", "By", "Resident memory of each process.", by=("process",)
        )
        self.process_cpu_time = Observed(
            "counter", "sidelight.process.cpu_time", "s", "CPU time that each process has taken.", by=("process",)
        )
        self.process_uptime = Observed(
            "gauge", "sidelight.process.uptime", "s", "How long each process has lived.", by=("process",)
        )
        self.measurement_refused = Observed(
            "counter",
            "sidelight.measurement.refused",
            "{measurement}",
            "Negative or non-finite measurements left out.",
            by=("instrument",),
        )
        self.measurement_refused.observe(lambda: refusals(self))


def refusals(instruments: Instruments) -> list[Observation]:
    """How many measurements each histogram of the table refused."""
    histograms = [value for value in vars(instruments).values() if isinstance(value, Histogram)]
    return [(each.refused, (("instrument", each.name),)) for each in histograms if each.refused]

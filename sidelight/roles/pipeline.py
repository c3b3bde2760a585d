"""The pipeline process: started from the back, so nothing arrives before it can be handled; stopped from the front."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any, Final
from urllib.parse import quote

import msgspec

from config.load import settings_from
from config.settings import Console, Settings
from console.control import taking_orders
from console.evaluations import evaluations_handler, runs_reader
from console.feedback import Key, Told, feedback_handler
from exporters.measure import Measure
from exporters.metrics_loop import MetricsLoop
from exporters.otlp import Otlp
from exporters.prometheus import Prometheus
from exporters.resource import resource_attributes
from pipeline.condition import Condition
from pipeline.contracts import MetricsPage
from pipeline.delivery import Delivery
from pipeline.errors import ConfigError
from pipeline.judge_queue import JudgeQueue
from pipeline.judging import Judging
from pipeline.loop_lag import LoopLag
from pipeline.proxy_counters import LEVELS, NAMES, SUMS
from pipeline.queues import Durable, Memory, Queue
from pipeline.records import EvaluatedExchange, Exchange, LedgerEntry
from pipeline.ring import HandOffFds, HandOffReader
from pipeline.runner import Runner, Stages
from pipeline.telemetry import Observation, Snapshot, Telemetry
from pipeline.workers import Done, WorkerPool
from sidelight.components import Components, build_components, queued_form, stored_form
from sidelight.dataset import exchange_of
from sidelight.description import Description
from sidelight.evaluators import spawner
from sidelight.health import health
from sidelight.judges import Panel, at_work, memory_beside
from sidelight.process import on_sigterm, read_lines, report, report_often, run_in_the_gaps, set_up_logging
from sidelight.processes import Processes
from sidelight.questions import Questions
from sidelight.rows import Row
from sidelight.runs import Runs
from store.backlog import Backlog
from store.journal import Journal
from wire import exchanges_of

EXPIRE_EVERY: Final = 600.0  # seconds
FINISH_WITHIN: Final = 10.0  # seconds the pipeline may go on after it was told to stop
SECOND: Final = 1_000_000_000

log = logging.getLogger("sidelight")


async def run(setup: dict[str, Any]) -> None:
    """Take captures until SIGTERM; then finish what is there, within limits."""
    settings = settings_from(setup["settings"])
    set_up_logging(settings.service.log_level)
    components = build_components(settings)
    sources = [HandOffReader(HandOffFds(*fds)) for fds in setup["hand_offs"]]
    if any(source.dropped for source in sources):
        log.error("captures that ended every pipeline process that read them were dropped")
    stopping = on_sigterm(lambda: os._exit(1))
    salt = bytes.fromhex(setup["salt"])
    description = Description(components, salt)
    telemetry = Telemetry()
    measure = Measure(telemetry)
    conditions: dict[str, list[Condition]] = {}
    if any(isinstance(each, Otlp) and each.histograms == "exponential" for each in components.exporters.values()):
        telemetry.count_exponentially()
        measure.instruments.count_exponentially()
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(Journal(settings.store.path))
        deliveries = await start_deliveries(stack, settings, components, telemetry, measure, conditions)
        runner = Runner(
            sources,
            stages_of(settings, components, description),
            journal,
            telemetry,
            deliver=to_all(deliveries),
            measure=measure.record,
            settle=all_settled(deliveries),
        )
        questions = Questions(runner.on_done)
        runner.pool = pool_for(settings, components, questions.on_done, telemetry)
        conditions["journal"] = [runner.journal_condition]
        court = Court(settings, runner.judges, telemetry, conditions)
        if settings.console:
            runs = Runs()
            stack.push_async_callback(runs.close)
            orders = take_orders(settings.console, runner, journal, questions, court, runs, conditions)
            await stack.enter_async_context(orders)
        observe(telemetry, sources, runner)
        observe_this_process(telemetry)
        telemetry.usage_lost.observe(description.lost)
        await stack.enter_async_context(runner.pool)
        await stack.enter_async_context(court)
        await court.seat(components)  # before the first exchange is done
        await stack.enter_async_context(bounded_exit(runner))
        await stack.enter_async_context(background(expire(journal, settings.store.retention)))
        await stack.enter_async_context(
            background(read_lines(reloader(runner, description, salt, court), stopping.set))
        )
        gc.freeze()  # start-up made many objects, the price table most of them: collections need not look at them again
        gc.set_threshold(20_000, 50, 100)
        report(setup["status"], ready=True)
        told = partial(health, conditions, deliveries, telemetry)
        await stack.enter_async_context(background(report_often(setup["status"], told)))
        run_in_the_gaps()  # from now on; nobody should wait for a start in the gaps
        await until_stopped(stopping, [*runner.tasks, *runner.pool.tasks])


async def until_stopped(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal; a task that ends before it takes the process down, so that a sound one is started."""
    told = asyncio.ensure_future(stopping.wait())
    done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for task in done - {told}:
        log.critical("%s ended by itself: the pipeline starts again", task.get_coro())
        await task


async def start_deliveries(
    stack: AsyncExitStack,
    settings: Settings,
    components: Components,
    telemetry: Telemetry,
    measure: Measure,
    conditions: dict[str, list[Condition]],
) -> list[Delivery]:
    """Open every exporter, put a queue before it, and send the metrics of those that take some; each has conditions."""
    service = settings.service
    resource = resource_attributes(service.name, service.environment, service.attributes)
    deliveries = []
    for name, exporter in components.exporters.items():
        own = conditions[f"exporters.{name}"] = []
        if isinstance(exporter, Otlp | Prometheus):
            exporter = replace(exporter, resource=resource)
        if isinstance(exporter, MetricsPage):
            own.append(Condition())
            read = partial(snapshots, measure, telemetry)
            await stack.enter_async_context(exporter.serving(read, own[0]))
            continue
        if isinstance(exporter, AbstractAsyncContextManager):
            await stack.enter_async_context(exporter)
        if isinstance(exporter, Otlp):
            own.append((await stack.enter_async_context(MetricsLoop(name, exporter, telemetry, measure))).condition)
        options = components.deliveries[name]
        queue = await open_queue(stack, settings, components, name, telemetry)
        delivery = Delivery(name, exporter, telemetry, queue, retry=options.retry)
        own.append(delivery.condition)
        deliveries.append(await stack.enter_async_context(delivery))
    return deliveries


def snapshots(measure: Measure, telemetry: Telemetry) -> tuple[Snapshot, Snapshot]:
    """All metrics as they stand."""
    return measure.snapshot(), telemetry.snapshot()


async def open_queue(
    stack: AsyncExitStack, settings: Settings, components: Components, name: str, telemetry: Telemetry
) -> Queue:
    """In memory, or with a file beside the store for what a destination that is away does not take."""
    options = components.deliveries[name]
    given = options.sending_queue
    if not options.durable:
        return Memory(given.queue_size)
    backlog = await stack.enter_async_context(Backlog(queue_file(settings, name)))
    attributes = (("exporter", name),)
    telemetry.exporter_disk_size.observe(lambda: [(backlog.size, attributes)])
    telemetry.exporter_disk_capacity.observe(lambda: [(given.max_size, attributes)])
    form = queued_form(settings, components, name)
    return Durable(
        given.queue_size,
        backlog,
        max_size=given.max_size,
        max_age=given.max_age,
        form=lambda evaluated: msgspec.structs.replace(evaluated, exchange=form(evaluated.exchange)),
    )


def queue_file(settings: Settings, name: str) -> Path:
    """`sidelight.db.otlp%2Fteam-a.queue` for `otlp/team-a`, beside the store: another name is another file."""
    return Path(f"{settings.store.path}.{quote(name, safe='')}.queue")


def all_settled(deliveries: Sequence[Delivery]) -> Callable[[], Awaitable[None]]:
    """Waits until no exporter would lose what it was given if this process died now."""

    async def settle() -> None:
        await asyncio.gather(*(delivery.settle() for delivery in deliveries))

    return settle


def to_all(deliveries: Sequence[Delivery]) -> Callable[[EvaluatedExchange], None]:
    """Offer to every exporter's queue; each counts its own refusals."""

    def deliver(evaluated: EvaluatedExchange) -> None:
        for delivery in deliveries:
            delivery.offer(evaluated)

    return deliver


def stages_of(settings: Settings, components: Components, describe: Description) -> Stages:
    """The pure steps of the pipeline."""
    formats = {route.prefix: route.wire for route in settings.proxy.routes if route.wire}
    return Stages(
        partial(exchanges_of, formats=formats),
        describe,
        components.redact.redact,
        components.sample.decide,
        stored_form(settings, components),
    )


def pool_for(settings: Settings, components: Components, on_done: Done, telemetry: Telemetry) -> WorkerPool:
    """The evaluator processes."""
    evaluation = settings.evaluation
    return WorkerPool(
        spawner(settings),
        tuple(components.evaluators),
        on_done,
        workers=evaluation.workers,
        timeout=evaluation.timeout,
        max_attempts=evaluation.max_attempts,
        queue_size=evaluation.queue,
        on_restart=restart_counter(telemetry),
    )


def restart_counter(telemetry: Telemetry) -> Callable[[str], None]:
    """Counts every evaluator process that was replaced, and says so."""

    def on_restart(reason: str) -> None:
        telemetry.worker_restarts.add(1, (("reason", reason),))
        log.warning("an evaluator process is replaced: %s", reason)

    return on_restart


class Court:
    """The judges of the running pipeline, as configured now. Those that are replaced leave their debts to the next."""

    def __init__(
        self, settings: Settings, queue: JudgeQueue, telemetry: Telemetry, conditions: dict[str, list[Condition]]
    ) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._conditions = conditions
        self._memory = memory_beside(settings)
        self._remembering = False
        self._always = AsyncExitStack()
        self._seated = AsyncExitStack()
        self._names: list[str] = []
        self.panel = Panel({})  # the same, for questions beside traffic
        telemetry.judge_pending.observe(lambda: [(count, (("judge", name),)) for name, count in queue.pending.items()])

    async def __aenter__(self) -> Court:
        await self._queue.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._queue.__aexit__()
        await self._seated.aclose()
        await self._always.aclose()

    async def seat(self, components: Components) -> None:
        """These judge from now on; ConfigError, and those before them stay."""
        if components.judges and not self._remembering:
            await self._always.enter_async_context(self._memory)
            self._conditions["judgements"] = [self._memory.condition]
            self._remembering = True
        async with AsyncExitStack() as arriving:
            judgings = await arriving.enter_async_context(at_work(components.judges, self._memory, self._telemetry))
            await self._queue.seat(judgings)
            leaving, self._seated = self._seated, arriving.pop_all()
        await leaving.aclose()
        self.panel = Panel(judgings)
        self._show(judgings)

    def _show(self, judgings: Mapping[str, Judging]) -> None:
        for name in self._names:
            del self._conditions[name]
        shown = {f"processors.{name}": [each.condition] for name, each in judgings.items()}
        self._conditions.update(shown)
        self._names = list(shown)


def reloader(
    runner: Runner, description: Description, salt: bytes, court: Court
) -> Callable[[dict[str, Any]], Awaitable[None]]:
    """What the supervisor's further lines do: other processors, from the next exchange on."""

    async def reload(message: dict[str, Any]) -> None:
        nonlocal description
        try:
            settings = settings_from(message["settings"])
            components = build_components(settings)
            await court.seat(components)
        except ConfigError as error:  # a file that was there when the supervisor looked
            log.error("not reloaded: %s", error)
            return
        description = Description(components, salt, description)
        runner.stages = stages_of(settings, components, description)
        runner.pool.replace(spawner(settings), tuple(components.evaluators))

    return reload


def take_orders(
    console: Console,
    runner: Runner,
    journal: Journal,
    questions: Questions,
    court: Court,
    runs: Runs,
    conditions: dict[str, list[Condition]],
) -> AbstractAsyncContextManager[None]:
    """The control port: judgements of exchanges that have long been done, and questions to the evaluators."""

    async def tell(key: Key, entry: LedgerEntry) -> Told:
        found = await journal.find(*key)
        if len(found) != 1:
            return "several" if found else "unknown"
        (known,) = found
        if not known.done:
            return "pending"
        await runner.tell_late(EvaluatedExchange(known.exchange, (entry,), known.weight, known.kept, late=True))
        if entry.outcome == "fail":
            await runner.judges.reconsider(known.exchange.id)
        return "told"

    def asked(fields: Mapping[str, Any]) -> Exchange:
        return runner.stages.redact(exchange_of(Row(0, fields), {name: name for name in fields}))

    async def judge(fields: Mapping[str, Any]) -> tuple[LedgerEntry, ...]:
        return await questions.ask(asked(fields), runner.pool)

    def start(fields: Mapping[str, Any]) -> str:
        return runs.start(court.panel.judge(asked(fields)))

    conditions["console"] = [condition := Condition()]
    token = console.token.get_secret_value() if console.token else None
    handlers = {"/v1/feedback": feedback_handler(tell), "/v1/evaluations": evaluations_handler(judge, start)}
    return taking_orders(console.listen, token, handlers, condition, {"/v1/evaluations": runs_reader(runs.look)})


@asynccontextmanager
async def bounded_exit(runner: Runner) -> AsyncIterator[None]:
    """The runner, with an end to how long it may take to finish: what is left stays pending in the journal."""
    await runner.__aenter__()
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(FINISH_WITHIN):
                await runner.__aexit__()
        except TimeoutError:
            log.warning("%d exchanges stay pending; they are evaluated at the next start", runner.pending)


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """A task that ends with the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def expire(journal: Journal, retention: float) -> None:
    """Delete what has been kept long enough, now and then."""
    while True:
        try:
            await journal.expire(time_ns() - int(retention * SECOND))
        except sqlite3.Error as error:
            log.error("retention: %s", error)
        await asyncio.sleep(EXPIRE_EVERY)


def observe(telemetry: Telemetry, sources: Sequence[HandOffReader], runner: Runner) -> None:
    """Show what the proxies publish, and what waits here."""

    def published(*names: str, reason: bool = False) -> Callable[[], Iterable[Observation]]:
        def values() -> Iterable[Observation]:
            for worker, source in enumerate(sources):
                counters = dict(zip(NAMES, source.counters(len(NAMES)), strict=True))
                for name in names:
                    attributes = (("worker", worker), ("reason", name)) if reason else (("worker", worker),)
                    yield counters[name], attributes

        return values

    telemetry.capture_offered.observe(published("offered"))
    telemetry.capture_refused.observe(published("ring_full", "too_large", reason=True))
    telemetry.capture_refused.observe(
        lambda: [
            (source.dropped, (("worker", worker), ("reason", "deadly")))
            for worker, source in enumerate(sources)
            if source.dropped
        ]
    )
    telemetry.capture_cut.observe(published("cut"))
    for name in (*SUMS[SUMS.index("requests") :], *LEVELS):
        getattr(telemetry, f"proxy_{name}").observe(published(name))
    telemetry.loop_lag.observe(
        lambda: [
            (source.counters(len(NAMES))[NAMES.index("loop_lag")] / 1e6, (("process", f"proxy {worker}"),))
            for worker, source in enumerate(sources)
        ]
    )
    telemetry.journal_pending.observe(lambda: [(runner.pending, ())])


def observe_this_process(telemetry: Telemetry) -> None:
    """How late the loop of this process is, and what it and its kin take."""
    lag = LoopLag()
    lag.start()
    telemetry.loop_lag.observe(lambda: [(lag.worst, (("process", "pipeline"),))])
    Processes(os.getppid()).observe(telemetry)

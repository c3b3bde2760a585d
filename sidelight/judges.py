"""The judges that a configuration names, at work: the same for live traffic, for files and for questions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from config.settings import Settings
from pipeline.judging import Judging, Memory
from pipeline.records import Exchange, LedgerEntry
from pipeline.telemetry import Telemetry
from processors.judge import Judge
from store.judgements import Judgements


def memory_beside(settings: Settings) -> Judgements:
    """What judges said and spent, in a file beside the store."""
    return Judgements(f"{settings.store.path}.judgements", settings.store.retention)


@asynccontextmanager
async def at_work(
    judges: Mapping[str, Judge], memory: Memory, telemetry: Telemetry
) -> AsyncIterator[dict[str, Judging]]:
    """Each with its connections open."""
    async with AsyncExitStack() as stack:
        for judge in judges.values():
            await stack.enter_async_context(judge)
        yield {name: Judging(name, judge, memory, telemetry) for name, judge in judges.items()}


class Panel:
    """All judges on single exchanges, at once and for whoever waits: of a file, or of a question."""

    def __init__(self, judgings: Mapping[str, Judging]) -> None:
        self._judgings = tuple(judgings.values())
        self._turns = {name: asyncio.Semaphore(each.options.concurrency) for name, each in judgings.items()}

    async def judge(
        self, exchange: Exchange, wanted: Callable[[str, Exchange], bool] = lambda judge, exchange: True
    ) -> tuple[LedgerEntry, ...]:
        """The outcome of every judge that is wanted; none waits for its hours, nor for an endpoint that is away."""
        asked = (each for each in self._judgings if wanted(each.name, exchange))
        return tuple(await asyncio.gather(*(self._one(each, exchange) for each in asked)))

    async def _one(self, judging: Judging, exchange: Exchange) -> LedgerEntry:
        async with self._turns[judging.name]:
            return await judging.judge(exchange) if not judging.breaker.wait else judging.away()


async def panel_of(stack: AsyncExitStack, settings: Settings, judges: Mapping[str, Judge]) -> Panel:
    """The judges of a configuration, outside of traffic: nobody is told what they do but who asks."""
    if not judges:
        return Panel({})
    memory = await stack.enter_async_context(memory_beside(settings))
    return Panel(await stack.enter_async_context(at_work(judges, memory, Telemetry())))

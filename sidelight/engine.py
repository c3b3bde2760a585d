"""Evaluators and judges on exchanges that are all there, a file's rows or the store's; the same as on live traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final, TypeAlias

from config.settings import Settings
from pipeline.records import Exchange, LedgerEntry
from pipeline.workers import WorkerPool
from sidelight.components import Components
from sidelight.evaluators import spawner
from sidelight.judges import panel_of

MOST_WAITING: Final = 1_000_000  # nothing may be refused: it is there as a whole

Entries: TypeAlias = tuple[LedgerEntry, ...]
OnWhole: TypeAlias = Callable[[Exchange, Entries], None]
Wanted: TypeAlias = Callable[[str, Exchange], bool]  # is this judge to be asked about this exchange?


def everything(judge: str, exchange: Exchange) -> bool:
    """All judges are asked about all exchanges."""
    return True


async def judge_all(
    exchanges: Sequence[Exchange],
    settings: Settings,
    components: Components,
    on_whole: OnWhole,
    wanted: Wanted = everything,
) -> None:
    """`on_whole` is called once for each, when everybody has had their say: evaluators first, judges after them.

    Exchanges are as redaction left them.
    """
    async with AsyncExitStack() as stack:
        panel = await panel_of(stack, settings, components.judges)

        async def ask(exchange: Exchange, entries: Entries) -> None:
            on_whole(exchange, entries + await panel.judge(exchange, wanted))

        judging = await stack.enter_async_context(asyncio.TaskGroup())

        def on_done(exchange: Exchange, entries: Entries) -> None:
            if components.judges:
                judging.create_task(ask(exchange, entries))
            else:
                on_whole(exchange, entries)

        options = settings.evaluation
        pool = WorkerPool(
            spawner(settings, in_the_gaps=False),
            tuple(components.evaluators),
            on_done,
            workers=options.workers,
            timeout=options.timeout,
            max_attempts=options.max_attempts,
            queue_size=MOST_WAITING,
        )
        async with pool:
            for exchange in exchanges:
                pool.submit(exchange)
            await pool.drained()

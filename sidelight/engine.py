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
from sidelight.judges import Panel, panel_of

MOST_WAITING: Final = 1_000_000  # nothing may be refused: it is there as a whole

Outcomes: TypeAlias = dict[str, tuple[LedgerEntry, ...]]  # exchange id → everybody's, evaluators first
Advance: TypeAlias = Callable[[Exchange], None]
Wanted: TypeAlias = Callable[[str, Exchange], bool]  # is this judge to be asked about this exchange?


def everything(judge: str, exchange: Exchange) -> bool:
    """All judges are asked about all exchanges."""
    return True


async def outcomes_of(
    exchanges: Sequence[Exchange],
    settings: Settings,
    components: Components,
    advance: Advance,
    wanted: Wanted = everything,
) -> Outcomes:
    """Everybody's outcomes; `advance` hears of each exchange that is finished. Exchanges are as redaction left them."""
    outcomes: Outcomes = {}

    def on_done(exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        outcomes[exchange.id] = entries
        if not components.judges:
            advance(exchange)

    async def ask(panel: Panel, exchange: Exchange) -> None:
        outcomes[exchange.id] += await panel.judge(exchange, wanted)
        advance(exchange)

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
    if components.judges:
        async with AsyncExitStack() as stack:
            panel = await panel_of(stack, settings, components.judges)
            await asyncio.gather(*(ask(panel, exchange) for exchange in exchanges))
    return outcomes

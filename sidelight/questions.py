"""Questions to the evaluators from outside of traffic: they share the pool, and their outcomes go to who asked."""

from __future__ import annotations

import asyncio
from secrets import token_hex

from msgspec.structs import replace

from pipeline.records import Exchange, LedgerEntry
from pipeline.workers import Done, WorkerPool


class Questions:
    """Stands between the pool and the runner: what was asked comes back here, everything else goes on."""

    def __init__(self, on_done: Done) -> None:
        self._on_done = on_done
        self._asked: dict[str, asyncio.Future[tuple[LedgerEntry, ...]]] = {}

    def on_done(self, exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        """The pool has judged this."""
        asked = self._asked.pop(exchange.id, None)
        if asked is None:
            self._on_done(exchange, entries)
        elif not asked.done():
            asked.set_result(entries)

    async def ask(self, exchange: Exchange, pool: WorkerPool) -> tuple[LedgerEntry, ...]:
        """Every evaluator's outcome; it is neither stored nor counted. A full queue says so in the outcomes."""
        identity = token_hex(16)
        self._asked[identity] = asyncio.get_running_loop().create_future()
        future = self._asked[identity]
        pool.submit(replace(exchange, id=identity))
        return await future

"""Judgements that somebody will ask for later: each a run with an id, kept until newer ones push it out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from secrets import token_hex
from typing import Any, Final

from pipeline.records import LedgerEntry

MOST: Final = 1000

Outcomes = tuple[LedgerEntry, ...]


class Runs:
    """The latest runs. Those that are pushed out while they run are stopped."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._runs: dict[str, asyncio.Task[Outcomes]] = {}

    def start(self, work: Coroutine[Any, Any, Outcomes]) -> str:
        """Begin; the id to ask by."""
        while len(self._runs) >= self._most:
            self._runs.pop(next(iter(self._runs))).cancel()
        identity = token_hex(16)
        self._runs[identity] = asyncio.ensure_future(work)
        return identity

    def look(self, identity: str) -> Outcomes | None:
        """The outcomes of a run, or None while there are none; KeyError where there is no such run."""
        run = self._runs[identity]
        return run.result() if run.done() and not run.cancelled() and not run.exception() else None

    async def close(self) -> None:
        """Stop what runs."""
        for run in self._runs.values():
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

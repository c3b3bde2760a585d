from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.records import Exchange, LedgerEntry
from sidelight.questions import Questions
from tests.support.records import an_exchange

ENTRIES = (LedgerEntry("refusal", "pass"),)


class Pool:
    """Judges when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Exchange] = []

    def submit(self, exchange: Exchange) -> None:
        self.waiting.append(exchange)


async def test_what_was_asked_comes_back_to_who_asked_and_nobody_else_hears_of_it() -> None:
    heard: list[Any] = []
    questions, pool = Questions(lambda exchange, entries: heard.append(exchange)), Pool()
    asked = asyncio.ensure_future(questions.ask(an_exchange(), pool))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    traffic = an_exchange()
    questions.on_done(traffic, ENTRIES)
    questions.on_done(pool.waiting[0], ENTRIES)
    assert await asked == ENTRIES
    assert heard == [traffic]


async def test_who_has_gone_is_not_told_and_breaks_nothing() -> None:
    heard: list[Any] = []
    questions, pool = Questions(lambda exchange, entries: heard.append(exchange)), Pool()
    asked = asyncio.ensure_future(questions.ask(an_exchange(), pool))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    questions.on_done(pool.waiting[0], ENTRIES)
    assert heard == []

"""Runs: begun now, asked for later, never more than so many."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.records import LedgerEntry
from sidelight.runs import Outcomes, Runs
from tests.support.running import until

SAID: Outcomes = (LedgerEntry("judge", "pass"),)


async def after(event: asyncio.Event) -> Outcomes:
    await event.wait()
    return SAID


async def test_a_run_has_no_outcomes_until_it_is_done() -> None:
    runs, event = Runs(), asyncio.Event()
    run = runs.start(after(event))
    await asyncio.sleep(0)
    assert runs.look(run) is None
    event.set()
    await until(lambda: runs.look(run) is not None)
    assert runs.look(run) == SAID


async def test_a_run_that_nobody_started_is_unknown() -> None:
    with pytest.raises(KeyError):
        Runs().look("nobody")


async def test_the_newest_push_out_the_oldest_and_stop_it() -> None:
    runs, event = Runs(most=2), asyncio.Event()
    first, *others = [runs.start(after(event)) for _ in range(3)]
    with pytest.raises(KeyError):
        runs.look(first)
    assert [runs.look(run) for run in others] == [None, None]
    await runs.close()


async def test_a_run_that_fails_has_no_outcomes() -> None:
    async def fails() -> Outcomes:
        raise ValueError

    runs = Runs()
    run = runs.start(fails())
    await runs.close()
    assert runs.look(run) is None

"""Every submitted exchange comes back exactly once with one entry for every evaluator, whatever evaluators do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.records import Exchange, LedgerEntry
from pipeline.workers import Spawn, WorkerPool
from tests.support.records import an_exchange
from tests.support.sidecar import eventually

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
EVALUATORS = ("first", "second", "third")


def spawner(*evaluators: str) -> Spawn:
    async def spawn(channel: int, heartbeat: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.worker_process",
            str(channel),
            str(heartbeat),
            *evaluators,
            pass_fds=(channel, heartbeat),
            cwd=ROOT,
            stderr=asyncio.subprocess.DEVNULL,
        )

    return spawn


def numbered(number: int, told: str = "") -> Exchange:
    return an_exchange(id=f"{number:032x}", request_model=told)


class Returned:
    """What came back, and why processes were replaced."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[LedgerEntry, ...]] = {}
        self.restarts: Counter[str] = Counter()

    def take(self, exchange: Exchange, entries: tuple[LedgerEntry, ...]) -> None:
        assert exchange.id not in self.entries, "an exchange came back twice"
        self.entries[exchange.id] = entries

    def outcomes(self, number: int) -> dict[str, tuple[str, str | None]]:
        """Evaluator → outcome and reason of one exchange."""
        return {entry.evaluator: (entry.outcome, entry.reason) for entry in self.entries[f"{number:032x}"]}


@asynccontextmanager
async def running(
    returned: Returned, evaluators: tuple[str, ...] = EVALUATORS, spawn: Spawn | None = None, **options: Any
) -> AsyncIterator[WorkerPool]:
    settings = {"workers": 1, "timeout": 0.5, "max_attempts": 2, "queue_size": 1000} | options
    restarts = returned.restarts
    async with WorkerPool(
        spawn or spawner(*evaluators),
        evaluators,
        returned.take,
        on_restart=lambda reason: restarts.update([reason]),
        **settings,
    ) as pool:
        yield pool


async def evaluated(told: list[str], **options: Any) -> Returned:
    """Submit one exchange for each of `told`, numbered from 0, and wait until all are back."""
    returned = Returned()
    async with running(returned, **options) as pool:
        for number, action in enumerate(told):
            pool.submit(numbered(number, action))
        async with asyncio.timeout(PATIENCE):
            await pool.drained()
        assert pool.unfinished == 0
    assert len(returned.entries) == len(told)
    for entries in returned.entries.values():
        assert tuple(entry.evaluator for entry in entries) == EVALUATORS
    return returned


PASS = ("pass", None)
ALL_PASS = dict.fromkeys(EVALUATORS, PASS)


async def test_good_evaluators_judge_every_exchange_in_their_order() -> None:
    returned = await evaluated([""] * 40)
    assert all(returned.outcomes(number) == ALL_PASS for number in range(40))
    assert not returned.restarts


async def test_an_evaluator_that_raises_has_the_outcome_error_and_its_process_lives() -> None:
    returned = await evaluated(["", "second:raise", ""])
    assert returned.outcomes(1) == ALL_PASS | {"second": ("error", "ValueError")}
    assert returned.outcomes(0) == returned.outcomes(2) == ALL_PASS
    assert not returned.restarts


async def test_an_evaluator_that_hangs_times_out_on_that_exchange_only() -> None:
    returned = await evaluated(["", "second:hang", "", ""])
    assert returned.outcomes(1) == ALL_PASS | {"second": ("error", "timeout")}
    assert all(returned.outcomes(number) == ALL_PASS for number in (0, 2, 3))
    assert returned.restarts == {"timeout": 1}


async def test_a_timeout_says_how_long_it_took() -> None:
    returned = await evaluated(["second:hang"], timeout=0.3)
    (entry,) = (entry for entry in returned.entries[numbered(0).id] if entry.evaluator == "second")
    assert entry.duration >= 0.3e9
    assert entry.evaluations[0].error_type == "timeout"
    assert entry.started_at > 0


@pytest.mark.parametrize("action", ["leave", "segfault", "exit", "close"])
async def test_an_evaluator_that_ends_its_process_is_tried_again_and_set_aside(action: str) -> None:
    returned = await evaluated(["", f"second:{action}", ""])
    assert returned.outcomes(1) == ALL_PASS | {"second": ("error", "worker_crashed")}
    assert returned.outcomes(0) == returned.outcomes(2) == ALL_PASS
    assert returned.restarts == {"worker_crashed": 2}


@pytest.mark.parametrize("max_attempts", [1, 3])
async def test_a_crash_is_tried_as_often_as_configured(max_attempts: int) -> None:
    returned = await evaluated(["first:leave"], max_attempts=max_attempts)
    assert returned.outcomes(0) == ALL_PASS | {"first": ("error", "worker_crashed")}
    assert returned.restarts == {"worker_crashed": max_attempts}


async def test_an_evaluator_that_eats_memory_has_the_outcome_error() -> None:
    returned = await evaluated(["", "third:allocate"])
    assert returned.outcomes(1) == ALL_PASS | {"third": ("error", "MemoryError")}


async def test_an_evaluator_that_returns_nonsense_has_the_outcome_error() -> None:
    returned = await evaluated(["", "third:nonsense", ""])
    assert returned.outcomes(1) == ALL_PASS | {"third": ("error", "ValidationError")}
    assert returned.outcomes(2) == ALL_PASS
    assert not returned.restarts


async def test_a_full_queue_gives_every_evaluator_its_outcome_at_once() -> None:
    returned = Returned()
    async with running(returned, queue_size=3) as pool:
        for number in range(5):
            pool.submit(numbered(number))
        queue_full = ("skipped", "queue_full")
        assert [returned.outcomes(number) for number in (3, 4)] == [dict.fromkeys(EVALUATORS, queue_full)] * 2
        async with asyncio.timeout(PATIENCE):
            await pool.drained()
        assert all(returned.outcomes(number) == ALL_PASS for number in range(3))
        pool.submit(numbered(5))
        async with asyncio.timeout(PATIENCE):
            await pool.drained()
    assert returned.outcomes(5) == ALL_PASS


async def test_without_evaluators_an_exchange_is_back_at_once() -> None:
    returned = Returned()
    async with running(returned, ()) as pool:
        pool.submit(numbered(0))
        assert returned.entries == {numbered(0).id: ()}


async def test_replaced_evaluators_judge_from_then_on() -> None:
    returned = Returned()
    async with running(returned) as pool, asyncio.timeout(PATIENCE):
        pool.submit(numbered(0))
        await pool.drained()
        pool.replace(spawner("fourth"), ("fourth",))
        pool.submit(numbered(1))
        await pool.drained()
    assert returned.outcomes(0) == ALL_PASS
    assert returned.outcomes(1) == {"fourth": PASS}
    assert not returned.restarts


async def test_evaluators_replaced_while_one_hangs_take_over() -> None:
    returned = Returned()
    async with running(returned) as pool, asyncio.timeout(PATIENCE):
        pool.submit(numbered(0, "third:hang"))
        await eventually(lambda: not pool._queue)  # it is under way
        pool.replace(spawner("fourth"), ("fourth",))
        pool.submit(numbered(1))
        await pool.drained()
    assert [entry.evaluator for entry in returned.entries[numbered(1).id]] == ["fourth"]
    assert [entry.evaluator for entry in returned.entries[numbered(0).id]] == ["fourth"]


async def test_replacing_again_and_again_loses_nothing() -> None:
    returned = Returned()
    async with running(returned, workers=2) as pool, asyncio.timeout(PATIENCE):
        for number in range(60):
            pool.submit(numbered(number))
            if number % 20 == 10:
                names = (f"e{number}", "first")
                pool.replace(spawner(*names), names)
                await asyncio.sleep(0)
        await pool.drained()
    assert len(returned.entries) == 60
    assert {len(entries) for entries in returned.entries.values()} <= {2, 3}


async def test_a_killed_process_is_replaced_and_nothing_is_lost() -> None:
    returned = Returned()
    async with running(returned) as pool, asyncio.timeout(PATIENCE):
        pool.submit(numbered(0))
        await pool.drained()
        explanation = returned.entries[numbered(0).id][0].evaluations[0].explanation
        assert explanation
        os.kill(int(explanation.rpartition(" ")[2]), signal.SIGKILL)
        for number in range(1, 30):
            pool.submit(numbered(number))
        await pool.drained()
    assert all(returned.outcomes(number) == ALL_PASS for number in range(30))


async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    returned, refusals, spawn = Returned(), [1, 2], spawner(*EVALUATORS)

    async def sometimes(channel: int, heartbeat: int) -> asyncio.subprocess.Process:
        if refusals:
            refusals.pop()
            raise OSError("no more processes")
        return await spawn(channel, heartbeat)

    async with running(returned, spawn=sometimes) as pool, asyncio.timeout(PATIENCE):
        pool.submit(numbered(0))
        await pool.drained()
    assert returned.outcomes(0) == ALL_PASS
    assert returned.restarts == {"not_started": 2}


async def test_processes_that_die_outside_any_evaluator_are_not_fed_the_same_batch_for_ever() -> None:
    async def stillborn(channel: int, heartbeat: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(1)")

    returned = Returned()
    async with running(returned, spawn=stillborn, max_attempts=2) as pool, asyncio.timeout(PATIENCE):
        for number in range(3):
            pool.submit(numbered(number))
        await pool.drained()
    for number in range(3):
        assert returned.outcomes(number) == dict.fromkeys(EVALUATORS, ("error", "worker_crashed"))
    assert returned.restarts == {"worker_crashed": 2}


async def test_leaving_ends_the_processes_even_those_that_hang() -> None:
    returned, processes, spawn = Returned(), [], spawner(*EVALUATORS)

    async def remembered(channel: int, heartbeat: int) -> asyncio.subprocess.Process:
        processes.append(await spawn(channel, heartbeat))
        return processes[-1]

    async with running(returned, spawn=remembered, timeout=60.0, workers=2) as pool:
        pool.submit(numbered(0, "first:hang"))
        await eventually(lambda: len(processes) == 2 and not pool._queue)
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2
    assert returned.entries == {}


MIX = ["", "", "", "", "first:raise", "second:hang", "third:leave", "first:segfault", "second:exit", "third:nonsense"]
EXPECTED = {
    "": None,
    "first:raise": "ValueError",
    "second:hang": "timeout",
    "third:leave": "worker_crashed",
    "first:segfault": "worker_crashed",
    "second:exit": "worker_crashed",
    "third:nonsense": "ValidationError",
}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_random_mix_is_conserved(seed: int) -> None:
    random = Random(seed)
    told = [random.choice(MIX) for _ in range(40)]
    returned = await evaluated(told, workers=2, timeout=0.3)
    for number, action in enumerate(told):
        who = action.partition(":")[0]
        expected = ALL_PASS | ({who: ("error", EXPECTED[action])} if who else {})
        assert returned.outcomes(number) == expected

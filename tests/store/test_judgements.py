"""Paid for once, never more than there is, and forgotten in time."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.budget import Limit, Spend
from pipeline.errors import ConfigError
from pipeline.records import Evaluation
from store.judgements import FORGET_EVERY, KEPT_FOR, Judgements

MIDNIGHT = 24 * 20_000  # hours since the epoch
SAID = (Evaluation("coherence", 4.0, "pass", "4: clear", reasoning="It follows."), Evaluation("fluency", 5.0, "pass"))
ONE_CALL = Spend(1, 100, 0.25)


def limits(*texts: str) -> tuple[Limit, ...]:
    return tuple(map(Limit.parse, texts))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db.judgements"


@pytest.fixture
async def memory(path: Path) -> AsyncIterator[Judgements]:
    async with Judgements(str(path)) as opened:
        yield opened


async def reserved(memory: Judgements, times: int, *texts: str, spend: Spend = ONE_CALL, hour: int = MIDNIGHT) -> int:
    """How many of so many reservations, made at once, were granted."""
    asked = [memory.reserve("judge", limits(*texts), spend, hour) for _ in range(times)]
    return (await asyncio.gather(*asked)).count(None)


async def test_what_was_said_is_found_again_also_by_the_next_life(path: Path) -> None:
    async with Judgements(str(path)) as memory:
        assert await memory.find("key") is None
        await memory.keep("key", SAID)
        assert await memory.find("key") == SAID
    async with Judgements(str(path)) as memory:
        assert await memory.find("key") == SAID
        assert await memory.find("another") is None


async def test_words_stay_no_longer_than_the_texts_that_they_may_quote(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000
    monkeypatch.setattr("store.judgements.time", lambda: now)
    async with Judgements(str(path), kept_for=3 * FORGET_EVERY) as memory:
        await memory.keep("old", SAID)
        now += 3 * FORGET_EVERY + 1
        assert await memory.find("old") is None
        await memory.keep("new", SAID)
        assert await asyncio.to_thread(keys, path) == ["new"]


async def test_nothing_stays_for_ever_however_long_the_store_keeps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000
    monkeypatch.setattr("store.judgements.time", lambda: now)
    async with Judgements(str(path), kept_for=10 * KEPT_FOR) as memory:
        await memory.keep("old", SAID)
        now += KEPT_FOR
        assert await memory.find("old") == SAID
    now += 1
    async with Judgements(str(path), kept_for=10 * KEPT_FOR):
        assert await asyncio.to_thread(keys, path) == []


def keys(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [key for (key,) in db.execute("SELECT key FROM said ORDER BY key")]


@pytest.mark.parametrize(
    ("texts", "granted"),
    [
        ((), 20),
        (("7 calls/hour",), 7),
        (("750 tokens/day",), 7),
        (("2 USD/day",), 8),
        (("2 USD/day", "5 calls/hour"), 5),
        (("0 calls/day",), 0),
    ],
)
async def test_many_at_once_get_what_there_is_and_no_more(
    memory: Judgements, texts: tuple[str, ...], granted: int
) -> None:
    assert await reserved(memory, 20, *texts) == granted


async def test_tenths_of_a_dollar_add_up(memory: Judgements) -> None:
    assert await reserved(memory, 20, "1 USD/day", spend=Spend(1, 1, 0.1)) == 10


RIVAL = """
import asyncio, sys
from pipeline.budget import Limit, Spend
from store.judgements import Judgements

async def run():
    async with Judgements(sys.argv[1]) as memory:
        print("ready", flush=True)
        sys.stdin.readline()
        asked = [memory.reserve("judge", (Limit.parse("60 calls/day"),), Spend(1, 1, 0.0), 480000) for _ in range(50)]
        print((await asyncio.gather(*asked)).count(None))

asyncio.run(run())
"""


def test_two_processes_on_one_file_share_one_budget(path: Path) -> None:
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for rival in rivals:
        assert rival.stdout
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin
        rival.stdin.write("\n")
        rival.stdin.flush()
    assert sum(int(rival.communicate(timeout=60)[0]) for rival in rivals) == 60


async def test_what_was_not_needed_is_given_back(memory: Judgements) -> None:
    assert await reserved(memory, 5, "2 calls/day") == 2
    await memory.settle("judge", Spend().minus(ONE_CALL), MIDNIGHT)
    assert await reserved(memory, 5, "2 calls/day") == 1
    (limit,) = limits("2 calls/day")
    assert await memory.spent("judge", limit, MIDNIGHT) == Spend(2, 200, 0.5)


async def test_what_cost_more_than_expected_counts_in_full(memory: Judgements) -> None:
    assert await reserved(memory, 1, "1000 tokens/day") == 1
    await memory.settle("judge", Spend(1, 800, 0.0), MIDNIGHT)
    assert await reserved(memory, 5, "1000 tokens/day") == 1


async def test_each_judge_has_a_purse_of_its_own(memory: Judgements) -> None:
    assert await reserved(memory, 5, "2 calls/day") == 2
    assert await memory.reserve("other", limits("2 calls/day"), ONE_CALL, MIDNIGHT) is None


async def test_hours_and_days_begin_anew_where_utc_says_so(memory: Judgements) -> None:
    both = ("2 calls/hour", "3 calls/day")
    last_hour = MIDNIGHT - 1
    assert await reserved(memory, 5, *both, hour=last_hour - 1) == 2
    assert await reserved(memory, 5, *both, hour=last_hour) == 1
    assert await reserved(memory, 5, *both, hour=MIDNIGHT) == 2
    assert await reserved(memory, 5, *both, hour=MIDNIGHT + 23) == 1
    assert await reserved(memory, 5, *both, hour=MIDNIGHT + 24) == 2


async def test_budgets_outlive_a_restart(path: Path) -> None:
    for expected in (3, 0):
        async with Judgements(str(path)) as memory:
            assert await reserved(memory, 5, "3 calls/day") == expected


@pytest.fixture(params=["query_only", "max_page_count"])
async def unwritable(request: pytest.FixtureRequest, memory: Judgements) -> Judgements:
    """A disk that may be read alone, or one that fills up."""
    connection = memory._db
    if request.param == "query_only":
        await asyncio.to_thread(connection.execute, "PRAGMA query_only = ON")
    else:
        (pages,) = await asyncio.to_thread(lambda: connection.execute("PRAGMA page_count").fetchone())
        await asyncio.to_thread(connection.execute, f"PRAGMA max_page_count = {pages}")
        await fill(memory)
    return memory


async def fill(memory: Judgements) -> None:
    """Until a judge that nobody knows yet finds no room."""

    def until_full() -> None:
        for number in range(100_000):
            try:
                memory._db.execute("INSERT INTO spent VALUES (?, 0, 0, 0, 0)", (f"{number:0500}",))
            except sqlite3.OperationalError:
                return

    await asyncio.to_thread(until_full)


async def test_what_cannot_be_counted_is_not_spent(unwritable: Judgements) -> None:
    heavy = "j" * 4000
    assert await unwritable.reserve(heavy, limits("5 calls/day"), ONE_CALL, MIDNIGHT) is not None
    assert await unwritable.reserve(heavy, (), ONE_CALL, MIDNIGHT) is None  # nothing to count


async def test_a_disk_that_does_not_write_costs_memory_and_nothing_else(unwritable: Judgements) -> None:
    await unwritable.keep("key", (Evaluation("coherence", explanation="x" * 8000),))
    await unwritable.settle("j" * 4000, ONE_CALL, MIDNIGHT)
    assert await unwritable.find("key") is None


async def test_once_the_disk_writes_again_so_does_the_memory_and_nothing_is_silent(
    memory: Judgements, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(memory._db.execute, "PRAGMA query_only = ON")
    assert await reserved(memory, 9, "5 calls/day") == 0
    assert (memory.condition.state, len(caplog.records)) == ("StatusRecoverableError", 1)
    await asyncio.to_thread(memory._db.execute, "PRAGMA query_only = OFF")
    assert await reserved(memory, 9, "5 calls/day") == 5
    assert memory.condition.state == "StatusOK"


async def test_a_body_that_cannot_be_read_is_nothing_said(memory: Judgements) -> None:
    await memory.keep("key", SAID)
    await asyncio.to_thread(memory._db.execute, "UPDATE said SET body = x'ff00'")
    assert await memory.find("key") is None


async def test_a_file_of_another_kind_is_one_error_that_names_it(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigError, match=r"store\.db\.judgements: file is not a database") as error:
        async with Judgements(str(path)):
            pass
    assert len(error.value.problems) == 1


async def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unable to open database file"):
        async with Judgements(str(tmp_path / "nowhere" / "file")):
            pass

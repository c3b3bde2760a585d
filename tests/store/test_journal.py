"""Pending before, done after, and nothing lost in between, whatever dies."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import ConfigError
from pipeline.records import Cost, EvaluatedExchange, Evaluation, Exchange, LedgerEntry, Owed
from pipeline.runner import without_content
from store.journal import ENTRIES, Journal, rewrite
from store.queries import LedgerSums, Story, ledger_sums, opened, story
from tests.support.records import STARTED_AT, an_exchange, answer

PASSED = LedgerEntry("pii", "pass", None, (Evaluation("pii", 0.0, "pass"),), STARTED_AT, 5)


def numbered(number: int, **changes: Any) -> Exchange:
    return an_exchange(id=f"{number:032x}", **changes)


def with_body(exchange: Exchange) -> tuple[Exchange, bytes]:
    return exchange, msgspec.msgpack.encode(exchange)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(str(tmp_path / "store.db")) as opened_journal:
        yield opened_journal


async def all_pending(journal: Journal) -> list[tuple[str, int, Exchange | None]]:
    return await journal.pending("", 1000)


async def stored(journal: Journal, query: str) -> list[Any]:
    def read() -> list[Any]:
        with opened(Path(journal.path)) as db:
            return [tuple(row) for row in db.execute(query)]

    return await asyncio.to_thread(read)


def told_of(path: str, identity: str) -> tuple[Story, LedgerSums]:
    with opened(Path(path)) as db:
        told = story(db, identity)
        assert told is not None
        return told, ledger_sums(db)


async def test_what_is_added_is_pending_and_comes_back_as_it_was(journal: Journal) -> None:
    await journal.add([with_body(numbered(1)), with_body(numbered(2))])
    assert await all_pending(journal) == [(numbered(1).id, 0, numbered(1)), (numbered(2).id, 0, numbered(2))]


async def test_what_is_finished_is_done_with_its_outcomes(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    failed = LedgerEntry("refusal", "fail", None, (Evaluation("refusal", 1.0, "fail", "it declined"),), STARTED_AT, 7)
    await journal.finish([EvaluatedExchange(numbered(1), (PASSED, failed), weight=4.0, kept="flagged")])
    assert await all_pending(journal) == []
    told, sums = await asyncio.to_thread(told_of, journal.path, numbered(1).id)
    assert (told.state, told.kept, told.weight, told.exchange) == ("done", "flagged", 4.0, numbered(1))
    assert [(row.evaluator, row.outcome, row.score, row.explanation, row.duration) for row in told.ledger] == [
        ("pii", "pass", 0.0, None, 5),
        ("refusal", "fail", 1.0, "it declined", 7),
    ]
    assert sums.balanced
    assert (sums.done, sums.pending) == (1, 0)


async def test_of_several_evaluations_the_decisive_one_is_kept(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    said = (Evaluation("latency.duration", 1.0, "pass"), Evaluation("latency.speed", 2.0, "fail", "too slow"))
    await journal.finish([EvaluatedExchange(numbered(1), (LedgerEntry("latency", "fail", None, said),))])
    assert await stored(journal, "SELECT score, label, explanation FROM ledger") == [(2.0, "fail", "too slow")]


async def test_the_columns_say_what_the_exchange_says(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    assert await stored(
        journal, "SELECT model, status, input_tokens, output_tokens, upstream, path, stream FROM exchange"
    ) == [("gpt-4o-2024-08-06", 200, 9, 3, "openai", "/v1/chat/completions", 0)]


async def test_pending_comes_in_pages_by_id_and_counts_attempts(journal: Journal) -> None:
    await journal.add([with_body(numbered(n)) for n in (3, 1, 2)])
    first = await journal.pending("", 2)
    rest = await journal.pending(first[-1][0], 2)
    assert [(identity, attempts) for identity, attempts, _ in first + rest] == [(numbered(n).id, 0) for n in (1, 2, 3)]
    assert [attempts for _, attempts, _ in await all_pending(journal)] == [1, 1, 1]


async def test_the_same_exchange_added_twice_is_one(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    await journal.finish([EvaluatedExchange(numbered(1), (PASSED,))])
    await journal.add([with_body(numbered(1))])
    assert await all_pending(journal) == []


async def test_finishing_twice_leaves_one_outcome_for_each_evaluator(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    for _ in range(2):
        await journal.finish([EvaluatedExchange(numbered(1), (PASSED,))])
    assert await stored(journal, "SELECT count(*) FROM ledger") == [(1,)]


async def test_the_body_of_a_sampled_out_exchange_is_gone(journal: Journal) -> None:
    await journal.add([with_body(numbered(1)), with_body(numbered(2))])
    await journal.finish(
        [
            EvaluatedExchange(numbered(1), (PASSED,), weight=0.0, kept="sampled_out"),
            EvaluatedExchange(numbered(2), (PASSED,), weight=2.0, kept="ratio"),
        ]
    )
    assert await stored(journal, "SELECT kept, body IS NULL FROM exchange ORDER BY id") == [
        ("sampled_out", 1),
        ("ratio", 0),
    ]


async def test_what_is_old_and_done_expires_with_its_outcomes(journal: Journal) -> None:
    old = msgspec.structs.replace(an_exchange().timing, started_at=1000)
    exchanges = [numbered(1, timing=old), numbered(2), numbered(3, timing=old)]
    await journal.add([with_body(exchange) for exchange in exchanges])
    await journal.finish([EvaluatedExchange(exchange, (PASSED,)) for exchange in exchanges[:2]])
    assert await journal.expire(2000) == 1
    assert await stored(journal, "SELECT id, state FROM exchange ORDER BY id") == [
        (numbered(2).id, "done"),
        (numbered(3).id, "pending"),
    ]
    assert await stored(journal, "SELECT exchange_id FROM ledger") == [(numbered(2).id,)]


async def test_expiring_goes_on_until_all_that_is_old_is_gone(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.journal.RETENTION_BATCH", 3)
    exchanges = [numbered(n) for n in range(10)]
    await journal.add([with_body(exchange) for exchange in exchanges])
    await journal.finish([EvaluatedExchange(exchange) for exchange in exchanges])
    assert await journal.expire(STARTED_AT + 1) == 10
    assert await stored(journal, "SELECT count(*) FROM exchange") == [(0,)]


async def test_a_body_that_cannot_be_read_comes_back_as_none(journal: Journal) -> None:
    await journal.add([(numbered(1), b"no exchange"), (numbered(2), None)])
    assert [exchange for _, _, exchange in await all_pending(journal)] == [None, None]


async def test_a_database_error_is_raised_and_nothing_is_half_written(journal: Journal) -> None:
    await journal.add([with_body(numbered(1)), with_body(numbered(2))])
    impossible = LedgerEntry("pii", "nonsense")  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        await journal.finish([EvaluatedExchange(numbered(1), (PASSED,)), EvaluatedExchange(numbered(2), (impossible,))])
    assert await stored(journal, "SELECT state FROM exchange") == [("pending",), ("pending",)]
    assert await stored(journal, "SELECT count(*) FROM ledger") == [(0,)]
    await journal.finish([EvaluatedExchange(numbered(1), (PASSED,))])
    assert await stored(journal, "SELECT state FROM exchange ORDER BY id") == [("done",), ("pending",)]


async def test_a_full_disk_is_raised_and_later_writes_work_again(journal: Journal) -> None:
    def pages(limit: int) -> None:
        journal._db.execute(f"PRAGMA max_page_count = {limit}").fetchall()

    await journal._in_thread(lambda: pages(1))
    incompressible = b"".join(hash((n, "x")).to_bytes(8, "big", signed=True) for n in range(100_000))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await journal.add([(numbered(1), incompressible)])
    assert await stored(journal, "SELECT count(*) FROM exchange") == [(0,)]
    await journal._in_thread(lambda: pages(2**30))
    await journal.add([with_body(numbered(2))])
    assert await stored(journal, "SELECT count(*) FROM exchange") == [(1,)]


async def test_a_second_journal_on_the_same_file_is_refused(journal: Journal) -> None:
    with pytest.raises(ConfigError, match=r"exporters\.store\.path: .* is in use by another Sidelight"):
        await Journal(journal.path).__aenter__()
    await journal.add([with_body(numbered(1))])


async def test_the_file_is_free_again_when_the_journal_is_closed(tmp_path: Path) -> None:
    for number in (1, 2):
        async with Journal(str(tmp_path / "store.db")) as journal:
            await journal.add([with_body(numbered(number))])


async def test_a_folder_that_does_not_exist_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exporters\.store\.path: cannot open"):
        await Journal(str(tmp_path / "nowhere" / "store.db")).__aenter__()


async def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await asyncio.to_thread(file.write_bytes, b"something else entirely, and long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match=r"exporters\.store\.path: cannot use"):
        await Journal(str(file)).__aenter__()


async def test_a_store_without_content_holds_no_text(tmp_path: Path) -> None:
    exchange = numbered(
        1, input_messages=(answer("CANARY-in"),), output_messages=(answer("CANARY-out"),), error_message="CANARY-error"
    )
    async with Journal(str(tmp_path / "store.db")) as journal:
        await journal.add([(exchange, msgspec.msgpack.encode(without_content(exchange)))])
        ((_, _, back),) = await all_pending(journal)
        written = await asyncio.to_thread(bytes_in, tmp_path)
    assert back is not None
    assert back.content == "off"
    assert b"CANARY" not in msgspec.json.encode(back)
    assert b"CANARY" not in written


def bytes_in(folder: Path) -> bytes:
    """Every file's content: the database, its log, its lock."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


DIES = """
import asyncio, os, signal, sys
import msgspec
from store.journal import Journal
from pipeline.records import EvaluatedExchange
from tests.support.records import an_exchange

async def live(path):
    async with Journal(path) as journal:
        exchanges = [an_exchange(id=f"{n:032x}") for n in range(20)]
        await journal.add([(e, msgspec.msgpack.encode(e)) for e in exchanges])
        await journal.finish([EvaluatedExchange(e) for e in exchanges[:5]])
        print("ready", flush=True)
        while True:
            await journal.pending("", 100)  # a transaction may be under way when the end comes

asyncio.run(live(sys.argv[1]))
"""


async def killed_life(path: str) -> None:
    """A process that adds 20, finishes 5 and is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES, path, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def test_after_a_kill_what_was_not_finished_is_pending_with_its_attempts_counted(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    await killed_life(path)
    async with Journal(path) as journal:
        pending = await all_pending(journal)
        assert [identity for identity, _, _ in pending] == [numbered(n).id for n in range(5, 20)]
        assert all(exchange == numbered(int(identity, 16)) for identity, _, exchange in pending)
        again = await all_pending(journal)
        assert [later - earlier for (_, earlier, _), (_, later, _) in zip(pending, again, strict=True)] == [1] * 15
        await journal.finish([EvaluatedExchange(exchange) for _, _, exchange in pending if exchange])
        assert await all_pending(journal) == []


async def test_what_is_owed_is_there_oldest_first_until_it_is_paid(journal: Journal) -> None:
    exchanges = [numbered(n) for n in (3, 1, 2)]  # they end in another order than they began
    await journal.add([with_body(each) for each in exchanges])
    owed = (Owed("judge/a", 20.0), Owed("judge/b"))
    await journal.finish([EvaluatedExchange(each, (PASSED,), owed=owed) for each in exchanges])
    debts = await journal.owed("judge/a", 0, 2)
    assert [(debt.weight, debt.known.exchange) for debt in debts] == [(20.0, each) for each in exchanges[:2]]
    assert [debt.known.exchange for debt in await journal.owed("judge/a", debts[-1].number, 9)] == exchanges[2:]
    await journal.paid(exchanges[0].id, "judge/a")
    assert await journal.debtors() == {"judge/a": 2, "judge/b": 3}


async def test_a_debt_is_owed_once_and_its_exchange_expires_when_it_is_paid(journal: Journal) -> None:
    await journal.add([with_body(numbered(1))])
    for _ in range(2):
        await journal.finish([EvaluatedExchange(numbered(1), owed=(Owed("judge"),))])
    assert await journal.expire(STARTED_AT * 2) == 0
    assert await journal.debtors() == {"judge": 1}
    await journal.paid(numbered(1).id, "judge")
    assert await journal.expire(STARTED_AT * 2) == 1


async def test_outcomes_can_be_rewritten_beside_a_journal_that_is_open(journal: Journal) -> None:
    await journal.add([with_body(numbered(1)), with_body(numbered(2))])
    await journal.finish([EvaluatedExchange(numbered(1), (PASSED,))])
    again = LedgerEntry("pii", "fail", version="2")
    outcomes = [(numbered(1).id, again), (numbered(2).id, again), (numbered(3).id, again)]
    await asyncio.to_thread(rewrite, Path(journal.path), outcomes)
    rows = await stored(journal, "SELECT exchange_id, outcome, version FROM ledger")
    assert rows == [(numbered(1).id, "fail", "2")]  # the second is pending, and the third is not there


async def test_a_store_of_another_version_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with_sqlite(path, OLD_SCHEMA)
    with pytest.raises(ConfigError, match="start this Sidelight on it once"):
        await asyncio.to_thread(rewrite, path, [])


@pytest.mark.parametrize("count", [0, 1, ENTRIES - 1, ENTRIES, ENTRIES + 1, 3 * ENTRIES])
async def test_every_entry_is_written_however_many_there_are(journal: Journal, count: int) -> None:
    await journal.add([with_body(numbered(1))])
    entries = tuple(LedgerEntry(f"e{number:03}", "pass", version=str(number)) for number in range(count))
    await journal.finish([EvaluatedExchange(numbered(1), entries)])
    rows = await stored(journal, "SELECT evaluator, version FROM ledger ORDER BY evaluator")
    assert rows == [(entry.evaluator, entry.version) for entry in entries]


async def test_what_is_abandoned_is_done_with_an_error_for_every_evaluator(tmp_path: Path) -> None:
    path = tmp_path / "abandoned.db"
    async with Journal(str(path)) as journal:
        await journal.add([(an_exchange(), None)])
        await journal.abandon(an_exchange().id, ("refusal", "pii"), "unreadable")
        assert await journal.pending("", 10) == []
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT state, weight, kept FROM exchange").fetchall() == [("done", 0.0, "unreadable")]
        rows = db.execute("SELECT evaluator, outcome, reason FROM ledger ORDER BY evaluator").fetchall()
    db.close()
    assert rows == [("pii", "error", "unreadable"), ("refusal", "error", "unreadable")]


OLD_SCHEMA = """
CREATE TABLE exchange (id TEXT PRIMARY KEY, state TEXT NOT NULL, started_at INTEGER NOT NULL, trace_id TEXT NOT NULL,
  upstream TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER, error_type TEXT, operation TEXT,
  model TEXT, stream INTEGER NOT NULL, duration INTEGER NOT NULL, first_chunk INTEGER, input_tokens INTEGER,
  output_tokens INTEGER, attempts INTEGER NOT NULL DEFAULT 0, weight REAL, kept TEXT, body BLOB) STRICT;
INSERT INTO exchange (id, state, started_at, trace_id, upstream, method, path, stream, duration)
VALUES ('old', 'pending', 1, 't', 'u', 'POST', '/', 0, 5);
CREATE TABLE ledger (exchange_id TEXT NOT NULL REFERENCES exchange (id) ON DELETE CASCADE, evaluator TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT, score REAL, label TEXT, explanation TEXT, duration INTEGER NOT NULL,
  PRIMARY KEY (exchange_id, evaluator)) STRICT, WITHOUT ROWID;
INSERT INTO ledger (exchange_id, evaluator, outcome, duration) VALUES ('old', 'refusal', 'pass', 7);
"""


def with_sqlite(path: Path, script: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()


async def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with_sqlite(path, OLD_SCHEMA)
    for _ in range(2):  # and stays so
        async with Journal(str(path)) as journal:
            assert "old" in [identity for identity, _, _ in await all_pending(journal)]
            await journal.add([with_body(numbered(1, cost=Cost(0.25, 0.2, 0.05, "override"), user="u1"))])
            await journal.enter("old", [LedgerEntry("judge", "fail", version="v", weight=4.0, cost=0.5)])
    known, _ = await asyncio.to_thread(told_of, str(path), "old")
    assert [(row.evaluator, row.version, row.weight, row.cost) for row in known.ledger] == [
        ("judge", "v", 4.0, 0.5),
        ("refusal", None, None, None),
    ]
    told, _ = await asyncio.to_thread(told_of, str(path), numbered(1).id)
    assert (told.cost, told.usage_source, told.wire, told.user) == (0.25, "provider", "openai_chat", "u1")


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with_sqlite(path, "PRAGMA user_version = 99;")
    with pytest.raises(ConfigError, match="written by a newer Sidelight"):
        async with Journal(str(path)):
            pass

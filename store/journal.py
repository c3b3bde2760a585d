"""The store is the journal: pending before an exchange is evaluated, done after, resumed after a crash.

One thread owns the one writing connection (WAL, `synchronous=NORMAL`: nothing committed is lost when a process dies;
a power cut may take the last commits). Each call is one transaction over a whole batch. A second Sidelight on the same
file is refused by a lock, because two journals would evaluate each other's pending exchanges.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from pipeline.errors import ConfigError
from pipeline.records import EvaluatedExchange, Exchange, Http, LedgerEntry, Timing, TraceContext

T = TypeVar("T")
SECOND: Final = 1_000_000_000
RETENTION_BATCH: Final = 1000
WAITS: Final = 30.0  # seconds for another process that writes

INSERT: Final = """
INSERT OR IGNORE INTO exchange (id, state, started_at, trace_id, upstream, method, path, status, error_type, operation,
  model, stream, duration, first_chunk, input_tokens, output_tokens, usage_source, cost, wire, user, session,
  response_id, body)
VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
FINISH: Final = "UPDATE exchange SET state = 'done', weight = ?, kept = ? WHERE id = ?"
FINISH_WITHOUT_BODY: Final = "UPDATE exchange SET state = 'done', weight = ?, kept = ?, body = NULL WHERE id = ?"
ENTER: Final = """
INSERT OR REPLACE INTO ledger (exchange_id, evaluator, outcome, reason, score, label, explanation, duration, version,
  weight, cost, calibration, reasoning)
VALUES """
ENTRY: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ENTRIES: Final = 16  # of the ledger in one statement: a third cheaper than one by one
ENTER_MANY: Final = ENTER + ", ".join([ENTRY] * ENTRIES)
EXPIRE: Final = """
DELETE FROM exchange
WHERE id IN (SELECT id FROM exchange WHERE started_at < ? AND state = 'done'
             AND NOT EXISTS (SELECT 1 FROM owed WHERE owed.exchange_id = exchange.id) LIMIT ?)"""
OWE: Final = "INSERT OR IGNORE INTO owed (exchange_id, evaluator, weight) VALUES (?, ?, ?)"
OWE_AFTER_ALL: Final = """
INSERT OR IGNORE INTO owed (exchange_id, evaluator, weight)
SELECT exchange_id, evaluator, 0.0 FROM ledger JOIN exchange ON exchange.id = exchange_id
WHERE exchange_id = ? AND evaluator = ? AND reason = 'sampled_out' AND body IS NOT NULL"""
PAID: Final = "DELETE FROM owed WHERE exchange_id = ? AND evaluator = ?"
PENDING: Final = "SELECT id, attempts, body FROM exchange WHERE state = 'pending' AND id > ? ORDER BY id LIMIT ?"

VERSION: Final = 4  # of schema.sql, kept as the file's user_version
UPGRADES: Final = {  # from each older version to the next
    1: [
        f"ALTER TABLE exchange ADD COLUMN {column}"
        for column in ("usage_source TEXT", "cost REAL", "wire TEXT", "user TEXT", "session TEXT")
    ],
    2: ["ALTER TABLE exchange ADD COLUMN response_id TEXT"],
    3: [
        f"ALTER TABLE ledger ADD COLUMN {column}"
        for column in ("version TEXT", "weight REAL", "cost REAL", "calibration TEXT", "reasoning TEXT")
    ],
}

KNOWN: Final = """
exchange.id, state, exchange.weight, kept, started_at, trace_id, upstream, method, path, status, operation, model,
duration, body"""
FIND: Final = {
    key: f"SELECT {KNOWN} FROM exchange WHERE {key} = ? LIMIT 2"  # noqa: S608 - the three keys are ours
    for key in ("id", "trace_id", "response_id")
}
OWED: Final = f"""
SELECT number, owed.weight, {KNOWN} FROM owed JOIN exchange ON exchange.id = owed.exchange_id
WHERE evaluator = ? AND number > ? ORDER BY number LIMIT ?"""  # noqa: S608 - constants

_decoder = msgspec.msgpack.Decoder(Exchange)


class Known(NamedTuple):
    """An exchange that the journal has; of one that was sampled out only what its columns say."""

    done: bool
    weight: float
    kept: str
    exchange: Exchange


class Debt(NamedTuple):
    """An outcome that is owed; numbers grow with time."""

    number: int
    weight: float
    known: Known


class Journal:
    """An async context manager; every method is one transaction on the journal's own thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._held = ExitStack()  # the lock file and the connection
        self._db: sqlite3.Connection

    async def __aenter__(self) -> Journal:
        try:
            await self._in_thread(self._open)
        except ConfigError:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._held.close)
        self._thread.shutdown(wait=False)  # it has nothing left to do

    async def add(self, exchanges: Sequence[tuple[Exchange, bytes | None]]) -> None:
        """Write as pending, each with its msgpack body; raises sqlite3.Error when the disk will not have them."""
        await self._in_thread(lambda: self._add(exchanges))

    async def finish(self, evaluated: Sequence[EvaluatedExchange]) -> None:
        """Write outcomes and turn pending into done, or all of it stays pending; raises sqlite3.Error."""
        await self._in_thread(lambda: self._finish(evaluated))

    async def pending(self, after: str, limit: int) -> list[tuple[str, int, Exchange | None]]:
        """What a crash left: (id, attempts so far, exchange), by id from `after` on; each now counts one attempt more.

        The exchange is None where its content was never stored.
        """
        return await self._in_thread(lambda: self._pending(after, limit))

    async def find(self, key: str, value: str) -> list[Known]:
        """Those with this `id`, `trace_id` or `response_id`, two at most."""
        return await self._in_thread(lambda: [known(row) for row in self._db.execute(FIND[key], (value,))])

    async def enter(self, identity: str, entries: Sequence[LedgerEntry]) -> None:
        """Outcomes that came after the exchange was done; a second one of the same evaluator takes the first one's
        place. Raises sqlite3.Error when the disk will not have them."""
        rows = [ledger_row(identity, entry) for entry in entries]
        await self._in_thread(lambda: self._transaction(lambda: enter(self._db, rows)))

    async def owed(self, evaluator: str, after: int, limit: int) -> list[Debt]:
        """What this evaluator owes, oldest first, from number `after` on."""
        rows = await self._in_thread(lambda: self._db.execute(OWED, (evaluator, after, limit)).fetchall())
        return [Debt(number, weight, known(row)) for number, weight, *row in rows]

    async def debtors(self) -> dict[str, int]:
        """Evaluator → how many outcomes it owes, where any."""
        return dict(
            await self._in_thread(
                lambda: self._db.execute("SELECT evaluator, count(*) FROM owed GROUP BY evaluator").fetchall()
            )
        )

    async def owe_after_all(self, identity: str, evaluator: str) -> bool:
        """An outcome in place of `sampled_out`, which stands for no exchange: those chosen by chance stand for all."""
        return await self._in_thread(lambda: self._db.execute(OWE_AFTER_ALL, (identity, evaluator)).rowcount > 0)

    async def paid(self, identity: str, evaluator: str) -> None:
        """The outcome has come, and everybody was told."""
        await self._in_thread(lambda: void(self._db.execute(PAID, (identity, evaluator))))

    async def abandon(self, identity: str, evaluators: Sequence[str], reason: str) -> None:
        """Turn a pending exchange that nobody can read any more into done, each evaluator's outcome an error."""
        rows = [ledger_row(identity, LedgerEntry(name, "error", reason)) for name in evaluators]

        def work() -> None:
            self._db.execute(FINISH_WITHOUT_BODY, (0.0, reason, identity))
            enter(self._db, rows)

        await self._in_thread(lambda: self._transaction(work))

    async def expire(self, before: int) -> int:
        """Delete what started before `before` (ns since the epoch), a batch at a time; how many went.

        What is pending stays, and what a judge owes an outcome.
        """
        total = 0
        while gone := await self._in_thread(lambda: self._expire(before)):  # others get their turn between two batches
            total += gone
        return total

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            lock_file = Path(f"{self.path}.lock").open("w")  # noqa: SIM115 - held as long as the journal is
            self._held.enter_context(lock_file)
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open_db()
        except BlockingIOError:
            raise ConfigError(
                f"exporters.store.path: {self.path} is in use by another Sidelight; stop it or choose another file"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"exporters.store.path: cannot open {self.path}: {error.strerror}; "
                f"its folder must exist and be writable"
            ) from None
        except sqlite3.Error as error:
            raise ConfigError(f"exporters.store.path: cannot use {self.path}: {error}; choose another file") from None

    def _open_db(self) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db = self._held.enter_context(closing(connection))
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._upgrade()
        self._db.executescript(resources.files("store").joinpath("schema.sql").read_text())

    def _upgrade(self) -> None:
        """Bring an older file up to date, all of it or nothing; a newer one is not touched."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if not version and self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'exchange'").fetchone():
            version = 1  # the first version did not say so
        if version > VERSION:
            raise ConfigError(
                f"exporters.store.path: {self.path} was written by a newer Sidelight (version {version}; this one "
                f"knows {VERSION}); run that one, or choose another file"
            )

        def work() -> None:
            for older in range(version or VERSION, VERSION):
                for statement in UPGRADES[older]:
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")

        self._transaction(work)

    def _transaction(self, work: Callable[[], None]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            work()
        except BaseException:
            if self._db.in_transaction:  # a full disk has already rolled it back
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _add(self, exchanges: Sequence[tuple[Exchange, bytes | None]]) -> None:
        rows = [row_of(exchange, body) for exchange, body in exchanges]
        self._transaction(lambda: void(self._db.executemany(INSERT, rows)))

    def _finish(self, evaluated: Sequence[EvaluatedExchange]) -> None:
        kept = [(e.weight, e.kept, e.exchange.id) for e in evaluated if e.kept != "sampled_out"]
        dropped = [(e.weight, e.kept, e.exchange.id) for e in evaluated if e.kept == "sampled_out"]
        entries = [ledger_row(e.exchange.id, entry) for e in evaluated for entry in e.entries]
        debts = [(e.exchange.id, owed.evaluator, owed.weight) for e in evaluated for owed in e.owed]

        def work() -> None:
            self._db.executemany(FINISH, kept)
            self._db.executemany(FINISH_WITHOUT_BODY, dropped)
            enter(self._db, entries)
            self._db.executemany(OWE, debts)

        self._transaction(work)

    def _pending(self, after: str, limit: int) -> list[tuple[str, int, Exchange | None]]:
        rows = self._db.execute(PENDING, (after, limit)).fetchall()
        ids = [(identity,) for identity, _, _ in rows]
        self._transaction(
            lambda: void(self._db.executemany("UPDATE exchange SET attempts = attempts + 1 WHERE id = ?", ids))
        )
        return [(identity, attempts, read_body(body)) for identity, attempts, body in rows]

    def _expire(self, before: int) -> int:
        return self._db.execute(EXPIRE, (before, RETENTION_BATCH)).rowcount


def enter(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Outcomes into the ledger; an evaluator's second one of an exchange takes the first one's place."""
    whole = len(rows) - len(rows) % ENTRIES
    for start in range(0, whole, ENTRIES):
        db.execute(ENTER_MANY, [*chain.from_iterable(rows[start : start + ENTRIES])])
    db.executemany(ENTER + ENTRY, rows[whole:])


def rewrite(path: Path, outcomes: Sequence[tuple[str, LedgerEntry]]) -> None:
    """Put these outcomes (exchange id, entry) in the place of earlier ones, all or none, beside a Sidelight that runs.

    Of exchanges that are no longer there they are left out. ConfigError where the store cannot be written.
    """
    rows = [ledger_row(identity, entry) for identity, entry in outcomes]
    try:
        with closing(sqlite3.connect(path, timeout=WAITS, isolation_level=None)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise ConfigError(f"{path}: is of version {version}, not {VERSION}; start this Sidelight on it once")
            known = {identity for (identity,) in db.execute("SELECT id FROM exchange WHERE state = 'done'")}
            db.execute("BEGIN IMMEDIATE")
            enter(db, [row for row in rows if row[0] in known])
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from None


def void(_: object) -> None:
    """A result that does not matter."""


def row_of(exchange: Exchange, body: bytes | None) -> tuple[Any, ...]:
    """The columns of INSERT."""
    timing, usage = exchange.timing, exchange.usage
    return (
        exchange.id,
        timing.started_at,
        exchange.trace.trace_id,
        exchange.upstream,
        exchange.http.method,
        exchange.http.path,
        exchange.http.status,
        exchange.error_type,
        exchange.operation,
        exchange.response_model or exchange.request_model,
        exchange.stream,
        timing.duration,
        timing.first_chunk_at,
        usage.input_tokens,
        usage.output_tokens,
        usage.source,
        exchange.cost.total if exchange.cost else None,
        exchange.wire,
        exchange.user,
        exchange.session,
        exchange.response_id,
        zlib.compress(body, 1) if body is not None else None,
    )


def ledger_row(identity: str, entry: LedgerEntry) -> tuple[Any, ...]:
    """The columns of ENTER; of several evaluations, the one that decided the outcome speaks."""
    decisive = next((e for e in entry.evaluations if e.score_label == entry.outcome), None)
    evaluation = decisive or (entry.evaluations[0] if entry.evaluations else None)
    said = (evaluation.score_value, evaluation.score_label, evaluation.explanation) if evaluation else (None,) * 3
    made = (entry.version, entry.weight, entry.cost, entry.calibration, evaluation.reasoning if evaluation else None)
    return (identity, entry.evaluator, entry.outcome, entry.reason, *said, entry.duration, *made)


def known(row: Sequence[Any]) -> Known:
    """The columns of KNOWN."""
    identity, state, weight, kept, *columns, body = row
    exchange = read_body(body) or bare_exchange(identity, *columns)
    return Known(state == "done", weight or 0.0, kept or "", exchange)


def bare_exchange(
    identity: str,
    started_at: int,
    trace_id: str,
    upstream: str,
    method: str,
    path: str,
    status: int | None,
    operation: str | None,
    model: str | None,
    duration: int,
) -> Exchange:
    """What is left of one whose content is gone: enough to count by, and nothing to tell in its trace."""
    trace = TraceContext(trace_id, "0" * 16, "0" * 16, sampled=False)
    http = Http(method, path, None, "http", "1.1", status, "", 0, "", 0, 0, 0)
    timing = Timing(started_at, None, None, duration)
    return Exchange(identity, trace, upstream, http, timing, operation=operation, request_model=model)


def read_body(body: bytes | None) -> Exchange | None:
    """A stored body → Exchange; None when there is none or it cannot be read any more."""
    if body is None:
        return None
    try:
        return _decoder.decode(zlib.decompress(body))
    except (zlib.error, msgspec.DecodeError):
        return None

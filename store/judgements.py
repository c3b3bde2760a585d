"""What judges have said and spent, in a file beside the store: the same question is paid for once, budgets outlive
restarts, and several Sidelights that share the file share both."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from time import time
from typing import Final, Self, TypeVar

import msgspec

from pipeline.budget import Limit, Spend
from pipeline.condition import Condition
from pipeline.errors import ConfigError
from pipeline.records import Evaluation

T = TypeVar("T")
SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS said (
  key  TEXT PRIMARY KEY,    -- digest of the judge's version and all that it was shown
  at   INTEGER NOT NULL,    -- s since the epoch
  body BLOB NOT NULL        -- Evaluations, msgpack
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS said_at ON said (at);
CREATE TABLE IF NOT EXISTS spent (
  judge  TEXT NOT NULL,     -- its id in the config
  hour   INTEGER NOT NULL,  -- since the epoch
  calls  INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  usd    REAL NOT NULL,
  PRIMARY KEY (judge, hour)
) STRICT, WITHOUT ROWID;
"""
ADD: Final = """
INSERT INTO spent (judge, hour, calls, tokens, usd) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, tokens = tokens + excluded.tokens, usd = usd + excluded.usd"""
SUM: Final = """
SELECT IFNULL(SUM(calls), 0), IFNULL(SUM(tokens), 0), IFNULL(SUM(usd), 0.0) FROM spent
WHERE judge = ? AND hour BETWEEN ? AND ?"""
KEPT_FOR: Final = 30 * 86400  # seconds, at the most
ROUNDING: Final = 1e-9  # US dollars: ten times 0.1 are 1
FORGET_EVERY: Final = 3600  # seconds
LOCKED_FOR: Final = 10.0  # seconds that another Sidelight is waited for

log = logging.getLogger("sidelight.judges")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Evaluation, ...])


class Judgements:
    """An async context manager; one thread owns the connection. A disk that fails costs memory, not judgements."""

    def __init__(self, path: str, kept_for: float = KEPT_FOR) -> None:
        self.path = path
        self.condition = Condition()
        self._kept_for = int(min(kept_for, KEPT_FOR))  # words that may quote stay no longer than what they quote
        self._forgotten_at = 0  # s since the epoch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judgements")
        self._held = ExitStack()  # the connection
        self._db: sqlite3.Connection

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self._open)
        except ConfigError:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._held.close)
        self._thread.shutdown(wait=False)

    async def find(self, key: str) -> tuple[Evaluation, ...] | None:
        """What was said to exactly this."""
        return await self._in_thread(lambda: self._find(key))

    async def keep(self, key: str, evaluations: tuple[Evaluation, ...]) -> None:
        """Remember it."""
        await self._in_thread(lambda: self._keep(key, int(time()), _encoder.encode(evaluations)))

    async def reserve(self, judge: str, limits: Sequence[Limit], spend: Spend, hour: int) -> Limit | None:
        """Set this aside for a call in this hour (since the epoch), or the limit that it would exceed."""
        return await self._in_thread(lambda: self._reserve(judge, limits, spend, hour))

    async def settle(self, judge: str, difference: Spend, hour: int) -> None:
        """What a call cost more (or less) than was set aside."""
        row = (judge, hour, difference.calls, difference.tokens, difference.usd)
        await self._in_thread(lambda: self._do(ADD, row))

    async def spent(self, judge: str, limit: Limit, hour: int) -> Spend:
        """In the period of this limit that the hour belongs to."""
        return await self._in_thread(lambda: self._spent(judge, limit, hour))

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            connection = sqlite3.connect(self.path, timeout=LOCKED_FOR, isolation_level=None, check_same_thread=False)
            self._db = self._held.enter_context(closing(connection))
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path}: {error}; judges remember here what they said and spent") from None
        self._forget(int(time()))

    def _do(self, statement: str, row: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, row)
        except sqlite3.Error as error:  # a full disk
            self._failed(error)
        else:
            self.condition.well()

    def _failed(self, error: sqlite3.Error) -> None:
        """One line for as long as it lasts."""
        if self.condition.state == "StatusOK":
            log.error("judgements: %s", error)
        self.condition.failing(str(error))

    def _keep(self, key: str, now: int, body: bytes) -> None:
        self._do("INSERT OR REPLACE INTO said (key, at, body) VALUES (?, ?, ?)", (key, now, body))
        if now >= self._forgotten_at + FORGET_EVERY:
            self._forget(now)

    def _forget(self, now: int) -> None:
        self._forgotten_at = now
        self._do("DELETE FROM said WHERE at < ?", (now - self._kept_for,))

    def _find(self, key: str) -> tuple[Evaluation, ...] | None:
        query = "SELECT body FROM said WHERE key = ? AND at >= ?"
        with suppress(sqlite3.Error, msgspec.DecodeError):
            row = self._db.execute(query, (key, int(time()) - self._kept_for)).fetchone()
            return _decoder.decode(row[0]) if row else None
        return None

    def _spent(self, judge: str, limit: Limit, hour: int) -> Spend:
        return Spend(*self._db.execute(SUM, (judge, limit.since(hour), hour)).fetchone())

    def _reserve(self, judge: str, limits: Sequence[Limit], spend: Spend, hour: int) -> Limit | None:
        """What cannot be counted is not spent, where there is a limit."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            exceeded = self._exceeded(judge, limits, spend, hour)
            if exceeded is None:
                self._db.execute(ADD, (judge, hour, spend.calls, spend.tokens, spend.usd))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:  # a full disk, which may have rolled it back
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._failed(error)
            return limits[0] if limits else None
        self.condition.well()
        return exceeded

    def _exceeded(self, judge: str, limits: Sequence[Limit], spend: Spend, hour: int) -> Limit | None:
        would = ((limit, self._spent(judge, limit, hour).plus(spend)) for limit in limits)
        return next((limit for limit, sum_ in would if sum_.of(limit.unit) > limit.amount + ROUNDING), None)

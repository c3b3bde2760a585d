"""What a destination has not taken yet, on disk: the durable half of an exporter's queue, one SQLite file each.

First in, first out, by a sequence number that only grows. One thread owns the connection (WAL, `synchronous=NORMAL`:
nothing added is lost when a process dies). The file is made when something is first added; what has been removed gives
its room back, to the file at once and to the disk from `COMPACT` on.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Final, Self, TypeVar

T = TypeVar("T")
SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS item (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  added_at INTEGER NOT NULL,  -- ns since the epoch
  body BLOB NOT NULL          -- zlib
) STRICT;
"""
FIRST: Final = """
DELETE FROM item WHERE number IN (SELECT number FROM item ORDER BY number LIMIT ?) RETURNING LENGTH(body)"""
OLDER: Final = "DELETE FROM item WHERE added_at < ? RETURNING LENGTH(body)"
COMPACTION: Final = "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);"
PAGE: Final = 4096
LOCKED_FOR: Final = 5.0  # seconds that somebody who looks into the file, or has not quite died, is waited for
COMPACT: Final = 16 * 2**20  # bytes of free pages that are given back to the disk
PACKED: Final = 1  # zlib's fastest: disk and memory copies cost more than it does

log = logging.getLogger("sidelight.store")


class Backlog:
    """An async context manager; `count` and `size` are known without asking the disk."""

    def __init__(self, path: Path, locked_for: float = LOCKED_FOR) -> None:
        self.path = path
        self._locked_for = locked_for
        self.count = 0
        self.size = 0  # bytes of the bodies, packed
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backlog")

    async def __aenter__(self) -> Self:
        """Count what a former life left. A file that cannot be read is told, and costs only what was in it."""
        await self._in_thread(self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)  # it has nothing left to do

    async def add(self, bodies: Sequence[bytes]) -> None:
        """Put these at the end, all or none; raises sqlite3.Error or OSError when the disk will not have them."""
        size = await self._in_thread(lambda: self._add(bodies))
        self.count += len(bodies)
        self.size += size

    async def oldest(self, most: int) -> list[bytes]:
        """The first so many; they stay until they are removed."""
        return await self._in_thread(lambda: self._oldest(most))

    async def remove(self, count: int) -> None:
        """The first so many, which have been dealt with."""
        await self._without(FIRST, count)

    async def expire(self, before: int) -> int:
        """Remove what was added before this moment (ns since the epoch); how many went."""
        return await self._without(OLDER, before)

    async def _without(self, statement: str, bound: int) -> int:
        """Delete, and say how many went; the counts follow on the caller's side, so they never run ahead of it."""
        if not self.count:
            return 0
        sizes = await self._in_thread(lambda: self._delete(statement, bound))
        self.count -= len(sizes)
        self.size -= sum(sizes)
        return len(sizes)

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> None:
        try:
            if self.path.exists():
                self._open()
        except sqlite3.OperationalError as error:  # of the disk, not of what is in the file: it may pass
            log.error("%s: %s; what waits in it waits on", self.path, error)
        except sqlite3.DatabaseError as error:
            aside = self.path.with_name(f"{self.path.name}.unreadable")
            self.path.replace(aside)
            log.error("%s: %s; it is now %s, and what waited in it is not delivered", self.path, error, aside.name)

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self.path, timeout=self._locked_for, isolation_level=None, check_same_thread=False)
            try:
                db.executescript(SCHEMA)
                self.count, self.size = db.execute("SELECT COUNT(*), IFNULL(SUM(LENGTH(body)), 0) FROM item").fetchone()
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _add(self, bodies: Sequence[bytes]) -> int:
        now = time_ns()
        packed = [(now, zlib.compress(body, PACKED)) for body in bodies]
        db = self._open()
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("INSERT INTO item (added_at, body) VALUES (?, ?)", packed)
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has already rolled it back
                db.execute("ROLLBACK")
            raise
        return sum(len(body) for _, body in packed)

    def _oldest(self, most: int) -> list[bytes]:
        rows = self._open().execute("SELECT body FROM item ORDER BY number LIMIT ?", (most,)).fetchall()
        return [unpacked(body) for (body,) in rows]

    def _delete(self, statement: str, bound: int) -> list[int]:
        db = self._open()
        sizes = [size for (size,) in db.execute(statement, (bound,)).fetchall()]
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        if free * PAGE > COMPACT or len(sizes) == self.count:
            db.executescript(COMPACTION)
        return sizes


def unpacked(body: bytes) -> bytes:
    """A stored body as it was added; empty when the disk has changed it."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return b""

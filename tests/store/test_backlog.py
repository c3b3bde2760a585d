"""The durable half of a queue: first in, first out, whatever dies, and its room comes back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.backlog import COMPACT, Backlog


def bodies(*numbers: int) -> list[bytes]:
    return [b"body %d" % number for number in numbers]


async def test_what_was_added_first_comes_first_and_stays_until_it_is_removed(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1, 2))
        await backlog.add(bodies(3))
        assert await backlog.oldest(2) == bodies(1, 2)
        assert await backlog.oldest(9) == bodies(1, 2, 3)
        await backlog.remove(2)
        assert (await backlog.oldest(9), backlog.count) == (bodies(3), 1)


async def test_the_next_life_finds_what_this_one_left(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1, 2, 3))
        await backlog.remove(1)
        size = backlog.size
    async with Backlog(tmp_path / "queue") as backlog:
        assert (backlog.count, backlog.size) == (2, size)
        await backlog.add(bodies(4))
        assert await backlog.oldest(9) == bodies(2, 3, 4)


async def test_there_is_no_file_until_something_is_added(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        assert await backlog.expire(time.time_ns()) == 0
        await backlog.remove(5)
        assert (backlog.count, backlog.size) == (0, 0)
    assert os.listdir(tmp_path) == []


async def test_only_what_is_older_expires(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1, 2))
        between = time.time_ns()
        await backlog.add(bodies(3))
        assert await backlog.expire(between) == 2
        assert (await backlog.oldest(9), backlog.count) == (bodies(3), 1)
        assert await backlog.expire(between) == 0


async def test_a_process_that_is_killed_loses_nothing_that_was_added(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, pathlib, signal
from store.backlog import Backlog
async def main():
    async with Backlog(pathlib.Path({str(tmp_path / "queue")!r})) as backlog:
        await backlog.add([b"body 1", b"body 2"])
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == -9
    async with Backlog(tmp_path / "queue") as backlog:
        assert await backlog.oldest(9) == bodies(1, 2)


async def test_the_disk_gets_its_room_back(tmp_path: Path) -> None:
    path = tmp_path / "queue"
    large = [os.urandom(2**20) for _ in range(2 * COMPACT // 2**20)]
    async with Backlog(path) as backlog:
        await backlog.add(large)
        full = path.stat().st_size
        assert full > COMPACT
        await backlog.remove(len(large) * 3 // 4)
        assert path.stat().st_size < full / 2
        await backlog.remove(len(large))
        assert path.stat().st_size < 2**20
        assert (backlog.count, backlog.size) == (0, 0)
    assert (path.parent / "queue-wal").exists() is False


async def test_a_body_that_the_disk_has_changed_is_empty(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1, 2))
        with sqlite3.connect(tmp_path / "queue") as db:
            db.execute("UPDATE item SET body = x'00' WHERE number = 1")
        db.close()
        assert await backlog.oldest(9) == [b"", *bodies(2)]


async def test_a_file_that_is_no_queue_is_told_and_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "queue").write_bytes(b"something else entirely, and long enough to look at" * 100)
    async with Backlog(tmp_path / "queue") as backlog:
        assert (backlog.count, backlog.size) == (0, 0)
        await backlog.add(bodies(1))
        assert await backlog.oldest(9) == bodies(1)
    assert (tmp_path / "queue.unreadable").read_bytes().startswith(b"something else")
    (record,) = caplog.records
    assert "it is now queue.unreadable" in record.message


async def test_a_file_that_cannot_be_opened_now_is_told_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1))
    with closing(sqlite3.connect(tmp_path / "queue", isolation_level=None, timeout=0)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        other.execute("BEGIN EXCLUSIVE")
        async with Backlog(tmp_path / "queue", locked_for=0.1) as backlog:
            assert backlog.count == 0
    async with Backlog(tmp_path / "queue") as backlog:
        assert await backlog.oldest(9) == bodies(1)
    assert "database is locked; what waits in it waits on" in caplog.text


async def test_a_disk_that_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with Backlog(tmp_path / "queue") as backlog:
        await backlog.add(bodies(1))
        assert backlog._db is not None
        (pages,) = backlog._db.execute("PRAGMA page_count").fetchone()
        backlog._db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        size = backlog.size
        with pytest.raises(sqlite3.Error):
            await backlog.add([os.urandom(2**20)])
        assert (backlog.count, backlog.size, await backlog.oldest(9)) == (1, size, bodies(1))


@given(st.lists(st.one_of(st.lists(st.binary(max_size=20), max_size=5), st.integers(0, 7)), max_size=20))
def test_it_is_a_queue(steps: list[list[bytes] | int]) -> None:
    """A list of bodies is added, a number is how many are removed."""

    async def run(folder: Path) -> None:
        expected: list[bytes] = []
        async with Backlog(folder / "queue") as backlog:
            for step in steps:
                if isinstance(step, int):
                    await backlog.remove(step)
                    expected = expected[step:]
                else:
                    await backlog.add(step)
                    expected += step
                assert await backlog.oldest(99) == expected
                assert (backlog.count, backlog.size == 0) == (len(expected), not expected)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))

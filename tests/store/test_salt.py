from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.errors import ConfigError
from store.salt import SIZE, salt_beside

ROOT = Path(__file__).parents[2]
STORES = 100
NOBODY = 65534
# Both ask for each store at the same moment by the clock, so that they do race; nothing but that depends on it.
RACE = """
import sys, time
from store.salt import salt_beside
print("ready", flush=True)
start = float(sys.stdin.readline())
for number in range(int(sys.argv[2])):
    while time.time() < start + number * 0.003:
        pass
    print(salt_beside(f"{sys.argv[1]}-{number}").hex())
"""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "sidelight.db")


def test_it_is_made_once_and_survives(store: str) -> None:
    salt = salt_beside(store)
    assert len(salt) == SIZE
    assert salt_beside(store) == salt == Path(f"{store}.salt").read_bytes()


def test_only_its_owner_may_read_it(store: str) -> None:
    previous = os.umask(0)
    try:
        salt_beside(store)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(os.stat(f"{store}.salt").st_mode) == 0o600


def test_every_store_has_its_own(tmp_path: Path) -> None:
    assert salt_beside(str(tmp_path / "a.db")) != salt_beside(str(tmp_path / "b.db"))


def test_a_store_in_memory_has_a_fresh_one_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert salt_beside(":memory:") != salt_beside(":memory:")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_begin_at_a_time_get_the_same(store: str) -> None:
    command = [sys.executable, "-c", RACE, store, str(STORES)]
    pipe = subprocess.PIPE
    racing = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in racing if process.stdout] == ["ready\n"] * 2
    one, other = [process.communicate(timeout=60)[0].split() for process in started(racing)]
    assert one == other
    assert len(set(one)) == STORES


def started(racing: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """The same, each let off; `communicate` alone would wait for the first before it lets off the second."""
    start = time.time() + 0.1
    for process in racing:
        assert process.stdin is not None
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    return racing


def test_a_file_that_a_crash_left_empty_is_filled(store: str) -> None:
    Path(f"{store}.salt").touch()
    assert len(salt_beside(store)) == SIZE
    assert salt_beside(store) == salt_beside(store)


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_a_file_that_is_no_salt_is_refused_and_stays(store: str, size: int) -> None:
    Path(f"{store}.salt").write_bytes(b"x" * size)
    with pytest.raises(ConfigError, match=rf"sidelight\.db\.salt holds {size} bytes, not the 32 of a salt; put"):
        salt_beside(store)
    assert Path(f"{store}.salt").stat().st_size == size


def test_a_folder_that_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        salt_beside(str(tmp_path / "nowhere" / "sidelight.db"))
    assert "nowhere/sidelight.db.salt: No such file or directory" in str(refused.value)
    assert "or set processors.identify.salt" in str(refused.value)


def test_what_is_no_file_is_told(store: str) -> None:
    Path(f"{store}.salt").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        salt_beside(store)


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder that this user may look into and not change: root becomes nobody meanwhile, whom permissions bind."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kept.db.salt").write_bytes(b"x" * SIZE)
        (folder / "kept.db.salt").chmod(0)
        folder.chmod(0o555)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("store", ["new.db", "kept.db"], ids=["may not be made", "may not be read"])
def test_a_file_that_permissions_keep_from_us_is_told(store: str) -> None:
    with unprivileged() as folder, pytest.raises(ConfigError, match="Permission denied"):
        salt_beside(str(folder / store))


def test_a_folder_that_can_never_be_written_is_told() -> None:
    with pytest.raises(ConfigError, match=r"its folder writable, or set processors\.identify\.salt"):
        salt_beside("/proc/sidelight.db")

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.errors import ConfigError
from pipeline.records import Evaluation, LedgerEntry
from sidelight.outcomes import Header, Outcomes, digests_of, outcomes_in, read_outcomes

HEADER = Header("1.0", "ab12", {"query": "Question"}, {"refusal": "r", "pii": "p"})
ENTRIES = (LedgerEntry("refusal", "pass", None, (Evaluation("refusal", 0.0, "pass", "no phrase"),), 17, 4),)


def kept(path: Path, *rows: int, header: Header = HEADER) -> dict[int, Any]:
    """What was there, after these rows were added."""
    with outcomes_in(path, header) as outcomes:
        before = dict(outcomes)
        for row in rows:
            outcomes[row] = ENTRIES
    assert outcomes.failure is None
    return before


def test_the_next_run_finds_what_the_last_one_has_left(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    assert kept(path, 1, 2) == {}
    assert kept(path, 3) == {1: ENTRIES, 2: ENTRIES}
    assert kept(path) == {1: ENTRIES, 2: ENTRIES, 3: ENTRIES}


def test_wherever_a_kill_cuts_the_last_line_its_row_alone_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    kept(path, 1, 2)
    whole = path.read_bytes()
    second = whole[: whole.rstrip().rfind(b"\n") + 1]
    for end in range(len(second), len(whole)):
        path.write_bytes(whole[:end])
        assert kept(path, 2) == {1: ENTRIES}
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"sidelight": "1.1"}, "another Sidelight;"),
        ({"sha256": "cd"}, "another file;"),
        ({"columns": {}}, "another mapping of columns;"),
        ({"processors": {"refusal": "s", "pii": "p"}}, "another processors.refusal;"),
        ({"processors": {"refusal": "r"}, "sha256": "cd"}, "another file and another processors.pii;"),
    ],
)
def test_outcomes_of_something_else_are_refused_in_one_sentence(tmp_path: Path, now: Any, said: str) -> None:
    path = tmp_path / "run.jsonl"
    kept(path, 1)
    before = path.read_bytes()
    with pytest.raises(ConfigError) as refused:
        kept(path, header=replace(HEADER, **now))
    assert said in str(refused.value)
    assert "delete this one to begin anew" in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"question,answer\na,b\n", b"no newline", b"\n", b'{"a": 1}\n', b"\xff\n"])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not what an earlier run has left"):
        kept(path)
    assert path.read_bytes() == content


@given(st.binary(max_size=100))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_outcomes(data, HEADER, Path("run.jsonl"))


def test_two_runs_do_not_write_the_same_file(tmp_path: Path) -> None:
    with outcomes_in(tmp_path / "run.jsonl", HEADER), pytest.raises(ConfigError, match="another run writes there"):
        kept(tmp_path / "run.jsonl")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: Is a directory"):
        kept(tmp_path)


def test_when_the_disk_is_full_the_run_goes_on_and_what_was_written_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    kept(path, 1)
    most, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    with outcomes_in(path, HEADER) as outcomes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hardest))
        try:
            outcomes[2] = outcomes[3] = ENTRIES
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, hardest))
        assert (outcomes.failure, len(outcomes)) == ("there is no room", 3)
    assert kept(path) == {1: ENTRIES}


def test_without_a_file_nothing_is_written() -> None:
    outcomes = Outcomes()
    outcomes[1] = ENTRIES
    assert (dict(outcomes), outcomes.failure) == ({1: ENTRIES}, None)


def test_the_digest_of_options_is_the_same_in_any_order_and_shows_none() -> None:
    @dataclass
    class Odd:
        a: int = 1

    one = digests_of({"judge": {"key": "sk-secret", "odd": Odd()}, "pii": None})
    other = digests_of({"pii": None, "judge": {"odd": Odd(), "key": "sk-secret"}})
    assert one == other
    assert "sk-secret" not in str(one)
    assert one["judge"] != digests_of({"judge": {"key": "sk-other", "odd": Odd()}})["judge"]

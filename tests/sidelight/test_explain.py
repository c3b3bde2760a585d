"""The story as it is told in the terminal."""

from __future__ import annotations

import io
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from sidelight.explain import explain, span
from tests.support.records import STARTED_AT, an_exchange

SCHEMA = Path(__file__).parents[2] / "store" / "schema.sql"
ID = an_exchange().id
ROW: dict[str, Any] = {
    "id": ID,
    "state": "done",
    "started_at": STARTED_AT,
    "trace_id": an_exchange().trace.trace_id,
    "upstream": "openai",
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "operation": "chat",
    "model": "gpt-4o-2024-08-06",
    "stream": 1,
    "duration": 1_234_000_000,
    "first_chunk": 345_600_000,
    "input_tokens": 1234,
    "output_tokens": None,
    "weight": 4.0,
    "kept": "ratio",
    "body": zlib.compress(msgspec.msgpack.encode(an_exchange(content="redacted"))),
}

COPY = (
    "INSERT INTO exchange (id, state, started_at, trace_id, upstream, method, path, stream, duration) "
    "SELECT ?, state, started_at, trace_id, upstream, method, path, stream, duration FROM exchange"
)

LEDGER = "exchange_id, evaluator, outcome, reason, score, label, explanation, duration"


def a_store(folder: Path, *ledger: tuple[Any, ...], **changes: Any) -> Path:
    path = folder / "sidelight.db"
    row = ROW | changes
    db = sqlite3.connect(path)
    db.executescript(SCHEMA.read_text())
    db.execute(f"INSERT INTO exchange ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    db.executemany(
        f"INSERT INTO ledger ({LEDGER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(row["id"], *entry) for entry in ledger]
    )
    db.commit()
    db.close()
    return path


def told(path: Path, typed: str, width: int = 80) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=width)
    found = explain(path, typed, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return found, text


@pytest.mark.parametrize("width", [80, 120])
def test_a_story_says_what_was_asked_answered_kept_and_judged(tmp_path: Path, width: int) -> None:
    store = a_store(
        tmp_path,
        ("pii", "fail", None, 1.0, "fail", "card: 1", 15_000),
        ("refusal", "pass", None, 0.0, "pass", None, 4_000),
        ("judge", "error", "timeout", None, None, None, 1_000_000_000),
        ("tool_arguments", "skipped", "missing_input", None, None, None, 0),
    )
    found, text = told(store, ID[:12], width)
    assert found
    for part in (
        f"Exchange {ID}  2023-11-14 22:13:20 UTC",
        "chat gpt-4o-2024-08-06 of upstream openai",
        "POST /v1/chat/completions",
        "HTTP 200, streamed",
        "1,234 in, unknown out",
        "1.23 s in all, first chunk after 345.6 ms",
        "in the sampled share; it stands for 4 of its kind",
        "redacted; messages: 1 in, 1 out; read as openai_chat",
    ):
        assert part in text
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["pii"] == ["fail", "1", "card:", "1", "15", "µs"]
    assert lines["refusal"] == ["pass", "0", "4", "µs"]
    assert lines["judge"] == ["error", "timeout", "1.00", "s"]
    assert lines["tool_arguments"] == ["skipped", "missing_input", "0", "µs"]
    assert "\x1b" not in text


def test_a_pending_exchange_says_how_far_it_came(tmp_path: Path) -> None:
    pending = {"state": "pending", "weight": None, "kept": None}
    _, text = told(a_store(tmp_path, **pending, attempts=2), ID)
    assert "pending: evaluation was begun 2 times" in text
    assert "not decided yet" in text
    assert "No evaluator has spoken yet." in text


def test_a_sampled_out_exchange_says_that_its_content_is_gone(tmp_path: Path) -> None:
    _, text = told(a_store(tmp_path, kept="sampled_out", weight=0.0, body=None), ID)
    assert "sampled out, so its content is gone" in text
    assert "none in the store" in text


def test_an_exchange_without_an_answer_says_why(tmp_path: Path) -> None:
    failed = {"status": None, "error_type": "connect_error", "operation": None, "model": None, "stream": 0}
    _, text = told(a_store(tmp_path, **failed), ID)
    assert "no answer, error connect_error" in text
    assert "something of upstream openai" in text


def test_tokens_that_nobody_counted_are_said_to_be_none(tmp_path: Path) -> None:
    assert "none counted" in told(a_store(tmp_path, input_tokens=None, output_tokens=None), ID)[1]


def test_a_turn_of_a_websocket_is_told_by_its_number(tmp_path: Path) -> None:
    body = zlib.compress(msgspec.msgpack.encode(an_exchange(turn=3)))
    changes = {"method": "GET", "path": "/v1/realtime", "status": 101, "body": body}
    assert "GET /v1/realtime, turn 3 of the connection" in told(a_store(tmp_path, **changes), ID)[1]


def test_context_is_counted_and_said_where_it_was(tmp_path: Path) -> None:
    body = zlib.compress(msgspec.msgpack.encode(an_exchange(context=("one", "two"), context_source="tools")))
    assert "messages: 1 in, 1 out; context: 2 (by tools); read as" in told(a_store(tmp_path, body=body), ID, 120)[1]


def test_an_unreadable_body_is_said_to_be_one(tmp_path: Path) -> None:
    assert "3 bytes that this version cannot read" in told(a_store(tmp_path, body=b"abc"), ID)[1]


def test_what_upstreams_say_is_text_and_not_markup(tmp_path: Path) -> None:
    body = zlib.compress(msgspec.msgpack.encode(an_exchange(error_message="[bold]no[/bold] [/]")))
    _, text = told(a_store(tmp_path, body=body, status=500, error_type="500"), ID)
    assert "HTTP 500, streamed, error 500: [bold]no[/bold] [/]" in text


def test_an_unknown_id_a_missing_file_and_no_store_are_sentences(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for one" * 100)
    for path, typed, sentence in (
        (store, "ffff", "'ffff' as its id"),
        (tmp_path / "none.db", ID, "There is no store at"),
        (tmp_path / "notes.txt", ID, "cannot be read as Sidelight's store"),
    ):
        found, text = told(path, typed, width=400)
        assert not found
        assert sentence in text


def test_an_ambiguous_id_lists_what_it_could_be(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    db = sqlite3.connect(store)
    other = ID[:-1] + "2"
    db.execute(COPY, (other,))
    db.commit()
    db.close()
    found, text = told(store, ID[:8])
    assert not found
    assert text.splitlines()[1:] == [ID, other]


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 µs"), (999, "1 µs"), (1_500_000, "1.5 ms"), (999_999_999, "1000.0 ms"), (2 * 10**9, "2.00 s")],
)
def test_times_read_well(ns: int, text: str) -> None:
    assert span(ns) == text

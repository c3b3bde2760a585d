"""The demo's tables, from a store that holds what each test says."""

from __future__ import annotations

import io
import sqlite3
import sys
from pathlib import Path

import pytest
from rich.console import Console

from sidelight.demo.report import command, in_dollars, print_report, progress

SCHEMA = Path(__file__).parents[3] / "store" / "schema.sql"
EXCHANGE = (
    "INSERT INTO exchange (id, state, started_at, trace_id, upstream, method, path, status, error_type, model, stream, "
    "duration, first_chunk, input_tokens, output_tokens, weight, kept) "
    "VALUES (?, 'done', ?, '', 'simulator', 'POST', '/v1/messages', 200, ?, ?, 1, ?, ?, 1200, 345, 1.0, 'ratio')"
)
LEDGER = """
INSERT INTO ledger (exchange_id, evaluator, outcome, score, explanation, duration) VALUES (?, ?, ?, 0.5, ?, 1000)"""
LONG_MODEL = "claude-sonnet-4-5-20250929"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Ten exchanges of two models; three evaluators each fail one of them."""
    path = tmp_path / "sidelight.db"
    db = sqlite3.connect(path)
    db.executescript(SCHEMA.read_text())
    for number in range(10):
        model, error = (LONG_MODEL, None) if number < 6 else ("gpt-4o-2024-08-06", "500")
        db.execute(EXCHANGE, (f"{number:032x}", number, error, model, (number + 1) * 10**8, 5 * 10**7))
        for position, evaluator in enumerate(("refusal", "pii", "truncation")):
            failed = number == position
            explanation = f"[found] by {evaluator}" if failed else None
            db.execute(LEDGER, (f"{number:032x}", evaluator, "fail" if failed else "pass", explanation))
    db.commit()
    db.close()
    return path


def printed(store: Path, width: int, kept: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(console, store, kept)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_fits_and_has_no_colour_without_a_terminal(store: Path, width: int) -> None:
    text = printed(store, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "…" not in text.partition("Next")[0]


def test_traffic_is_told_by_model_and_in_all(store: Path) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in printed(store, 80).splitlines() if line.strip()}
    assert rows[LONG_MODEL] == ["6", "0", "0.30", "0.60", "0.05", "7,200", "2,070"]
    assert rows["gpt-4o-2024-08-06"] == ["4", "4", "0.80", "1.00", "0.05", "4,800", "1,380"]
    assert rows["all"] == ["10", "4", "0.50", "1.00", "0.05", "12,000", "3,450"]


def test_each_evaluator_has_its_pass_rate(store: Path) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in printed(store, 80).splitlines() if line.strip()}
    assert rows["pii"] == rows["refusal"] == rows["truncation"] == ["9", "1", "0", "0", "90.0%", "10"]


def test_three_failures_are_shown_with_their_ids_and_reasons(store: Path) -> None:
    text = printed(store, 120)
    for number, evaluator in enumerate(("refusal", "pii", "truncation")):
        assert f"{number:032x}  {evaluator}: [found] by {evaluator}" in text


def test_a_kept_store_is_named_in_a_command_that_can_be_copied(store: Path) -> None:
    assert f"sidelight explain {2:032x} --store {store}\n" in printed(store, 80, kept=True)
    assert "sidelight demo --keep" in printed(store, 80, kept=False)


def test_the_command_has_its_path_where_the_shell_would_not_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert command() == f"{Path(sys.executable).parent.name}/sidelight"


def test_progress_draws_nothing_without_a_terminal() -> None:
    console = Console(file=io.StringIO())
    with progress(console, "calls", 2) as advance:
        advance(None)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_progress_counts_to_the_total_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with progress(console, "calls", 2) as advance:
        advance(None)
        advance(None)
    assert isinstance(console.file, io.StringIO)
    assert "2/2" in console.file.getvalue()


@pytest.mark.parametrize(("cost", "told"), [(None, ""), (1.234, "; by list prices it cost 1.23 USD")])
def test_the_cost_is_told_where_it_is_known(cost: float | None, told: str) -> None:
    assert in_dollars(cost) == told

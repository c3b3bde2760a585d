"""Questions to a store that holds exactly what each test says."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.queries import (
    AmbiguousId,
    Failure,
    LedgerRow,
    failures,
    ledger_sums,
    opened,
    pass_rates,
    percentile,
    story,
    summary,
)
from tests.support.records import an_exchange

SCHEMA = Path(__file__).parents[2] / "store" / "schema.sql"
S = 10**9

LEDGER = "exchange_id, evaluator, outcome, reason, score, label, explanation, duration"


class Store:
    """A store that is being written by somebody else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.executescript(SCHEMA.read_text())
        self.count = 0

    def add(self, **changes: Any) -> str:
        """One exchange, done and kept unless told otherwise; `outcomes`: evaluator → outcome or (outcome, reason)."""
        self.count += 1
        outcomes = changes.pop("outcomes", {})
        row: dict[str, Any] = {
            "id": f"{self.count:032x}",
            "state": "done",
            "started_at": self.count * S,
            "trace_id": f"{self.count:032x}"[::-1],
            "upstream": "openai",
            "method": "POST",
            "path": "/v1/chat/completions",
            "status": 200,
            "model": "gpt-4o",
            "stream": 0,
            "duration": S,
            "weight": 1.0,
            "kept": "ratio",
        } | changes
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self.db.execute(f"INSERT INTO exchange ({columns}) VALUES ({marks})", list(row.values()))
        for evaluator, outcome in outcomes.items():
            said, reason = (outcome, None) if isinstance(outcome, str) else outcome
            self.enter(row["id"], evaluator, said, reason)
        return str(row["id"])

    def enter(
        self, exchange_id: str, evaluator: str, outcome: str, reason: str | None = None, explanation: str | None = None
    ) -> None:
        row = (exchange_id, evaluator, outcome, reason, 0.5, outcome, explanation, 1000)
        self.db.execute(f"INSERT INTO ledger ({LEDGER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "side light?#.db")
    yield store
    store.db.close()


def test_an_empty_store_answers_everything(store: Store) -> None:
    with opened(store.path) as db:
        assert summary(db).groups == ()
        assert (summary(db).total.calls, summary(db).total.duration_p50) == (0, None)
        assert pass_rates(db) == []
        assert failures(db, 3) == []
        assert story(db, "00") is None
        assert ledger_sums(db).balanced


def test_a_missing_file_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), opened(tmp_path / "none.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_store_cannot_be_written_through_it(store: Store) -> None:
    with opened(store.path) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM exchange")


def test_summary_groups_by_upstream_and_model_largest_first(store: Store) -> None:
    store.add(model=None, upstream="local", error_type="500", duration=3 * S)
    store.add(input_tokens=10, output_tokens=5, duration=1 * S, first_chunk=S // 2, stream=1)
    store.add(input_tokens=20, duration=2 * S, error_type="timeout", cost=0.25)
    store.db.execute("UPDATE exchange SET cost = 0.5 WHERE input_tokens = 10")
    with opened(store.path) as db:
        found = summary(db)
    openai, local = found.groups
    assert (openai.upstream, openai.model, openai.calls, openai.errors) == ("openai", "gpt-4o", 2, 1)
    assert (openai.duration_p50, openai.duration_p95) == (1.0, 2.0)
    assert (openai.first_chunk_p50, openai.first_chunk_p95) == (0.5, 0.5)
    assert (openai.input_tokens, openai.output_tokens) == (30, 5)
    assert (openai.cost, local.cost, found.total.cost) == (0.75, None, 0.75)
    assert (local.model, local.first_chunk_p50, local.input_tokens) == (None, None, 0)
    assert (found.total.calls, found.total.errors, found.total.duration_p50) == (3, 2, 2.0)


@given(st.lists(st.integers(0, 10**12), min_size=1), st.sampled_from([0.5, 0.95]))
def test_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[int], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    reaching = [value for value in ordered if sum(other <= value for other in ordered) >= share * len(ordered)]
    assert found == reaching[0] / 1e9


def test_outcomes_are_counted_as_they_are(store: Store) -> None:
    for outcome in ("pass", "pass", "fail", "scored", "error", ("skipped", "filtered")):
        store.add(outcomes={"refusal": outcome})
    with opened(store.path) as db:
        (rate,) = pass_rates(db)
    assert (rate.passed, rate.failed, rate.scored, rate.errors, rate.skipped) == (2, 1, 1, 1, 1)
    assert rate.pass_rate == pytest.approx(2 / 3)


def test_an_evaluator_without_judgements_has_no_rate(store: Store) -> None:
    store.add(outcomes={"refusal": ("skipped", "missing_input")})
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate is None


def test_kept_exchanges_stand_for_the_sampled_out_that_were_not_judged(store: Store) -> None:
    """Ten of a kind, one in five kept, and a flagged one that stands for itself."""
    for _ in range(2):
        store.add(weight=5.0, outcomes={"judge": "pass"})
    for _ in range(8):
        store.add(weight=0.0, kept="sampled_out", outcomes={"judge": ("skipped", "sampled_out")})
    store.add(kept="flagged", outcomes={"judge": "fail"})
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate == pytest.approx(10 / 11)


def test_an_evaluator_that_judged_the_sampled_out_counts_each_exchange_once(store: Store) -> None:
    for _ in range(2):
        store.add(weight=5.0, outcomes={"cheap": "pass"})
    for _ in range(8):
        store.add(weight=0.0, kept="sampled_out", outcomes={"cheap": "pass"})
    store.add(kept="flagged", outcomes={"cheap": "fail"})
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate == pytest.approx(10 / 11)


def test_weights_count_in_full_when_sampling_happened_before_the_store(store: Store) -> None:
    store.add(weight=4.0, outcomes={"refusal": "pass"})
    store.add(weight=1.0, outcomes={"refusal": "fail"})
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate == pytest.approx(0.8)


def test_a_judgement_with_a_weight_of_its_own_stands_for_as_many(store: Store) -> None:
    for outcome, weight in (("pass", 20.0), ("fail", 5.0)):
        store.enter(store.add(weight=1.0), "judge", outcome)
        store.db.execute("UPDATE ledger SET weight = ? WHERE outcome = ?", (weight, outcome))
    store.enter(store.add(weight=1.0), "judge", "skipped", "sampled_out")
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate == pytest.approx(0.8)


def test_judgements_of_equal_weight_are_as_many_as_they_are(store: Store) -> None:
    for outcome in ("pass", "fail", "fail", "error", ("skipped", "filtered")):
        store.add(weight=4.0, outcomes={"judge": outcome})
    with opened(store.path) as db:
        assert pass_rates(db)[0].effective_n == pytest.approx(3)


def test_one_that_stands_for_many_among_those_that_do_not_says_little(store: Store) -> None:
    for weight in (97.0, 1.0, 1.0, 1.0):
        store.enter(identity := store.add(weight=1.0), "judge", "pass")
        store.db.execute("UPDATE ledger SET weight = ? WHERE exchange_id = ?", (weight, identity))
    with opened(store.path) as db:
        assert pass_rates(db)[0].effective_n == pytest.approx(100**2 / (97**2 + 3))


def test_without_a_judgement_there_is_no_size(store: Store) -> None:
    store.add(outcomes={"refusal": "error"})
    with opened(store.path) as db:
        assert pass_rates(db)[0].effective_n == 0


def test_what_is_known_to_come_is_not_missing(store: Store) -> None:
    late = store.add(outcomes={"refusal": "pass"})
    store.add(outcomes={"refusal": "pass", "judge": "fail"})
    with opened(store.path) as db:
        assert ledger_sums(db).missing == {"judge": 1}
    store.db.execute("INSERT INTO owed (exchange_id, evaluator, weight) VALUES (?, 'judge', 1.0)", (late,))
    with opened(store.path) as db:
        assert ledger_sums(db).balanced


@pytest.mark.parametrize("judged_too", [0.0, 0.5, 1.0])
def test_the_estimate_is_close_to_the_truth_whatever_share_was_judged(store: Store, judged_too: float) -> None:
    random = Random(7)
    truth = [random.random() < 0.8 for _ in range(4000)]
    store.db.execute("BEGIN")
    for passes in truth:
        outcome = "pass" if passes else "fail"
        if random.random() < 0.25:
            store.add(weight=4.0, outcomes={"e": outcome})
        else:
            seen = random.random() < judged_too
            store.add(weight=0.0, kept="sampled_out", outcomes={"e": outcome if seen else ("skipped", "sampled_out")})
    store.db.execute("COMMIT")
    with opened(store.path) as db:
        assert pass_rates(db)[0].pass_rate == pytest.approx(sum(truth) / 4000, abs=0.03)


def test_failures_show_the_latest_of_each_evaluator_before_any_second(store: Store) -> None:
    old = store.add(outcomes={"pii": "fail"})
    first, second = [store.add(outcomes={"truncation": "pass"}) for _ in range(2)]
    for exchange_id, why in ((first, "max_tokens"), (second, "upstream_cut")):
        store.enter(exchange_id, "latency", "fail", explanation=why)
    with opened(store.path) as db:
        found = failures(db, 10)
        assert [(f.exchange_id, f.evaluator) for f in found] == [(second, "latency"), (old, "pii"), (first, "latency")]
        assert found[0] == Failure(second, 3 * S, "gpt-4o", 200, "latency", 0.5, "upstream_cut")
        assert failures(db, 2) == found[:2]


def test_failures_name_no_exchange_twice_and_no_reason_twice(store: Store) -> None:
    for _ in range(3):
        latest = store.add(outcomes={"pii": "fail", "latency": "fail"})
    with opened(store.path) as db:
        assert [failure.exchange_id for failure in failures(db, 10)] == [latest]


def test_a_story_is_found_by_id_by_its_beginning_and_by_trace(store: Store) -> None:
    exchange_id = store.add(id="abc1" + "0" * 28, trace_id="f" * 32, outcomes={"pii": "fail"})
    store.add(id="abd2" + "0" * 28)
    with opened(store.path) as db:
        found = [story(db, typed) for typed in (exchange_id, "abc", " ABC1", "f" * 32)]
        assert {entry.id for entry in found if entry} == {exchange_id}
        assert all(found)
        assert story(db, "abe") is None
        assert story(db, "") is None
        assert story(db, "%") is None
    assert found[0] is not None
    assert found[0].ledger == (LedgerRow("pii", "fail", None, 0.5, "fail", None, 1000),)


def test_several_exchanges_are_named_rather_than_guessed_at(store: Store) -> None:
    ids = tuple(store.add(trace_id="e" * 32) for _ in range(3))
    with opened(store.path) as db:
        for typed in ("e" * 32, "000"):
            with pytest.raises(AmbiguousId) as several:
                story(db, typed)
            assert several.value.ids == ids


def test_a_story_holds_the_exchange_as_it_was_stored(store: Store) -> None:
    exchange = an_exchange()
    body = zlib.compress(msgspec.msgpack.encode(exchange))
    store.add(id=exchange.id, body=body)
    with opened(store.path) as db:
        found = story(db, exchange.id)
    assert found is not None
    assert (found.exchange, found.body_size, found.stream) == (exchange, len(body), False)


@pytest.mark.parametrize("body", [b"", b"nonsense", zlib.compress(b"\xc1"), zlib.compress(msgspec.msgpack.encode([1]))])
def test_a_body_that_cannot_be_read_is_no_exchange_but_still_a_story(store: Store, body: bytes) -> None:
    exchange_id = store.add(body=body)
    with opened(store.path) as db:
        found = story(db, exchange_id)
    assert found is not None
    assert (found.exchange, found.body_size) == (None, len(body))


def test_a_ledger_balances_when_each_done_exchange_has_each_evaluator_once(store: Store) -> None:
    for _ in range(2):
        store.add(outcomes={"pii": "pass", "latency": ("skipped", "filtered")})
    store.add(state="pending", weight=None, kept=None)
    with opened(store.path) as db:
        sums = ledger_sums(db)
    assert (sums.done, sums.pending, sums.outcomes) == (2, 1, {"latency": 2, "pii": 2})
    assert sums.balanced


def test_a_ledger_that_owes_an_outcome_says_to_whom(store: Store) -> None:
    store.add(outcomes={"pii": "pass", "latency": "pass"})
    store.add(outcomes={"pii": "pass"})
    with opened(store.path) as db:
        sums = ledger_sums(db)
    assert sums.missing == {"latency": 1}
    assert not sums.balanced


def test_an_outcome_of_a_pending_exchange_does_not_balance(store: Store) -> None:
    store.add(state="pending", outcomes={"pii": "pass"})
    with opened(store.path) as db:
        sums = ledger_sums(db)
    assert sums.early == 1
    assert not sums.balanced

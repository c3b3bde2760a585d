"""Budgets are read strictly, and their periods begin where UTC's hours and days do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.budget import Limit, Spend

SPENDS = st.builds(
    Spend, st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 10**6).map(lambda cents: cents / 4)
)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5 USD/day", Limit(5.0, "USD", "day")),
        ("0.25USD/hour", Limit(0.25, "USD", "hour")),
        (" 200 calls / hour ", Limit(200.0, "calls", "hour")),
        ("100000 tokens/day", Limit(100_000.0, "tokens", "day")),
        ("0 calls/day", Limit(0.0, "calls", "day")),
    ],
)
def test_a_budget_is_an_amount_a_unit_and_a_period(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit


@pytest.mark.parametrize(
    "text", ["", "5", "5 USD", "5 EUR/day", "-5 USD/day", "5 usd/day", "1e3 calls/day", "5 USD/week", "5 USD/day!"]
)
def test_what_is_no_budget_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="write 5 USD/day, 200 calls/hour or 100000 tokens/day"):
        Limit.parse(text)


def test_a_day_begins_at_midnight_and_an_hour_with_itself() -> None:
    midnight = 24 * 20_000
    day, hour = Limit.parse("1 calls/day"), Limit.parse("1 calls/hour")
    assert {day.since(midnight + passed) for passed in range(24)} == {midnight}
    assert day.since(midnight + 24) == midnight + 24
    assert day.since(midnight - 1) == midnight - 24
    assert hour.since(midnight + 7) == midnight + 7


def test_each_unit_is_its_own_sum() -> None:
    spend = Spend(2, 300, 0.5)
    assert [spend.of(unit) for unit in ("calls", "tokens", "USD")] == [2.0, 300.0, 0.5]


@given(SPENDS, SPENDS)
def test_what_was_added_can_be_taken_away_again(one: Spend, other: Spend) -> None:
    assert one.plus(other).minus(other) == one
    assert one.plus(other) == other.plus(one)

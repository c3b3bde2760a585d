from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Exchange, Usage
from processors import usage_watch
from processors.usage_watch import ENOUGH, LOST_AFTER, WINDOW, UsageWatch, Way
from tests.support.records import an_exchange

WITH = an_exchange()
WITHOUT = an_exchange(usage=Usage())
WAY = Way("openai", "openai_chat", False, False)


class Watched:
    """A watch, and what it called out."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Way]] = []
        self.watch = UsageWatch(
            lambda way: self.said.append(("lost", way)), lambda way: self.said.append(("found", way))
        )

    def see(self, exchanges: Iterable[Exchange]) -> Watched:
        for exchange in exchanges:
            self.watch.observe(exchange)
        return self

    @property
    def lost(self) -> list[Way]:
        return list(self.watch.lost())


def test_ten_without_counts_after_a_habit_of_counts_are_a_loss_called_out_once() -> None:
    watched = Watched().see([WITH] * ENOUGH + [WITHOUT] * (LOST_AFTER - 1))
    assert watched.lost == []
    watched.see([WITHOUT])
    assert watched.lost == [WAY]
    watched.see([WITHOUT] * 1000)
    assert watched.said == [("lost", WAY)]


def test_the_first_count_ends_the_loss() -> None:
    watched = Watched().see([WITH] * ENOUGH + [WITHOUT] * 100 + [WITH])
    assert watched.lost == []
    assert watched.said == [("lost", WAY), ("found", WAY)]


def test_an_endpoint_that_comes_and_goes_is_not_called_out_again_and_again() -> None:
    watched = Watched().see([WITH] * ENOUGH + ([WITHOUT] * LOST_AFTER + [WITH]) * 100)
    assert len(watched.said) <= 4


def test_a_habit_must_be_known_first() -> None:
    assert Watched().see([WITH] * (ENOUGH - 1) + [WITHOUT] * 100).said == []
    assert Watched().see([WITHOUT] * 100).said == []


def test_a_mix_is_no_habit() -> None:
    assert Watched().see(([WITH] * 4 + [WITHOUT]) * 20 + [WITHOUT] * 100).said == []


def test_an_old_habit_of_no_counts_is_forgotten() -> None:
    watched = Watched().see([WITHOUT] * 500 + [WITH] * WINDOW + [WITHOUT] * LOST_AFTER)
    assert watched.lost == [WAY]


@pytest.mark.parametrize(
    "changes",
    [
        {"upstream": "other"},
        {"wire": "openai_responses"},
        {"stream": True},
        {"claims": {"include_usage": "true"}},
    ],
)
def test_each_way_of_calling_has_its_own_habit(changes: dict[str, Any]) -> None:
    assert Watched().see([WITH] * ENOUGH + [msgspec.structs.replace(WITHOUT, **changes)] * 100).said == []


@pytest.mark.parametrize(
    "changes",
    [
        {"error_type": "500"},
        {"error_type": "client_disconnect"},
        {"operation": "fetch_response"},
        {"operation": "count_tokens"},
        {"operation": None},
        {"decode_error": "response_cut"},
        {"output_messages": ()},
    ],
)
def test_an_exchange_that_cannot_have_counts_is_no_sign(changes: dict[str, Any]) -> None:
    assert Watched().see([WITH] * ENOUGH + [msgspec.structs.replace(WITHOUT, **changes)] * 100).said == []


def test_an_answer_that_nobody_can_read_anymore_is_a_sign() -> None:
    unreadable = msgspec.structs.replace(WITHOUT, decode_error="unexpected_shape")
    assert Watched().see([WITH] * ENOUGH + [unreadable] * LOST_AFTER).lost == [WAY]


def test_an_estimate_is_no_count() -> None:
    estimated = an_exchange(usage=Usage(1, 1, source="estimated"))
    assert Watched().see([WITH] * ENOUGH + [estimated] * LOST_AFTER).lost == [WAY]


def test_what_is_watched_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_watch, "MOST", 5)
    watched = Watched().see(msgspec.structs.replace(WITH, upstream=str(number)) for number in range(100))
    assert len(watched.watch._habits) == 5


@given(st.lists(st.booleans(), max_size=300))
def test_lost_and_found_take_turns(reports: list[bool]) -> None:
    watched = Watched().see(WITH if reported else WITHOUT for reported in reports)
    assert [word for word, _ in watched.said] == (["lost", "found"] * len(reports))[: len(watched.said)]
    assert bool(watched.lost) == (len(watched.said) % 2 == 1)

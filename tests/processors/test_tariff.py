from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.tariff import REQUESTS, Bill, Rate, Tariff, Unit


def unit(name: str, per: int = 1_000_000, **dimensions: str) -> Unit:
    return Unit(name, frozenset(dimensions.items()), per)


INPUT = unit("input_tokens", family="tokens", direction="input")
OUTPUT = unit("output_tokens", family="tokens", direction="output")
CACHED = unit("cache_read_tokens", family="tokens", direction="input", cached="read")
AUDIO = unit("input_audio_tokens", family="tokens", direction="input", modality="audio")
CACHED_AUDIO = unit("cache_audio_read_tokens", family="tokens", direction="input", modality="audio", cached="read")
REQUEST = unit(REQUESTS, per=1000, family="requests")
SEARCHES = unit("web_searches", per=1000, family="tool_calls")
TARIFF = Tariff(
    {INPUT: Rate(3), OUTPUT: Rate(15), CACHED: Rate(0.3), AUDIO: Rate(30), CACHED_AUDIO: Rate(2), SEARCHES: Rate(10)}
)


def test_a_part_of_a_count_is_billed_once_at_its_own_rate() -> None:
    bill = TARIFF.bill({"input_tokens": 1_000_000, "cache_read_tokens": 400_000, "output_tokens": 100_000})
    assert bill == pytest.approx(Bill(0.6 * 3 + 0.4 * 0.3 + 1.5, 0.6 * 3 + 0.4 * 0.3, 1.5))


def test_what_is_a_part_of_two_counts_is_billed_once() -> None:
    counts = {
        "input_tokens": 1000,
        "cache_read_tokens": 300,
        "input_audio_tokens": 200,
        "cache_audio_read_tokens": 50,
        "output_tokens": 0,
    }
    bill = TARIFF.bill(counts)
    assert bill is not None
    assert bill.total * 1e6 == pytest.approx(50 * 2 + 250 * 0.3 + 150 * 30 + 550 * 3)


def test_what_has_no_direction_is_in_the_total_alone() -> None:
    bill = TARIFF.bill({"input_tokens": 1_000_000, "output_tokens": 0, "web_searches": 3})
    assert bill == pytest.approx(Bill(3.03, 3.0, 0.0))


def test_a_tier_holds_for_every_token_once_its_start_is_exceeded() -> None:
    tiered = Tariff({INPUT: Rate(3, ((200_000, 6),)), OUTPUT: Rate(15, ((200_000, 22.5),))})
    below = tiered.bill({"input_tokens": 200_000, "output_tokens": 1000})
    above = tiered.bill({"input_tokens": 200_001, "output_tokens": 1000})
    assert below == pytest.approx(Bill(0.615, 0.6, 0.015))
    assert above == pytest.approx(Bill(1.200006 + 0.0225, 1.200006, 0.0225))


def test_the_highest_tier_reached_counts() -> None:
    tiered = Tariff({INPUT: Rate(1, ((100, 3), (10, 2)))})
    bills = [tiered.bill({"input_tokens": count}) for count in (10, 50, 200)]
    assert [bill and round(bill.total * 1e6) for bill in bills] == [10, 100, 600]


def test_a_request_is_counted_by_nobody_and_billed_once() -> None:
    assert Tariff({REQUEST: Rate(5)}).bill({}) == Bill(0.005, 0.0, 0.0)
    both = Tariff({REQUEST: Rate(5), INPUT: Rate(1), OUTPUT: Rate(1)})
    assert both.bill({"input_tokens": 1000, "output_tokens": 0}) == pytest.approx(Bill(0.006, 0.001, 0.0))


@pytest.mark.parametrize("counts", [{}, {"input_characters": 100}])
def test_a_bill_over_nothing_that_has_a_rate_is_unknown(counts: dict[str, float]) -> None:
    assert TARIFF.bill(counts) is None
    assert Tariff({REQUEST: Rate(5), INPUT: Rate(1)}).bill(counts) is None


def test_tokens_in_a_direction_without_a_rate_make_the_bill_unknown() -> None:
    embeddings = Tariff({INPUT: Rate(0.02)})
    assert embeddings.bill({"input_tokens": 10, "output_tokens": 5}) is None
    assert embeddings.bill({"input_tokens": 10, "output_tokens": 0}) is not None


def test_parts_larger_than_their_whole_never_make_a_bill_smaller() -> None:
    bill = TARIFF.bill({"input_tokens": 10, "cache_read_tokens": 50, "output_tokens": 0})
    assert bill is not None
    assert bill.total * 1e6 == pytest.approx(50 * 0.3)


COUNTS = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 10**7), "output_tokens": st.integers(0, 10**7), "web_searches": st.integers(0, 50)}
)


@given(COUNTS, COUNTS)
def test_bills_add_up(one: dict[str, float], other: dict[str, float]) -> None:
    both = TARIFF.bill({name: one[name] + other[name] for name in one})
    single = [TARIFF.bill(one), TARIFF.bill(other)]
    assert both is not None
    assert both.total == pytest.approx(sum(bill.total for bill in single if bill))


@given(COUNTS, st.sampled_from(sorted(["input_tokens", "output_tokens", "web_searches"])), st.integers(1, 1000))
def test_more_never_costs_less(counts: dict[str, float], name: str, more: int) -> None:
    less, greater = TARIFF.bill(counts), TARIFF.bill(counts | {name: counts[name] + more})
    assert less is not None
    assert greater is not None
    assert greater.total > less.total

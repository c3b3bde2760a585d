from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import EvaluatedExchange, LedgerEntry, Timing
from processors.sample import Sample
from tests.support.records import STARTED_AT, TRACE, an_evaluated_exchange, an_exchange

TRACE_IDS = st.integers(0, 2**128 - 1).map("{:032x}".format)


def of_trace(trace_id: str, tracestate: str | None = None, **changes: Any) -> EvaluatedExchange:
    trace = msgspec.structs.replace(TRACE, trace_id=trace_id, tracestate=tracestate)
    return an_evaluated_exchange(exchange=an_exchange(trace=trace, **changes))


def test_everything_is_kept_by_default() -> None:
    decided = Sample().decide(an_evaluated_exchange())
    assert (decided.kept, decided.weight) == ("ratio", 1.0)


@pytest.mark.parametrize(
    ("ratio", "low", "kept"),
    [
        (0.5, 2**55, True),
        (0.5, 2**55 - 1, False),
        (0.25, 3 * 2**54, True),
        (0.25, 3 * 2**54 - 1, False),
        (0, 2**56 - 1, False),
    ],
)
def test_the_last_56_bits_of_the_trace_id_decide(ratio: float, low: int, kept: bool) -> None:
    assert Sample(ratio).in_ratio(f"{'f' * 18}{low:014x}") is kept


@given(TRACE_IDS, st.floats(0, 1), st.floats(0, 1))
def test_a_lower_ratio_keeps_a_subset(trace_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not Sample(low).in_ratio(trace_id) or Sample(high).in_ratio(trace_id)


@given(TRACE_IDS, st.floats(0, 1))
def test_the_decision_is_the_one_of_the_trace_id(trace_id: str, ratio: float) -> None:
    decided = Sample(ratio).decide(of_trace(trace_id))
    assert (decided.kept == "ratio") is Sample(ratio).in_ratio(trace_id)


def state_after(ratio: float, tracestate: str | None = None, **changes: Any) -> str | None:
    return Sample(ratio).decide(of_trace("f" * 32, tracestate, **changes)).exchange.trace.tracestate


@pytest.mark.parametrize(
    ("ratio", "before", "after"),
    [
        (1.0, None, None),
        (1.0, "vendor=1", "vendor=1"),
        (0.5, None, "ot=th:8"),
        (0.25, None, "ot=th:c"),
        (0.5, "vendor=1, other=2", "ot=th:8,vendor=1,other=2"),
        (0.5, "vendor=1,ot=rv:ffffffffffffff;th:0", "ot=th:8;rv:ffffffffffffff,vendor=1"),
        (0.5, "ot=th:c", "ot=th:c"),
        (0.5, "ot=th:nonsense", "ot=th:8"),
        (0.5, "ot=", "ot=th:8"),
    ],
)
def test_what_is_kept_says_with_which_probability(ratio: float, before: str | None, after: str | None) -> None:
    assert state_after(ratio, before) == after


def test_what_a_rule_keeps_is_certain() -> None:
    assert state_after(0.25, error_type="500") == "ot=th:0"
    assert state_after(0.25, "ot=th:8", error_type="500") == "ot=th:8"


@given(TRACE_IDS, st.floats(0.001, 0.999))
def test_the_threshold_agrees_with_the_decision_and_its_weight(trace_id: str, ratio: float) -> None:
    decided = Sample(ratio).decide(of_trace(trace_id))
    state = decided.exchange.trace.tracestate
    assert (state is None) is (decided.kept == "sampled_out")
    if state is not None:
        threshold = int(state.removeprefix("ot=th:").ljust(14, "0"), 16)
        assert int(trace_id[-14:], 16) >= threshold
        assert decided.weight == pytest.approx(2**56 / (2**56 - threshold))


def test_explicit_randomness_in_tracestate_goes_before_the_trace_id() -> None:
    low, high = "0" * 32, "f" * 32
    assert Sample(0.5).decide(of_trace(low, "x=1, ot=th:8;rv:ffffffffffffff")).kept == "ratio"
    assert Sample(0.5).decide(of_trace(high, "ot=rv:00000000000000")).kept == "sampled_out"
    assert Sample(0.5).decide(of_trace(high, "ot=rv:nothexadecimal")).kept == "ratio"


def test_what_is_sampled_out_stands_for_nothing() -> None:
    decided = Sample(0.25).decide(of_trace("0" * 32))
    assert (decided.kept, decided.weight) == ("sampled_out", 0.0)


def test_what_the_ratio_keeps_stands_for_the_rest() -> None:
    assert Sample(0.25).decide(of_trace("f" * 32)).weight == 4.0


def test_an_error_is_kept_for_itself() -> None:
    decided = Sample(0.0).decide(of_trace("0" * 32, error_type="429"))
    assert (decided.kept, decided.weight) == ("error", 1.0)


def test_a_slow_exchange_is_kept_for_itself() -> None:
    timing = Timing(started_at=STARTED_AT, sent_at=None, first_byte_at=None, ended_at=2_000_000_001)
    assert Sample(0.0, slow=2.0).decide(of_trace("0" * 32, timing=timing)).kept == "slow"
    assert Sample(0.0, slow=2.1).decide(of_trace("0" * 32, timing=timing)).kept == "sampled_out"


def test_a_failed_evaluation_keeps_its_exchange_but_a_failing_evaluator_does_not() -> None:
    passed, failed, broke = LedgerEntry("a", "pass"), LedgerEntry("b", "fail"), LedgerEntry("c", "error", "timeout")
    assert Sample(0.0).decide(an_evaluated_exchange(entries=(passed, failed))).kept == "flagged"
    assert Sample(0.0).decide(an_evaluated_exchange(entries=(passed, broke))).kept == "sampled_out"


def test_a_rule_that_is_not_listed_keeps_nothing() -> None:
    assert Sample(0.0, always=("slow",)).decide(of_trace("0" * 32, error_type="429")).kept == "sampled_out"


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.9])
def test_weights_are_unbiased(ratio: float) -> None:
    chance = random.Random(7)
    exchanges = [
        of_trace(f"{chance.getrandbits(128):032x}", error_type="500" if chance.random() < 0.1 else None)
        for _ in range(4000)
    ]
    decided = [Sample(ratio).decide(exchange) for exchange in exchanges]
    total = sum(exchange.weight for exchange in decided)
    deviation = (4000 * 0.9 * (1 - ratio) / ratio) ** 0.5
    assert abs(total - 4000) < 4 * deviation
    errors = sum(exchange.weight for exchange in decided if exchange.exchange.error_type)
    assert errors == sum(exchange.exchange.error_type is not None for exchange in exchanges)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="ratio is 25; give a number from 0 to 1"):
        Sample(25)
    with pytest.raises(ValueError, match="always is 'sometimes'; choose one of error, slow, flagged"):
        Sample(always=("sometimes",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slow is -1; give seconds"):
        Sample(slow=-1)


def test_a_client_that_left_is_no_error_to_keep() -> None:
    left = an_evaluated_exchange(exchange=an_exchange(error_type="client_disconnect"))
    assert Sample(ratio=0.0).decide(left).kept == "sampled_out"

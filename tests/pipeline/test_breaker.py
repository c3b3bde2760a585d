"""Who fails again and again is left alone for a while, and is found again when it is back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        breaker.failed()
    return breaker, clock


def test_it_opens_at_so_many_failures_in_a_row() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert (breaker.wait, breaker.on_trial) == (0, False)
    breaker.failed()
    assert (breaker.wait, breaker.on_trial) == (FIRST_PAUSE, False)


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(Clock())
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.well()
    assert breaker.wait == 0


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause() -> None:
    breaker, clock = opened()
    for _ in range(30):
        breaker.failed()
    assert breaker.wait == FIRST_PAUSE
    clock.now += FIRST_PAUSE
    breaker.failed()
    assert breaker.wait == 2 * FIRST_PAUSE


def test_after_the_pause_it_is_on_trial_and_a_success_closes_it() -> None:
    breaker, clock = opened()
    clock.now += FIRST_PAUSE
    assert breaker.on_trial
    breaker.well()
    assert (breaker.wait, breaker.on_trial) == (0, False)
    for _ in range(FAILURES):
        breaker.failed()
    assert breaker.wait == FIRST_PAUSE  # as if nothing had been


@given(st.integers(1, 40))
def test_each_failed_trial_doubles_the_pause_up_to_the_longest(trials: int) -> None:
    breaker, clock = opened()
    for trial in range(trials):
        assert breaker.wait == min(FIRST_PAUSE * 2**trial, LONGEST_PAUSE)
        clock.now += breaker.wait
        assert breaker.on_trial
        breaker.failed()

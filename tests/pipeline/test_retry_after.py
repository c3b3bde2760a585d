"""Seconds or a date; anything else is as if nothing had been said."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.retry_after import seconds_until


@pytest.mark.parametrize(("header", "seconds"), [("0", 0.0), ("120", 120.0), (" 7 ", 7.0), (None, None)])
def test_seconds_are_seconds(header: str | None, seconds: float | None) -> None:
    assert seconds_until(header) == seconds


def test_a_date_is_the_time_until_then() -> None:
    in_a_minute = seconds_until(formatdate(time.time() + 60, usegmt=True))
    assert in_a_minute is not None
    assert 50 < in_a_minute <= 60


def test_a_date_that_has_passed_is_now() -> None:
    assert seconds_until("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("header", ["", "soon", "-3", "1.5", "٣", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_what_cannot_be_understood_is_nothing(header: str) -> None:
    assert seconds_until(header) is None


@given(st.text(max_size=60))
def test_any_text_is_seconds_or_nothing(header: str) -> None:
    seconds = seconds_until(header)
    assert seconds is None or seconds >= 0

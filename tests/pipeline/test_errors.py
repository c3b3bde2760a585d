"""An error carries what its receiver decides by."""

from __future__ import annotations

from pipeline.errors import ConfigError, PartialSuccess, Retryable


def test_a_configuration_error_keeps_its_problems_apart_and_prints_one_a_line() -> None:
    error = ConfigError("a: wrong", "b: wrong too")
    assert error.problems == ("a: wrong", "b: wrong too")
    assert str(error).splitlines() == ["a: wrong", "b: wrong too"]


def test_a_retryable_error_says_when_if_it_knows() -> None:
    assert Retryable("busy").after is None
    assert Retryable("busy", after=2.5).after == 2.5


def test_a_partial_success_says_how_many_were_refused() -> None:
    assert PartialSuccess("too old", rejected=3).rejected == 3

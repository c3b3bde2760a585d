from __future__ import annotations

import pytest

from pipeline.condition import Condition, worst


def test_a_component_is_well_until_it_says_otherwise() -> None:
    told = Condition().told()
    assert told["status"] == "StatusOK"
    assert "error" not in told


@pytest.mark.parametrize(("permanent", "state"), [(False, "StatusRecoverableError"), (True, "StatusPermanentError")])
def test_an_error_is_told_with_its_kind(permanent: bool, state: str) -> None:
    condition = Condition()
    condition.failing("it is away", permanent=permanent)
    assert (condition.told()["status"], condition.told()["error"]) == (state, "it is away")


def test_since_is_when_the_state_began_not_when_it_was_last_told(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((1.0, 2.0, 3.0, 4.0, 5.0))
    monkeypatch.setattr("pipeline.condition.time.time", lambda: next(times))
    condition = Condition()
    condition.failing("one")
    condition.failing("two")
    assert (condition.since, condition.error) == (2.0, "two")
    condition.well()
    condition.well()
    assert (condition.since, condition.error) == (3.0, None)


def test_of_several_the_worst_is_the_one_that_counts() -> None:
    well, failing, broken = Condition(), Condition(), Condition()
    failing.failing("away")
    broken.failing("refused", permanent=True)
    assert worst([well, failing, broken]) is broken
    assert worst([well, failing]) is failing
    assert worst([well]) is well

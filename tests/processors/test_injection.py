from __future__ import annotations

import pytest

from pipeline.records import Evaluation
from processors.injection import TAKEOVER, Detector, Family, judgement, score_of

ONE = Family("one", 0.5, ("first thing", "thing one"))
TWO = Family("two", 0.4, ("second",))


def test_families_are_told_once_and_in_their_order() -> None:
    assert Detector((ONE, TWO)).found("Second FIRST thing, thing one") == [ONE, TWO]
    assert Detector((ONE, TWO)).found("neither") == []


@pytest.mark.parametrize("text", ["first  thing", "first\nthing", "**first** thing", "first-thing", "first, thing"])
def test_a_blank_stands_for_what_may_be_between_words(text: str) -> None:
    assert Detector((ONE,)).found(text) == [ONE]


def test_signs_add_up_to_less_than_certainty() -> None:
    assert score_of(()) == 0
    assert score_of((ONE,)) == 0.5
    assert score_of((ONE, TWO)) == 0.7


def test_the_strongest_families_come_first() -> None:
    weights = [family.weight for family in TAKEOVER]
    assert weights == sorted(weights, reverse=True)
    assert len({family.name for family in TAKEOVER}) == len(TAKEOVER)


def test_a_judgement_names_the_families() -> None:
    assert judgement("x", (ONE, TWO), 0.7) == Evaluation("x", 0.7, "fail", "one, two")
    assert judgement("x", (TWO,), 0.5) == Evaluation("x", 0.4, "pass", "two")
    assert judgement("x", (), 0.0) == Evaluation("x", 0.0, "pass")

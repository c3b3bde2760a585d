from __future__ import annotations

import pytest

from pipeline.records import Evaluation
from processors.length import Length
from tests.support.records import an_exchange, answer


def judged(text: str, **limits: int) -> Evaluation:
    (evaluation,) = Length(**limits).process(an_exchange(output_messages=(answer(text),)))
    return evaluation


def test_words_and_characters_are_counted() -> None:
    assert judged("Five days, no more.") == Evaluation("length", 4.0, None, "19 characters")


@pytest.mark.parametrize(
    ("limits", "label"),
    [
        ({"max_words": 3}, "pass"),
        ({"max_words": 2}, "fail"),
        ({"min_words": 3}, "pass"),
        ({"min_words": 4}, "fail"),
        ({"min_words": 1, "max_words": 9}, "pass"),
    ],
)
def test_a_limit_makes_it_a_judgement(limits: dict[str, int], label: str) -> None:
    assert judged("one two three", **limits).score_label == label


def test_limits_that_no_answer_can_keep_are_refused() -> None:
    with pytest.raises(ValueError, match="more than max_words"):
        Length(min_words=5, max_words=4)

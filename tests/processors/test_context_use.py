from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.context_use import ContextUse
from tests.support.records import an_exchange, answer
from tests.support.synonyms import install

LEAVE = "Full-time employees receive 25 days of paid annual leave each calendar year."
EXPENSES = "Travel expense reports are due on the fifth working day of the following month."
PARKING = "The garage below the office opens at six and closes at ten in the evening."
TEXTS = (LEAVE, EXPENSES, PARKING)


def judged(text: str, *context: str, **options: object) -> Evaluation:
    exchange = an_exchange(output_messages=(answer(text),), context=context or TEXTS)
    (evaluation,) = ContextUse(**options).process(exchange)  # type: ignore[arg-type]
    return evaluation


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("Employees receive 25 days of annual leave.", 1),
        ("Employees receive 25 days of annual leave. Expense reports are due on the fifth working day.", 2),
        (" ".join(TEXTS), 3),
        ("Bananas are rich in potassium.", 0),
        ("It is all that you may have of it, in the end.", 0),  # words that are in every text
    ],
)
def test_the_score_is_the_share_of_texts_that_the_answer_takes_up(text: str, used: int) -> None:
    evaluation = judged(text)
    assert (evaluation.score_value, evaluation.score_label) == (round(used / 3, 4), None)
    assert evaluation.explanation == f"lexical: the answer uses {used} of 3 texts of the context"


def test_two_texts_that_say_the_same_are_both_used() -> None:
    assert judged(LEAVE, LEAVE, LEAVE, PARKING).score_value == 0.6667


@pytest.mark.parametrize(("threshold", "label"), [(0.3, "pass"), (0.5, "fail")])
def test_a_threshold_makes_it_a_verdict(threshold: float, label: str) -> None:
    assert judged(LEAVE, threshold=threshold).score_label == label


def test_with_a_model_a_text_in_other_words_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Cars may stand underneath the building."
    assert judged(text).score_value == 0
    install(monkeypatch, "garage cars stand", "office building")
    evaluation = judged(text, method="embeddings")
    assert evaluation.score_value == 0.3333
    assert str(evaluation.explanation).startswith("embeddings: ")


@pytest.mark.parametrize(("text", "context"), [("Sure!", TEXTS), (LEAVE, ())])
def test_where_nothing_is_claimed_or_given_nothing_is_said(text: str, context: tuple[str, ...]) -> None:
    assert ContextUse().process(an_exchange(output_messages=(answer(text),), context=context)) == ()


@given(st.text(), st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_is_judged(text: str, context: list[str]) -> None:
    for evaluation in ContextUse().process(an_exchange(output_messages=(answer(text),), context=tuple(context))):
        assert 0 <= (evaluation.score_value or 0) <= 1


def test_megabytes_take_bounded_time() -> None:
    long = "Xy zzz other words. " * 100_000
    exchange = an_exchange(output_messages=(answer(long),), context=(long,) * 64)
    began = process_time()
    assert ContextUse().process(exchange)
    assert process_time() - began < 0.8


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        ContextUse(threshold=-1)

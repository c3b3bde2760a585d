from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.similarity import Similarity
from tests.support.records import an_exchange, answer
from tests.support.synonyms import install

EXPECTED = "Unused vacation expires in March."


def judged(text: str, expected: str = EXPECTED, **options: object) -> Evaluation:
    exchange = an_exchange(output_messages=(answer(text),), ground_truth=expected)
    (evaluation,) = Similarity(**options).process(exchange)  # type: ignore[arg-type]
    return evaluation


def test_the_same_words_of_substance_are_the_same_answer() -> None:
    evaluation = judged("In March, the unused vacations expire.")
    assert (evaluation.score_value, evaluation.score_label) == (1.0, None)
    assert evaluation.explanation == "lexical: words of substance that both have"


@pytest.mark.parametrize(
    ("text", "expected", "score"),
    [
        ("Vacation expires in March, in April and in June.", EXPECTED, 2 * 3 / (5 + 4)),
        ("Bananas are rich in potassium.", EXPECTED, 0.0),
        ("who is it", "it is who", 1.0),  # of common words alone
        ("42", "42", 1.0),
        ("???", "???", 1.0),
        ("???", "!!!", 0.0),
    ],
)
def test_the_score_is_the_share_of_words_that_both_have(text: str, expected: str, score: float) -> None:
    assert judged(text, expected).score_value == round(score, 4)


def test_a_threshold_makes_it_a_verdict() -> None:
    assert judged(EXPECTED, threshold=0.8).score_label == "pass"
    assert judged("Bananas are rich.", threshold=0.8).score_label == "fail"


def test_with_a_model_other_words_of_the_same_meaning_score(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Holidays not taken are lost after winter. Bananas are rich."
    assert judged(text).score_value == 0
    install(monkeypatch, "vacation holidays", "unused taken", "expires lost", "march winter")
    evaluation = judged(text, method="embeddings")
    assert evaluation.score_value == pytest.approx(2 * 0.5 * 1 / 1.5, abs=1e-4)  # one of two sentences is expected
    assert str(evaluation.explanation).startswith("embeddings: ")


def test_a_script_that_the_model_cannot_read_is_compared_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "假期")
    assert str(judged("假期政策", "假期政策", method="embeddings").explanation).startswith("lexical: ")


@given(st.text(), st.text())
def test_any_text_is_judged(text: str, expected: str) -> None:
    assert 0 <= (judged(text, expected).score_value or 0) <= 1


def test_megabytes_take_bounded_time() -> None:
    long = "Xy zzz other words. " * 100_000
    began = process_time()
    assert judged(long, long).score_value == 1
    assert process_time() - began < 0.5


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Similarity(threshold=-1)

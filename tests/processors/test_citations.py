from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.citations import Citations, citations_in
from tests.support.records import an_exchange, answer

DOCUMENTS = ("Leave is thirty days.", "Ask your manager.", "Offices close at six.")


def judged(text: str, **options: object) -> tuple[Evaluation, ...]:
    exchange = an_exchange(output_messages=(answer(text),), context=DOCUMENTS)
    return tuple(Citations(**options).process(exchange))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Thirty days [1], says the policy [2].", [1, 2]),
        ("Thirty days [1, 3].", [1, 3]),
        ("Thirty days [1-3].", [1, 2, 3]),
        ("Thirty days.[^2]", [2]),
        ("Thirty days 【3†source】.", [3]),
        ("Thirty days [doc 2] [Source 1].", [2, 1]),
        ("See [1](https://example.com).", []),
        ("items[1] and `[2]`", []),
        ("In 2024 [sic] it was (3).", []),
        ("```\nx = [1]\n```", []),
    ],
)
def test_citations_are_numbers_in_brackets(text: str, numbers: list[int]) -> None:
    assert list(citations_in(text)) == numbers


def test_a_citation_of_a_document_that_is_there_passes() -> None:
    assert judged("Thirty days [1], ask first [2].") == (Evaluation("citations", 1.0, "pass"),)


def test_a_citation_that_leads_nowhere_fails() -> None:
    (evaluation,) = judged("Thirty days [1], and a bonus [4].")
    assert (evaluation.score_value, evaluation.score_label) == (0.5, "fail")
    assert evaluation.explanation == "1 of 2 citations lead nowhere"


def test_an_answer_without_citations_is_judged_where_they_are_needed() -> None:
    assert judged("Thirty days.") == ()
    assert judged("Thirty days.", needed=True)[0].score_label == "fail"


@given(st.text(alphabet="[]【】()0123456789,-– ^†a", max_size=300))
def test_any_brackets_are_read(text: str) -> None:
    assert all(0 <= number <= 999 for number in citations_in(text))

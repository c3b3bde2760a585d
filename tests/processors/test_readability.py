from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.readability import Counts, Readability, counts_of, grade, reading_ease
from tests.support.records import an_exchange, answer

EASY = (
    "The cat sat on the mat. It was a warm day and the sun was up. A dog came by and saw the cat. The dog did not "
    "bark. It sat down next to the cat and they both slept in the sun. When it was time to eat they got up and went "
    "home. That was all for the day, and it was good."
)
HARD = (
    "The implementation of asynchronous instrumentation necessitates considerable architectural deliberation, "
    "particularly regarding the probabilistic characteristics of distributed telemetry. Organisations that disregard "
    "these considerations will inevitably encounter unanticipated operational complications. Consequently, responsible "
    "administrators should continuously investigate the representativeness of their accumulated observability data, "
    "and they should deliberately document whatever methodological limitations they have identified."
)
GERMAN = "Das ist ein Satz, der auf Deutsch geschrieben ist und nicht auf Englisch. " * 6


def judged(text: str, max_grade: float | None = None) -> list[Evaluation]:
    return list(Readability(max_grade).process(an_exchange(output_messages=(answer(text),))))


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("cat", 1),
        ("the", 1),
        ("we", 1),
        ("queue", 1),
        ("make", 1),
        ("makes", 1),
        ("pages", 2),
        ("boxes", 2),
        ("walked", 1),
        ("wanted", 2),
        ("agree", 2),
        ("whole", 1),
        ("called", 1),
        ("table", 2),
        ("handled", 2),
        ("don't", 1),
        ("You're", 1),
        ("sidecar", 3),
        ("beautiful", 3),
        ("university", 5),
        ("HTML", 1),
        ("le", 1),
        ("e", 1),
        ("es", 1),
    ],
)
def test_syllables_are_groups_of_vowels_that_are_spoken(word: str, syllables: int) -> None:
    assert counts_of(word) == Counts(1, 1, syllables)


def test_the_formulas_are_those_of_flesch_and_kincaid() -> None:
    counts = counts_of("The cat sat on the mat.")
    assert counts == Counts(sentences=1, words=6, syllables=6)
    assert (reading_ease(counts), grade(counts)) == (116.15, -1.45)


def test_an_easy_text_is_easier_than_a_hard_one() -> None:
    easy, hard = judged(EASY), judged(HARD)
    assert [each.name for each in easy] == ["readability.reading_ease", "readability.grade"]
    assert (easy[0].score_value or 0) > 90
    assert (hard[0].score_value or 0) < 10
    assert (easy[1].score_value or 0) < 5 < 15 < (hard[1].score_value or 0)


def test_without_a_limit_nothing_is_judged() -> None:
    assert [each.score_label for each in judged(HARD)] == [None, None]


def test_a_limit_fails_what_is_above_it() -> None:
    assert judged(EASY, max_grade=9)[1].score_label == "pass"
    found = judged(HARD, max_grade=9)[1]
    assert (found.score_label, found.explanation) == ("fail", f"grade {found.score_value:g}, limit 9")


def test_code_is_not_prose() -> None:
    code = "```python\nsome_incomprehensibly_denominated_identifier = instantiate_everything()\n```\n"
    assert judged(f"{EASY}\n{code}") == judged(EASY)


@pytest.mark.parametrize("text", ["", "Paris.", "One. Two. Three.", GERMAN, "word " * 60, "这是一句。" * 30])
def test_what_is_short_or_not_english_is_none_of_its_business(text: str) -> None:
    assert judged(text) == []


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="max_grade is 0; give a positive number of school years"):
        Readability(max_grade=0)


@given(st.text())
def test_any_text_can_be_counted(text: str) -> None:
    counts = counts_of(text)
    assert counts.syllables >= counts.words >= 0
    judged(f"{EASY} {text}")


@pytest.mark.parametrize("unit", ["e", "ed ", "lle", "the. ", "'", "\ud800 ", "é"])
def test_no_text_makes_it_slow(unit: str) -> None:
    started = time.perf_counter()
    judged(EASY + unit * 100_000)
    assert time.perf_counter() - started < 0.5

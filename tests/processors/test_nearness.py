from __future__ import annotations

import pytest

from processors.nearness import CANDIDATES, MAX_CHARACTERS, MOST_TEXTS, Nearest, nearest
from tests.support.synonyms import Synonyms

LEISURE, MONEY = "vacation holiday", "salary wage"


def test_the_text_that_means_most_nearly_the_same_is_found() -> None:
    model = Synonyms(LEISURE, MONEY)
    texts = ["Wages rise.", "Every holiday counts.", "Rain falls."]
    assert nearest(["Vacation matters.", "My salary, please."], texts, model) == [Nearest(1.0, 1), Nearest(1.0, 0)]


@pytest.mark.parametrize(("sentences", "texts"), [(["One."], []), ([], ["One."]), (["假期政策"], ["One."])])
def test_without_anything_to_compare_nothing_is_near(sentences: list[str], texts: list[str]) -> None:
    assert nearest(sentences, texts, Synonyms(LEISURE)) == [Nearest()] * len(sentences)


def test_of_many_texts_those_are_read_that_share_words() -> None:
    model = Synonyms(LEISURE)
    texts = [*(f"Something about matter{number}." for number in range(100)), "A holiday in winter."]
    assert nearest(["Winter vacation."], texts, model) == [Nearest(1.0, 100)]
    assert len(model.read) == 1 + CANDIDATES


def test_what_is_read_for_one_exchange_is_bounded_and_the_rest_is_not_near() -> None:
    model = Synonyms(LEISURE)
    sentences = [f"vacation {number} " * 400 for number in range(100)]
    texts = [f"holiday of number {number}" for number in range(1000)]
    found = nearest(sentences, texts, model)
    assert len(model.read) <= MOST_TEXTS
    assert max(map(len, model.read)) <= MAX_CHARACTERS
    assert found[0].alike == pytest.approx(1)
    assert found[-1] == Nearest()

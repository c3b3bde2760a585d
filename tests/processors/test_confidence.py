from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.confidence import Confidence
from tests.support.records import an_exchange, answer


def judged(text: str, max_hedging: float | None = None) -> list[Evaluation]:
    return list(Confidence(max_hedging).process(an_exchange(output_messages=(answer(text),))))


@pytest.mark.parametrize(
    "text",
    [
        "It is probably the cable that is broken.",
        "I think that this is the right answer to it.",
        "I’m not entirely sure what the cause of this is.",
        "This might be what you are looking for.",
        "The value may vary with the size of the file.",
        "As far as I know, it was the first of its kind.",
        "It seems that the server is not there.",
        "There are approximately 40 of them in the box.",
        "Das liegt vermutlich an dem Kabel, das nicht passt.",
        "Ich glaube, dass es so nicht geht.",
        "Meines Wissens ist das nicht so.",
        "Das könnte an der Leitung liegen, die zu lang ist.",
        "Es ist nicht ganz klar, was der Grund ist.",
        "Möglicherweise ist die Datei nicht da.",
    ],
)
def test_a_sentence_that_hedges_is_counted(text: str) -> None:
    assert judged(text) == [Evaluation("confidence.hedging", 1.0, None, "1 of 1 sentences")]


@pytest.mark.parametrize(
    "text",
    [
        "It is the cable that is broken.",
        "You may leave the room when you are done.",
        "It was the first of May and the sun was out.",
        "The mighty river is to the north of the town.",
        "This is usually done by the server itself.",
        'She said "perhaps" to him and left the room.',
        "Call `maybe()` when it is done and that is all.",
        "Das liegt an dem Kabel, das nicht passt.",
        "Das ist unmöglich und wird es auch bleiben.",
        "Sie dürfen das Haus nicht mit dem Hund betreten.",
    ],
)
def test_a_sentence_that_is_sure_is_not(text: str) -> None:
    assert judged(text) == [Evaluation("confidence.hedging", 0.0, None, "0 of 1 sentences")]


def test_the_score_is_the_share_of_sentences_that_hedge() -> None:
    text = "It is the cable. Perhaps it is too old, and perhaps it is too long. Take a new one. That might be all."
    assert judged(text) == [Evaluation("confidence.hedging", 0.5, None, "2 of 4 sentences")]
    assert judged(text, max_hedging=0.5)[0].score_label == "pass"
    assert judged(text, max_hedging=0.4)[0].score_label == "fail"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42.",
        "Paris.",
        "C'est peut-être le câble qui est cassé.",
        "これはおそらく正しいです。",
        "```\nmaybe the code\n```",
    ],
)
def test_another_language_is_none_of_its_business(text: str) -> None:
    assert judged(text) == []


def test_a_limit_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="max_hedging is 2; give a number from 0 to 1"):
        Confidence(max_hedging=2)


@given(st.text())
def test_any_text_is_scored_between_0_and_1_or_not_at_all(text: str) -> None:
    for said in (text, f"It is what it is, and that is that. {text}"):
        assert all(0 <= (each.score_value or 0) <= 1 for each in judged(said))


@pytest.mark.parametrize("unit", ["it is a. ", "the maybe of ", "i'd i'd ", "not not ", "the \ud800. "])
def test_no_text_makes_it_slow(unit: str) -> None:
    started = time.perf_counter()
    judged(unit * 50_000)
    assert time.perf_counter() - started < 0.5

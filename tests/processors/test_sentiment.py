from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Message, Part
from processors.sentiment import Sentiment, moods_of
from tests.support.records import an_exchange


def judged(text: str, threshold: float | None = None) -> tuple[Evaluation, ...]:
    exchange = an_exchange(input_messages=(Message("user", (Part("text", content=text),)),))
    return tuple(Sentiment(threshold).process(exchange))


@pytest.mark.parametrize(
    "text",
    ["Thanks, that works!", "Perfect. Now do the same for May.", "Great answer, thank you", "That is much better."],
)
def test_a_content_user_has_a_high_score(text: str) -> None:
    assert judged(text)[0].score_value == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "That's wrong, I asked for May.",
        "This is useless.",
        "It still doesn’t work!",
        "not helpful at all",
        "How many times do I have to say it?",
        "That was not a great answer",
    ],
)
def test_an_annoyed_user_has_a_low_score(text: str) -> None:
    assert judged(text)[0].score_value == -1.0


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "kill the process and abort the job",
        'Translate "this is terrible" into German.',
        "```\nuseless = 1\n```",
        "",
    ],
)
def test_nothing_is_said_where_nothing_shows(text: str) -> None:
    assert judged(text) == ()


def test_both_weigh_against_each_other() -> None:
    (evaluation,) = judged("Thanks, great, but the second part is useless.")
    assert evaluation.score_value == pytest.approx(1 / 3, abs=1e-3)
    assert evaluation.explanation == "2 words of content, 1 of annoyance"


def test_a_threshold_makes_it_a_judgement() -> None:
    assert judged("This is useless.", threshold=0.0)[0].score_label == "fail"
    assert judged("Thanks!", threshold=0.0)[0].score_label == "pass"
    assert judged("Thanks!")[0].score_label is None
    with pytest.raises(ValueError, match="from -1 to 1"):
        Sentiment(2.0)


@given(st.text())
def test_any_text_has_counts(text: str) -> None:
    assert min(moods_of(text)) >= 0

import pytest
from sidelight_forbidden_words import ForbiddenWords

from sidelight import Message, Part


class AnExchange:
    """What the evaluator looks at, and no more."""

    def __init__(self, answer):
        self.output_messages = (Message("assistant", (Part("text", content=answer),)),)


@pytest.mark.parametrize(
    ("answer", "count", "label"),
    [
        ("You may return it.", 0.0, "pass"),
        ("We GUARANTEE it, guarantee!", 2.0, "fail"),
        ("There are guarantees.", 0.0, "pass"),
    ],
)
def test_words_are_counted_whole_and_in_any_case(answer, count, label):
    (evaluation,) = ForbiddenWords(words=("guarantee",)).process(AnExchange(answer))
    assert (evaluation.score_value, evaluation.score_label) == (count, label)


def test_an_explanation_does_not_quote():
    (evaluation,) = ForbiddenWords(words=("secret",)).process(AnExchange("a secret"))
    assert "secret" not in evaluation.explanation


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        ForbiddenWords(words=())

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Message, Part
from processors.repeat_query import RepeatQuery
from tests.support.records import an_exchange, answer
from tests.support.synonyms import install

QUESTION = "How do I reset my account password?"


def user(text: str) -> Message:
    return Message("user", (Part("text", content=text),))


def judged(*asked: str, context: tuple[str, ...] = (), **options: object) -> tuple[Evaluation, ...]:
    turns = [turn for text in asked[:-1] for turn in (user(text), answer("Of no use."))]
    exchange = an_exchange(input_messages=(*turns, user(asked[-1])), context=context)
    return tuple(RepeatQuery(**options).process(exchange))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("earlier", "again"),
    [
        (QUESTION, True),
        ("how do i RESET my account password", True),
        ("How do I reset my account's password?", True),  # 7 of 8 words
        ("How do I delete my account?", False),
        ("When does the office open?", False),
        ("请问如何重置我的密码?", False),
    ],
)
def test_a_question_that_was_asked_before_is_found(earlier: str, again: bool) -> None:
    (evaluation,) = judged(earlier, "Thanks, that is good.", QUESTION)
    assert evaluation.score_label == ("fail" if again else "pass")
    assert evaluation.explanation == f"lexical: {'like' if again else 'unlike'} the 2 before it"


def test_the_score_is_the_share_of_words_that_both_have() -> None:
    (evaluation,) = judged("How do I delete my account?", QUESTION)
    assert evaluation.score_value == round(5 / 8, 4)


def test_other_scripts_are_compared_too() -> None:
    (evaluation,) = judged("请问如何重置我的密码?", "请问如何重置我的密码")
    assert evaluation.score_label == "fail"


@pytest.mark.parametrize("asked", [(QUESTION,), ("Go on", "Go on"), ("", QUESTION)])
def test_where_nothing_can_be_asked_again_nothing_is_said(asked: tuple[str, ...]) -> None:
    assert judged(*asked) == ()


def test_a_tools_result_is_not_the_user_asking_again() -> None:
    tool = Message("tool", (Part("tool_call_response", response="22 degrees"),))
    asked = (user(QUESTION), answer("Hm."), user(QUESTION), answer("Let me look."), tool)
    assert RepeatQuery().process(an_exchange(input_messages=asked)) == ()


def test_what_an_application_puts_around_a_question_does_not_count() -> None:
    document = " ".join(f"The {number}th rule of the house concerns matter{number}." for number in range(40))
    asked = [f"{document}\n{question}" for question in ("When does the office open?", QUESTION)]
    assert judged(*asked)[0].score_label == "fail"
    assert judged(*asked, context=(document,))[0].score_label == "pass"


def test_with_a_model_the_same_in_other_words_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reworded = "What are the steps to change login credentials?"
    assert judged(reworded, QUESTION)[0].score_label == "pass"
    install(monkeypatch, "password credentials", "reset change", "how steps", "account login", "open")
    (evaluation,) = judged(reworded, QUESTION, method="embeddings")
    assert (evaluation.score_value, evaluation.score_label) == (1.0, "fail")
    assert evaluation.explanation == "embeddings: like the 1 before it"
    assert judged("When does the office open?", QUESTION, method="auto")[0].score_label == "pass"
    assert judged("请问如何重置我的密码?", QUESTION, method="auto")[0].score_label == "pass"


@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), max_size=2))
def test_any_text_is_judged(asked: list[str], context: list[str]) -> None:
    for evaluation in judged(*asked, context=tuple(context)):
        assert 0 <= (evaluation.score_value or 0) <= 1


def test_megabytes_take_bounded_time() -> None:
    long = "Xy zzz other words. " * 100_000
    began = process_time()
    assert judged(*[long] * 8, context=("other", "absent")) != ()
    assert process_time() - began < 0.8

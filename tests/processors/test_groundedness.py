from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Message, Part
from processors.embeddings import Method
from processors.groundedness import Groundedness
from tests.support.records import an_exchange, answer
from tests.support.synonyms import install

POLICY = (
    "Full-time employees receive 25 days of paid annual leave each calendar year. Up to five unused days may be "
    "carried over until 31 March of the next year with the written consent of the manager. Margaret Hill in "
    "the Oslo office answers all questions about leave."
)
LEISURE = "leave holiday holidays vacation"


def judged(
    text: str, *context: str, question: str = "How much leave do I get?", method: Method = "lexical"
) -> Evaluation:
    asked = Message("user", (Part("text", content=question),))
    exchange = an_exchange(input_messages=(asked,), output_messages=(answer(text),), context=context or (POLICY,))
    (evaluation,) = Groundedness(method=method).process(exchange)
    return evaluation


SUPPORTED = [
    "Employees receive 25 days of paid annual leave each year.",
    "You may carry over up to 5 unused days until 31 March of the next year.",  # "five" in the context
    "Questions about leave are answered by Margaret Hill in the Oslo office.",
]
MADE_UP = [
    "Employees receive 30 days of paid annual leave each year.",  # the number
    "Questions about leave are answered by Gerald Hill in the Oslo office.",  # the name
    "Bananas are rich in potassium and make an excellent snack before a run.",
    "Up to ten unused days may be paid out in cash whenever somebody resigns.",
]


@pytest.mark.parametrize("text", SUPPORTED)
def test_what_the_context_says_is_supported(text: str) -> None:
    evaluation = judged(text)
    assert (evaluation.score_value, evaluation.score_label) == (1.0, "pass")
    assert evaluation.explanation == "lexical: the context supports 1 of 1 sentences"


@pytest.mark.parametrize("text", MADE_UP)
def test_what_was_made_up_is_not(text: str) -> None:
    evaluation = judged(text)
    assert (evaluation.score_value, evaluation.score_label) == (0.0, "fail")


def test_the_score_is_the_share_of_sentences() -> None:
    evaluation = judged(" ".join((*SUPPORTED, MADE_UP[0])))
    assert (evaluation.score_value, evaluation.score_label) == (0.75, "pass")
    assert evaluation.explanation == (
        "lexical: the context supports 3 of 4 sentences; 1 but for a number or name that is not there"
    )


def test_a_number_or_name_of_the_question_is_not_the_answers_invention() -> None:
    text = "Full-time employees in Berlin receive 25 days of paid annual leave after 7 years."
    assert judged(text).score_label == "fail"
    assert judged(text, question="And after 7 years in Berlin?").score_label == "pass"


def test_words_must_be_together_in_one_passage() -> None:
    words = "annual leave carried over written consent manager"
    scattered = " ".join(f"{word} {'filler ' * 120}" for word in words.split())
    assert judged(f"{words}.", scattered).score_label == "fail"
    assert judged(f"{words}.", f"{'filler ' * 120}{words}{' filler' * 120}").score_label == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "Sure!",
        "I'm sorry, but I could not find that in the documents.",
        "Let me know if you would like to hear more about it!",
        "# The answer",
    ],
)
def test_an_answer_that_claims_nothing_has_no_score(text: str) -> None:
    exchange = an_exchange(output_messages=(answer(text),), context=("Nothing of the kind.",))
    assert Groundedness().process(exchange) == ()


def test_without_context_nothing_is_said() -> None:
    assert "context" in Groundedness.requires
    assert Groundedness().process(an_exchange(output_messages=(answer(MADE_UP[0]),))) == ()


def test_other_scripts_are_compared_too() -> None:
    context = "全职员工每年享有二十五天带薪年假。未使用的年假可以结转到次年三月。"
    assert judged("全职员工每年享有二十五天带薪年假。", context).score_label == "pass"
    assert judged("香蕉富含钾,是长跑前的绝佳零食。", context).score_label == "fail"


def test_with_a_model_the_same_in_other_words_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Staff is granted plenty of vacation, holidays included, every twelvemonth."
    assert judged(text).score_label == "fail"
    install(monkeypatch, LEISURE)
    evaluation = judged(text, method="embeddings")
    assert (evaluation.score_label, evaluation.explanation) == (
        "pass",
        "embeddings: the context supports 1 of 1 sentences",
    )
    assert judged(MADE_UP[2], method="auto").score_label == "fail"


def test_with_a_model_a_made_up_number_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, LEISURE)
    assert judged("Staff gets 99 days of vacation and holidays.", method="embeddings").score_label == "fail"


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3), st.text())
def test_any_text_is_judged(text: str, context: list[str], question: str) -> None:
    asked = Message("user", (Part("text", content=question),))
    exchange = an_exchange(input_messages=(asked,), output_messages=(answer(text),), context=tuple(context))
    for evaluation in Groundedness().process(exchange):
        assert 0 <= (evaluation.score_value or 0) <= 1


@pytest.mark.parametrize("piece", ["word ", "A b. ", "1,", "\ud800.", '."', "\n", "你好。", "Xy Zz ", ". " * 8])
def test_two_megabytes_take_bounded_time(piece: str) -> None:
    long = piece * (2_000_000 // len(piece))
    exchange = an_exchange(
        input_messages=(Message("user", (Part("text", content=long),)),),
        output_messages=(answer(long),),
        context=(long, long),
    )
    began = process_time()
    for evaluation in Groundedness().process(exchange):
        assert "too long to be read whole" in (evaluation.explanation or "")
    assert process_time() - began < 0.8  # some 0.1 s; a worker has one second


def test_without_a_threshold_there_is_only_a_score() -> None:
    exchange = an_exchange(output_messages=(answer(SUPPORTED[0]),), context=(POLICY,))
    (evaluation,) = Groundedness(threshold=None).process(exchange)
    assert (evaluation.score_value, evaluation.score_label) == (1.0, None)


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Groundedness(threshold=2)


def test_of_what_tools_returned_there_is_a_score_and_no_verdict() -> None:
    exchange = an_exchange(output_messages=(answer(MADE_UP[0]),), context=(POLICY,), context_source="tools")
    (evaluation,) = Groundedness().process(exchange)
    assert (evaluation.score_value, evaluation.score_label) == (0.0, None)

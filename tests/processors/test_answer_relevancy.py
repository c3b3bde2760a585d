from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Message, Part
from processors.answer_relevancy import AnswerRelevancy
from tests.support.records import an_exchange, answer
from tests.support.synonyms import install

BANANAS = "Bananas are rich in potassium and make an excellent snack before a long run, especially ripe ones."
CASES = [
    ("How many vacation days do full-time employees get?", "Employees get 25 days of paid vacation each year.", "pass"),
    ("How do I reset my account password?", "Open the login page, choose forgotten password, follow the link.", "pass"),
    ("What is the policy for working remotely abroad?", BANANAS, "fail"),
    ("When is the deadline for travel expense reports?", BANANAS, "fail"),
    (
        "Wie beantrage ich eine Änderung meiner Arbeitszeit?",
        "Füllen Sie das Formular zur Änderung der Arbeitszeiten aus und senden Sie es an Ihre Leitung.",
        "pass",
    ),
    (
        "Wie beantrage ich eine Änderung meiner Arbeitszeit?",
        "Der Eiffelturm wurde 1889 fertiggestellt und bleibt ein beliebtes Ziel für Besucher aus aller Welt.",
        "fail",
    ),
    (
        "¿Cuándo vence el plazo para presentar los gastos de viaje?",
        "El plazo para presentar gastos de viaje vence el quinto día laborable del mes siguiente.",
        "pass",
    ),
    (
        "Comment demander un changement de mes horaires de travail ?",
        "Les bananes sont riches en potassium et constituent une excellente collation avant la course.",
        "fail",
    ),
    ("如何申请更改我的工作时间安排?", "请填写工作时间变更表并发送给您的经理批准,申请将在一周内处理。", "pass"),
    ("如何申请更改我的工作时间安排?", "香蕉富含钾,是长跑前的绝佳零食,尤其是熟透的香蕉更加美味可口。", "fail"),
]  # fmt: skip
UNDECIDED = [
    ("Tell me a joke!", "Why did the chicken cross the road? To get to the other side of the street, of course."),
    ("What is the capital city of France?", "Paris."),
    ("How many employees work in the Berlin office today?", "42"),
    ("", BANANAS),
    ("Thanks!", "You are very welcome, and do write again whenever anything else comes to your mind today."),
]


def judged(question: str, text: str, *before: Message, context: tuple[str, ...] = ()) -> tuple[Evaluation, ...]:
    asked = (*before, Message("user", (Part("text", content=question),)))
    exchange = an_exchange(input_messages=asked, output_messages=(answer(text),), context=context)
    return tuple(AnswerRelevancy().process(exchange))


@pytest.mark.parametrize(("question", "text", "label"), CASES)
def test_answers_that_speak_of_something_else_are_found(question: str, text: str, label: str) -> None:
    (evaluation,) = judged(question, text)
    assert evaluation.score_label == label, evaluation
    assert evaluation.explanation
    assert evaluation.explanation.startswith("lexical: ")


@pytest.mark.parametrize(("question", "text"), UNDECIDED)
def test_where_words_say_nothing_nothing_is_said(question: str, text: str) -> None:
    assert judged(question, text) == ()


def test_an_answer_may_take_up_an_earlier_turn_or_a_document() -> None:
    question = "Could you summarise these findings briefly for management?"
    text = "Bananas hold plenty of potassium, keep runners going, and cost little in every season of the year."
    (alone,) = judged(question, text)
    (with_document,) = judged(question, text, context=(BANANAS,))
    earlier = Message("user", (Part("text", content=BANANAS),))
    (with_turn,) = judged(question, text, earlier)
    assert (alone.score_label, with_document.score_label, with_turn.score_label) == ("fail", "pass", "pass")


def test_the_explanation_quotes_nothing() -> None:
    (evaluation,) = judged("Where do canary7 birds nest in winter?", f"canary7 birds nest in trees. {BANANAS}")
    assert "canary7" not in str(evaluation.explanation)


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        AnswerRelevancy(threshold=-1)


def test_with_a_model_short_answers_and_other_words_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "capital city paris", "potassium bananas")
    question = "What is the capital of France?"
    asked = (Message("user", (Part("text", content=question),)),)
    labels = []
    for text in ("Paris.", "Bananas.", "首都是巴黎"):
        exchange = an_exchange(input_messages=asked, output_messages=(answer(text),))
        labels.append([each.score_label for each in AnswerRelevancy(method="embeddings").process(exchange)])
    assert labels == [["pass"], ["fail"], []]
    exchange = an_exchange(input_messages=asked, output_messages=(answer("The city is Paris."),))
    (evaluation,) = AnswerRelevancy(method="auto").process(exchange)
    assert (evaluation.score_value, evaluation.explanation) == (1.0, "embeddings: cosine of question and answer")


@given(st.text(), st.text(), st.text())
def test_any_text_is_judged(asked: str, text: str, context: str) -> None:
    for evaluation in judged(asked, text, context=(context,)):
        assert 0 <= (evaluation.score_value or 0) <= 1

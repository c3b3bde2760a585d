from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs import missing_input
from pipeline.records import Evaluation, Exchange, Message, Part
from processors.empty import Empty, placeholder_in
from tests.support.records import an_exchange, answer


def judged(*choices: Message, placeholders: bool = True, asked: str = "Hello?") -> Evaluation:
    question = Message("user", (Part("text", content=asked),))
    exchange = an_exchange(input_messages=(question,), output_messages=choices)
    (evaluation,) = Empty(placeholders).process(exchange)
    return evaluation


def test_an_answer_passes() -> None:
    assert judged(answer("Hello!")) == Evaluation("empty", 0.0, "pass")


@pytest.mark.parametrize(
    "choices",
    [
        (),
        (Message("assistant", ()),),
        (answer(""),),
        (answer(" \n\t\u200b\xa0 "),),
        (Message("assistant", (Part("reasoning", content="Hm."),), finish_reason="length"),),
    ],
)
def test_nothing_to_read_and_nothing_to_do_fails(choices: tuple[Message, ...]) -> None:
    assert judged(*choices) == Evaluation("empty", 1.0, "fail", "no text")


@pytest.mark.parametrize("kind", ["tool_call", "server_tool_call", "blob", "uri", "file", "refusal", "generic"])
def test_what_is_not_text_is_something_too(kind: str) -> None:
    assert judged(Message("assistant", (Part(kind),))).score_label == "pass"  # type: ignore[arg-type]


def test_the_score_is_the_share_of_choices_with_a_problem() -> None:
    found = judged(answer("Hello!"), answer(""), answer("Dear {{name}},"), answer("Bye!"))
    assert found == Evaluation("empty", 0.5, "fail", "no text, template variable")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Dear {{ customer.name }}, thank you.", "template variable"),
        ("Hello {{#if name}}you{{/if}}", "template variable"),
        ("Dear {first_name},\nyour order is on its way.", "template variable"),
        ("Hallo {vorname}, Ihre Bestellung ist unterwegs.", "template variable"),
        ("Bonjour {prénom}, merci.", None),  # other letters are in nobody's variables
        ("Please call <insert phone number here>.", "text to insert"),
        ("Sincerely,\n[Your Name]", "unfilled blank"),
        ("Dear [Hiring Manager's Name],", "unfilled blank"),
        ("[Date]\n\nDear Sir,", "unfilled blank"),
        ("Mit freundlichen Grüßen\n[Ihr Name]", "unfilled blank"),
        ("Cordialement,\n[Votre nom]", "unfilled blank"),
        ("Atentamente,\n[Su nombre]", "unfilled blank"),
        ("С уважением,\n[Ваше имя]", "unfilled blank"),
        ("Lorem ipsum dolor sit amet.", "filler text"),
        ("The result is as follows.\nTODO: add the figures", "note to do"),
    ],
)
def test_placeholders_are_named_by_their_kind(text: str, kind: str | None) -> None:
    assert placeholder_in(text) == kind
    assert judged(answer(text)).score_label == ("fail" if kind else "pass")


@pytest.mark.parametrize(
    "text",
    [
        'Use this:\n```python\nprint(f"Hello {name}")\n# TODO: more\n```\nDone.',
        "Write `Dear {{name}}` and it is filled in.",
        json.dumps({"greeting": "{name}", "list": ["[Your Name]", "lorem ipsum"]}),
        json.dumps(["TODO: x", "{{name}}"]),
        r"The ratio \frac{ab}{cd} and x_{max} and \mathbb{{R}} of $\{ab\}$.",
        "GET https://api.example.com/users/{user_id}/orders returns them; so does /users/{user_id}.",
        'She read "Dear {name}" aloud.',
        "See [your dashboard](https://example.com) and [Date][1].",
        "Write to [EMAIL_1] or [PERSON_2].",
        "The set {1, 2} and the block { a: b }.",
        "My to-do list: milk, bread. Todo: eggs.",
        "It was sold [Smith 2020] for <5 and >3.",
        "",
    ],
)
def test_code_json_and_what_only_looks_like_one_pass(text: str) -> None:
    assert placeholder_in(text) is None


@pytest.mark.parametrize(
    "asked", ["Write a template for a letter", "Eine Vorlage bitte", "What does {{name}} mean?", "模板"]
)
def test_a_template_that_was_asked_for_has_placeholders(asked: str) -> None:
    assert judged(answer("Dear {{name}},"), asked=asked).score_label == "pass"
    assert judged(answer(""), asked=asked).score_label == "fail"


def test_placeholders_may_be_left_alone() -> None:
    assert judged(answer("Dear {{name}},"), placeholders=False).score_label == "pass"


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "embeddings"},
        {"complete": False},
        {"decode_error": "not_json"},
        {"output_messages": (answer("", "content_filter"),)},
        {"http": msgspec.structs.replace(an_exchange().http, status=500)},
        {"http": msgspec.structs.replace(an_exchange().http, status=None)},
    ],
)
def test_what_need_not_say_anything_is_none_of_its_business(changes: dict[str, object]) -> None:
    assert Empty().process(an_exchange(**({"output_messages": ()} | changes))) == ()


@pytest.mark.parametrize(
    "exchange", [an_exchange(content="off"), an_exchange(error_type="429"), an_exchange(decode_error="response_cut")]
)
def test_what_is_not_known_is_not_judged(exchange: Exchange) -> None:
    assert missing_input(Empty.requires, exchange)


@given(st.text(alphabet='{}[]<>abc_ \n:`"“|\ud800🙂', max_size=200))
def test_any_text_is_judged(text: str) -> None:
    assert judged(answer(text)).score_label in ("pass", "fail")


@pytest.mark.parametrize("unit", ["{{a", "{a ", "[your ", "<insert ", "TODO", "lorem ", "[[[{{{", '{"a":'])
def test_no_text_makes_it_slow(unit: str) -> None:
    started = time.perf_counter()
    placeholder_in(unit * 50_000)
    assert time.perf_counter() - started < 0.5

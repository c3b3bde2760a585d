"""Records cross borders unchanged, and say what an outcome is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import (
    Capture,
    EvaluatedExchange,
    Evaluation,
    Exchange,
    Message,
    Part,
    outcome_of,
    question_of,
    text_of,
)
from pipeline.records import tool_calls_of as calls_in
from tests.support.records import a_capture, an_evaluated_exchange, an_exchange, answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("record", [a_capture(), an_exchange(), an_evaluated_exchange()])
def test_a_record_survives_every_border(record: Any) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=type(record)) == record
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


@given(arguments=JSON, parameters=st.dictionaries(st.text(max_size=5), JSON, max_size=3), text=st.text(max_size=20))
def test_an_exchange_with_any_content_survives_the_journal(arguments: Any, parameters: Any, text: str) -> None:
    call = Part("tool_call", name=text, arguments=arguments)
    exchange = an_exchange(output_messages=(answer(text, None, call),), parameters=parameters, output_schema=arguments)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(exchange), type=Exchange) == exchange


@pytest.mark.parametrize("record", [a_capture(), an_exchange(), an_evaluated_exchange(), Evaluation("x"), Part("text")])
def test_a_record_cannot_be_changed(record: Any) -> None:
    field = record.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(record, field, getattr(record, field))


@pytest.mark.parametrize("kind", [Capture, Exchange, EvaluatedExchange])
def test_an_older_reader_ignores_a_field_it_does_not_know(kind: Any) -> None:
    record = {Capture: a_capture, Exchange: an_exchange, EvaluatedExchange: an_evaluated_exchange}[kind]()
    later = msgspec.to_builtins(record, builtin_types=(bytes,)) | {"from_the_future": 1}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(later), type=kind) == record


@pytest.mark.parametrize(
    ("evaluations", "outcome"),
    [
        ((), "scored"),
        ((Evaluation("a", 0.5),), "scored"),
        ((Evaluation("a", 0.5, "pass"),), "pass"),
        ((Evaluation("a", 0.5), Evaluation("b", 0.5, "pass")), "pass"),
        ((Evaluation("a", 0.5, "pass"), Evaluation("b", 0.5, "fail")), "fail"),
        ((Evaluation("a", 0.5, "fail"), Evaluation("b", error_type="timeout")), "error"),
        ((Evaluation("a", 0.5, "formal"),), "scored"),
    ],
)
def test_the_outcome_is_the_worst_that_was_said(evaluations: tuple[Evaluation, ...], outcome: str) -> None:
    assert outcome_of(evaluations) == outcome


def test_the_text_is_what_a_reader_sees() -> None:
    parts = (
        Part("reasoning", content="hm"),
        Part("text", content="one"),
        Part("text", content=""),
        Part("refusal", "no"),
    )
    assert text_of((Message("assistant", parts), answer("two"))) == "one\ntwo"


def test_tool_calls_come_in_order() -> None:
    first, second = Part("tool_call", name="a"), Part("tool_call", name="b")
    assert calls_in((answer("x", None, first), Message("assistant", (second,)))) == [first, second]


def test_the_question_is_what_the_user_said_last() -> None:
    messages = tuple(
        Message(role, (Part("text", content=role + text),))
        for role, text in (("user", "1"), ("user", "2"), ("assistant", "3"), ("tool", "4"))
    )
    assert question_of(an_exchange(input_messages=messages)) == "user2"
    assert question_of(an_exchange(input_messages=messages[2:])) == ""

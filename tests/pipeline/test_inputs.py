"""An evaluator is asked only about what it can judge."""

from __future__ import annotations

import pytest

from pipeline.inputs import INPUTS, missing_input
from pipeline.records import Exchange, Message, Part
from tests.support.records import an_exchange, answer

CALL = Message("assistant", (Part("tool_call", name="lookup", arguments={}),))
WHOLE = an_exchange(output_messages=(answer("Hello!"), CALL), context=("a document",), ground_truth="Hello!")


@pytest.mark.parametrize("name", INPUTS)
def test_a_whole_exchange_has_every_input(name: str) -> None:
    assert missing_input((name,), WHOLE) is None


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("genai", an_exchange(operation=None)),
        ("response", an_exchange(output_messages=())),
        ("response_text", an_exchange(output_messages=())),
        ("response_text", an_exchange(output_messages=(answer(""),))),
        ("response_text", an_exchange(content="off")),
        ("content", an_exchange(content="off")),
        ("content", an_exchange(operation=None)),
        ("tool_calls", an_exchange()),
        ("tool_calls", an_exchange(output_messages=(CALL,), content="off")),
        ("success", an_exchange(error_type="429")),
        ("whole_response", an_exchange(decode_error="response_cut")),
        ("context", an_exchange()),
        ("context", an_exchange(context=("a document",), content="off")),
    ],
)
def test_an_input_that_is_not_there_is_named(name: str, exchange: Exchange) -> None:
    assert missing_input((name,), exchange) == name


def test_the_first_missing_input_is_named() -> None:
    exchange = an_exchange(operation=None, output_messages=())
    assert missing_input(("success", "response", "genai"), exchange) == "response"
    assert missing_input((), exchange) is None

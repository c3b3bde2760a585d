from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.content import as_json, may_tell
from pipeline.records import Message, Part
from tests.support.records import an_exchange


@pytest.mark.parametrize(
    ("allowed", "exchange_has", "told"),
    [
        ("off", "full", False),
        ("off", "redacted", False),
        ("off", "off", False),
        ("redacted", "full", False),
        ("redacted", "redacted", True),
        ("redacted", "off", False),
        ("full", "full", True),
        ("full", "redacted", True),
        ("full", "off", False),
    ],
)
def test_an_exporter_is_never_looser_than_the_exchange(allowed: Any, exchange_has: Any, told: bool) -> None:
    assert may_tell(an_exchange(content=exchange_has), allowed) is told


def said(text: str, **more: Any) -> Message:
    return Message("user", (Part("text", content=text, **more),))


def test_messages_have_the_conventions_form() -> None:
    call = Part("tool_call", id="c1", name="get_weather", arguments={"city": "Paris"})
    told = as_json([Message("assistant", (Part("text", content="Hi"), call), finish_reason="tool_call")], 1000)
    assert told is not None
    assert not told.truncated
    assert json.loads(told.text) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Hi"},
                {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Paris"}},
            ],
            "finish_reason": "tool_call",
        }
    ]


def test_nothing_said_is_no_attribute() -> None:
    assert as_json((), 1000) is None


def test_a_long_text_is_cut_and_the_json_stays_valid() -> None:
    told = as_json([said("x" * 10_000)], 1000)
    assert told is not None
    assert told.truncated
    [message] = json.loads(told.text)
    text = message["parts"][0]["content"]
    assert 50 < len(text) < 1000
    assert set(text) == {"x"}


def test_the_newest_messages_are_kept_when_all_do_not_fit() -> None:
    told = as_json([said(f"message {number}") for number in range(100)], 500)
    assert told is not None
    assert told.truncated
    texts = [message["parts"][0]["content"] for message in json.loads(told.text)]
    assert texts == [f"message {number}" for number in range(100 - len(texts), 100)]
    assert len(texts) > 3


def test_lone_surrogates_do_not_lose_the_message() -> None:
    told = as_json([said("a\ud800b")], 1000)
    assert told is not None
    assert json.loads(told.text)[0]["parts"][0]["content"] == "a?b"


def test_arguments_nested_beyond_reason_lose_only_themselves() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    told = as_json([Message("assistant", (Part("tool_call", arguments=deep),)), said("fine")], 1000)
    assert told is not None
    assert told.truncated
    assert [message["parts"][0].get("content") for message in json.loads(told.text)] == ["fine"]
    while deep:  # taken apart by hand: freeing so deep a list at once is its own recursion
        deep = deep.pop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
    max_leaves=20,
)


@given(st.lists(st.builds(lambda t, a: Message("user", (Part("tool_call", name=t, arguments=a),)), st.text(), JSON)))
def test_whatever_was_said_the_text_is_valid_json_within_the_limit(messages: list[Message]) -> None:
    for limit in (64, 400):
        told = as_json(messages, limit)
        if told is not None:
            assert len(told.text) <= limit
            assert isinstance(json.loads(told.text), list)

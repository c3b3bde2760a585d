from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Exchange, Message, Part, Usage
from processors import usage
from processors.openai_tokens import Count, OpenAITokens
from processors.token_estimate import PRIOR, Regression, features_of
from processors.usage import (
    ALWAYS_LEARNED,
    ONE_IN,
    CountTokens,
    TokenCounter,
    input_features,
    input_texts,
    output_texts,
)
from tests.support.records import an_exchange, answer, reported

QUESTION = "What did the surveyors find when they measured the old bridge over the river last spring?"
ANSWER = "They found that it had sunk by two centimetres on one side, and they recommended a closer look. " * 3


def asked(text: str = QUESTION) -> tuple[Message, ...]:
    return (Message("user", (Part("text", content=text),)),)


def uncounted(**changes: Any) -> Exchange:
    """A call whose provider reported nothing."""
    given = {"input_messages": asked(), "output_messages": (answer(ANSWER),), "usage": Usage()} | changes
    return an_exchange(**given)


def completed(exchange: Exchange, counter: TokenCounter | None = None) -> Usage:
    return (counter or TokenCounter(estimate=True)).complete(exchange).usage


def test_what_the_provider_reported_is_left_alone() -> None:
    counter = TokenCounter(estimate=True)
    for counts in (reported(9, 3), reported(9), reported(None, 3), reported(input_characters=4)):
        exchange = an_exchange(usage=counts)
        assert counter.complete(exchange) is exchange


def test_what_nobody_reported_is_estimated_and_says_so() -> None:
    counts = completed(uncounted())
    assert counts == Usage(counts.input_tokens, counts.output_tokens, source="estimated")
    assert counts.input_tokens == pytest.approx(24, abs=5)
    assert counts.output_tokens == pytest.approx(66, abs=8)


def test_embeddings_have_no_output() -> None:
    counts = completed(uncounted(operation="embeddings", output_messages=()))
    assert counts.input_tokens == pytest.approx(17, abs=4)
    assert counts.output_tokens is None


@pytest.mark.parametrize(
    "changes",
    [
        {"error_type": "500", "output_messages": ()},
        {"error_type": "client_disconnect", "output_messages": ()},
        {"output_messages": ()},
        {"output_messages": (Message("assistant", (), finish_reason="content_filter"),)},
        {"operation": "fetch_response"},
        {"operation": "rerank"},
        {"operation": None},
        {"operation": "embeddings", "output_messages": (), "error_type": "429"},
    ],
)
def test_where_nothing_was_done_nothing_is_estimated(changes: dict[str, Any]) -> None:
    exchange = uncounted(**changes)
    assert TokenCounter(estimate=True).complete(exchange) is exchange


def test_a_stream_that_was_broken_off_is_estimated_from_what_was_seen() -> None:
    broken = completed(uncounted(error_type="client_disconnect", complete=False, output_messages=(answer("They"),)))
    assert broken.source == "estimated"
    assert broken.output_tokens == 1


def test_of_a_side_without_text_nothing_is_estimated() -> None:
    drawn = Message("assistant", (Part("blob", mime_type="image/png", size=9),))
    counts = completed(uncounted(output_messages=(drawn,)))
    assert counts.output_tokens is None
    assert counts.input_tokens
    shown = (Message("user", (Part("uri", uri="https://pictures.example/1.png"),)),)
    assert completed(uncounted(input_messages=shown)).input_tokens is None
    assert completed(uncounted(input_messages=shown, output_messages=(drawn,))) == Usage()


def test_the_option_turns_it_off() -> None:
    exchange = uncounted()
    assert CountTokens(estimate=False).counter().complete(exchange) is exchange


def test_an_estimate_is_not_estimated_again() -> None:
    counter = TokenCounter(estimate=True)
    once = counter.complete(uncounted())
    assert counter.complete(once) is once


def test_everything_that_was_asked_counts() -> None:
    call = Part("tool_call", id="1", name="weather", arguments={"city": "Oslo"})
    result = Part("tool_call_response", id="1", response="-3 degrees")
    exchange = uncounted(
        system_instructions=(Part("text", content="Be brief."),),
        input_messages=(
            *asked("How cold?"),
            Message("assistant", (Part("reasoning", content="not sent on"), call)),
            Message("tool", (result, Part("blob", mime_type="image/png", size=9))),
        ),
        tool_definitions=({"type": "function", "name": "weather"},),
        output_schema={"type": "object"},
    )
    assert list(input_texts(exchange)) == [
        "Be brief.",
        "How cold?",
        "weather",
        '{"city":"Oslo"}',
        "-3 degrees",
        '{"type":"function","name":"weather"}',
        '{"type":"object"}',
    ]
    assert list(input_features(exchange)[-2:]) == [4, 1]
    assert list(input_features(msgspec.structs.replace(exchange, operation="embeddings"))[-2:]) == [0, 0]


def test_everything_that_was_generated_counts() -> None:
    parts = (
        Part("reasoning", content="thought"),
        Part("refusal", content="no"),
        Part("tool_call", name="f", arguments="{not json"),
        Part("tool_call", name="g", arguments={"big": 2**70}),
        Part("generic", name="unknown"),
    )
    exchange = uncounted(output_messages=(Message("assistant", parts), answer("text")))
    assert list(output_texts(exchange)) == [
        "thought",
        "no",
        "f",
        "{not json",
        "g",
        "{'big': 1180591620717411303424}",
        "text",
    ]


def counted_by(factor: float, **changes: Any) -> Exchange:
    """A call of a model that makes `factor` times the tokens that the prior expects."""
    exchange = an_exchange(input_messages=asked(), output_messages=(answer(ANSWER),), **changes)
    came = round(factor * float(input_features(exchange) @ PRIOR))
    went = round(factor * float(features_of([ANSWER]) @ PRIOR))
    details = changes.get("usage", reported())
    return msgspec.structs.replace(
        exchange, usage=msgspec.structs.replace(details, input_tokens=came, output_tokens=went, source="provider")
    )


def ratio(counter: TokenCounter, **changes: Any) -> tuple[float, float]:
    """Input and output as estimated now, over what the prior says."""
    exchange = uncounted(**changes)
    now, before = completed(exchange, counter), completed(exchange)
    assert None not in (now.input_tokens, now.output_tokens, before.input_tokens, before.output_tokens)
    return now.input_tokens / before.input_tokens, now.output_tokens / before.output_tokens  # type: ignore[operator]


def test_a_model_is_learned_from_what_its_provider_reports() -> None:
    counter = TokenCounter(estimate=True)
    for _ in range(40):
        counter.complete(counted_by(1.6))
    assert ratio(counter) == pytest.approx((1.6, 1.6), rel=0.1)
    assert ratio(counter, response_model="another") == (1, 1)
    assert ratio(counter, provider="another") == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"decode_error": "response_cut"},
        {"error_type": "client_disconnect"},
        {"complete": False},
        {"usage": reported(audio__input_tokens=5)},
        {"usage": reported(image__output_tokens=5)},
        {"usage": reported(rejected_prediction__output_tokens=5)},
        {"usage": reported(web_searches=1)},
    ],
)
def test_counts_of_something_else_are_not_learned(changes: dict[str, Any]) -> None:
    counter = TokenCounter(estimate=True)
    for _ in range(20):
        counter.complete(counted_by(3, **changes))
    assert ratio(counter) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({"usage": reported(reasoning=30)}, "input"),
        ({"parameters": {"reasoning.level": "high"}}, "input"),
        ({"tool_definitions": ({"type": "function"},)}, "output"),
        ({"output_schema": {"type": "object"}}, "output"),
        ({"claims": {"previous_response_id": "resp_1"}}, "output"),
        ({"parameters": {"previous_response.id": "resp_1"}}, "output"),
        ({"conversation": "conv_1"}, "output"),
        ({"system_instructions": (Part("uri", uri="x"),)}, "output"),
    ],
)
def test_of_a_side_that_holds_more_than_its_text_nothing_is_learned(changes: dict[str, Any], side: str) -> None:
    regression = Regression()
    usage._learn_from(counted_by(2, **changes), regression)
    other = counted_by(2)
    learned = Regression()
    if side == "input":
        learned.learn(input_features(counted_by(2, **changes)), counted_by(2, **changes).usage.input_tokens or 0)
    else:
        learned.learn(features_of([ANSWER]), other.usage.output_tokens or 0)
    assert regression.observations == learned.observations == 1
    assert regression.estimate(features_of([ANSWER])) == learned.estimate(features_of([ANSWER]))


def test_cached_tokens_are_part_of_what_is_learned() -> None:
    regression = Regression()
    usage._learn_from(counted_by(2, usage=reported(cache_read=8)), regression)
    assert regression.observations == 2


def test_a_model_that_is_known_is_learned_only_now_and_then() -> None:
    counter = TokenCounter(estimate=True)
    exchange = counted_by(1)
    for _ in range(ALWAYS_LEARNED + 10 * ONE_IN):
        counter.complete(exchange)
    (learned,) = counter._models.values()
    assert learned.regression.observations < ALWAYS_LEARNED + 2 * 12


def test_models_that_are_known_are_bounded_and_the_longest_unused_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_MODELS", 3)
    counter = TokenCounter(estimate=True)
    for model in ("a", "b", "c", "a", "d"):
        counter.complete(an_exchange(response_model=model))
    assert [model for _, model in counter._models] == ["c", "a", "d"]


class Words(OpenAITokens):
    """One token for each word, for one model."""

    def count_for(self, model: str) -> Count | None:
        return (lambda text: len(text.split())) if model == "gpt-4o-2024-08-06" else None


def test_openais_tokenizer_counts_its_own_models() -> None:
    counter = TokenCounter(True, Words(Path()))
    exchange = uncounted(system_instructions=(Part("text", content="Be brief."),))
    words = len(QUESTION.split()), len(ANSWER.split())
    assert completed(exchange, counter) == Usage(2 + words[0] + 2 * 4 + 3, words[1], source="estimated")
    embedded = uncounted(operation="embeddings", output_messages=())
    assert completed(embedded, counter) == Usage(words[0], None, source="estimated")
    other = uncounted(response_model="claude")
    assert completed(other, counter) == completed(other)


def test_a_text_too_long_for_the_tokenizer_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_EXACT", len(QUESTION))
    counts = completed(uncounted(), TokenCounter(True, Words(Path())))
    assert counts.input_tokens == len(QUESTION.split()) + 7
    assert counts.output_tokens == completed(uncounted()).output_tokens


TEXT = st.text(max_size=50)
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | TEXT, st.lists, max_leaves=5)
PARTS = st.builds(
    Part,
    st.sampled_from(["text", "reasoning", "tool_call", "tool_call_response", "blob", "generic"]),
    content=st.none() | TEXT,
    name=st.none() | TEXT,
    arguments=JSON | st.dictionaries(TEXT, JSON, max_size=3),
    response=JSON,
)
MESSAGES = st.lists(st.builds(Message, st.just("user"), st.lists(PARTS, max_size=3).map(tuple)), max_size=3).map(tuple)
COUNTS = st.none() | st.integers(0, 2**53)
USAGES = st.just(Usage()) | st.builds(reported, COUNTS, COUNTS, reasoning=COUNTS)


@given(st.lists(st.tuples(MESSAGES, MESSAGES, USAGES), max_size=5))
def test_no_exchange_makes_it_fail(exchanges: list[tuple[Any, Any, Usage]]) -> None:
    counter = TokenCounter(estimate=True)
    for came, went, counts in exchanges:
        given = counter.complete(an_exchange(input_messages=came, output_messages=went, usage=counts)).usage
        assert given.source in ("provider", "estimated", "none")
        assert given.source != "estimated" or (given.input_tokens or 0) >= 0


STATUS = "gen_ai.response.status"


def in_background(status: str = "queued", **changes: Any) -> Exchange:
    """A call that is answered later."""
    return an_exchange(usage=Usage(), output_messages=(), attributes={STATUS: status}, **changes)


def fetched(status: str = "completed", **changes: Any) -> Exchange:
    """Its answer, fetched."""
    counts = Usage(9, 3, source="repeated")
    return an_exchange(usage=counts, operation="fetch_response", attributes={STATUS: status}, **changes)


@pytest.mark.parametrize("estimate", [True, False])
def test_an_answer_made_in_the_background_is_counted_by_the_first_who_fetches_it(estimate: bool) -> None:
    counter = TokenCounter(estimate=estimate)
    assert completed(in_background(), counter) == Usage()
    assert completed(fetched("in_progress"), counter) == Usage()
    assert completed(fetched(), counter) == reported(9, 3)
    assert completed(fetched(), counter) == Usage()


def test_an_answer_that_was_counted_when_it_was_made_is_not_counted_again() -> None:
    counter = TokenCounter(estimate=True)
    counter.complete(an_exchange())
    assert completed(fetched(), counter) == Usage()


def test_what_is_awaited_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_PROMISED", 2)
    counter = TokenCounter(estimate=True)
    for number in range(3):
        counter.complete(in_background(response_id=f"resp_{number}"))
    told = [completed(fetched(response_id=f"resp_{number}"), counter).source for number in range(3)]
    assert told == ["none", "provider", "provider"]

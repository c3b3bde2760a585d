"""Whose counts of tokens an exchange has: the provider's, else our own estimate, labelled so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import orjson

from pipeline.records import Exchange, Json, Message, Part, Usage
from processors.openai_tokens import Count, OpenAITokens, find_openai_tokens
from processors.token_estimate import Features, Regression, features_of

GENERATES: Final = frozenset(("chat", "text_completion", "generate_content"))
FRAMED: Final = frozenset(("chat", "generate_content"))  # the API puts something around every message
MOST_MODELS: Final = 256
MOST_PROMISED: Final = 10_000
STATUS: Final = "gen_ai.response.status"
UNFINISHED: Final = ("queued", "in_progress")
ALWAYS_LEARNED: Final = 64  # observations until a model is known, and then only
ONE_IN: Final = 32
FEWEST: Final = 8  # tokens; fewer say nothing about a tokenizer
MOST_EXACT: Final = 100_000  # characters; longer texts are estimated, which takes a tenth of the time
MESSAGE_TOKENS: Final = 4  # of OpenAI's chat format: around each message, with its role
REPLY_TOKENS: Final = 3
NOT_TEXT: Final = ("image.", "audio.", "video.", "document.", "tool_use.", "accepted_", "rejected_", "web_searches")


@dataclass(frozen=True, slots=True)
class CountTokens:
    """Estimates the tokens of a call whose provider reported none."""

    estimate: bool = True  # false: say nothing where the provider says nothing

    def counter(self) -> TokenCounter:
        """The stage with these options; it learns how each model counts."""
        return TokenCounter(self.estimate, find_openai_tokens() if self.estimate else None)


class TokenCounter:
    """Completes exchanges, and learns from those that need no completion."""

    def __init__(self, estimate: bool, openai: OpenAITokens | None = None) -> None:
        self._estimate = estimate
        self._openai = openai
        self._models: dict[tuple[str | None, str | None], Learned] = {}  # the longest unused first
        self._promised: dict[str | None, None] = {}  # responses whose tokens are still to be told, the oldest first

    def complete(self, exchange: Exchange) -> Exchange:
        """The exchange with its usage estimated from what was seen of it; itself where the provider reported, nothing
        was done, or nothing may be estimated."""
        if exchange.usage.source == "repeated":
            return msgspec.structs.replace(exchange, usage=self._once(exchange))
        if exchange.attributes.get(STATUS) in UNFINISHED and exchange.response_id:
            self._promise(exchange.response_id)
        if not self._estimate:
            return exchange
        if exchange.usage.source == "provider":
            self._learn(exchange)
            return exchange
        if exchange.usage.source == "estimated" or not _did_something(exchange):
            return exchange
        return msgspec.structs.replace(exchange, usage=self._estimated(exchange))

    def _promise(self, response_id: str) -> None:
        """An answer is being made in the background: whoever fetches it first brings its tokens."""
        self._promised.pop(response_id, None)
        self._promised[response_id] = None
        if len(self._promised) > MOST_PROMISED:
            del self._promised[next(iter(self._promised))]

    def _once(self, exchange: Exchange) -> Usage:
        """A fetched answer's tokens the first time, if it was made in the background; else they have been counted."""
        finished = exchange.attributes.get(STATUS) not in UNFINISHED
        if finished and exchange.response_id in self._promised:
            del self._promised[exchange.response_id]
            return msgspec.structs.replace(exchange.usage, source="provider")
        return Usage()

    def _learn(self, exchange: Exchange) -> None:
        key = (exchange.provider, exchange.response_model or exchange.request_model)
        learned = self._models.pop(key, None) or Learned()
        self._models[key] = learned
        if len(self._models) > MOST_MODELS:
            del self._models[next(iter(self._models))]
        if learned.wants_more():
            _learn_from(exchange, learned.regression)

    def _estimated(self, exchange: Exchange) -> Usage:
        """Of a side without any text nothing is known, least of all that it had no tokens."""
        model = exchange.response_model or exchange.request_model
        learned = self._models.get((exchange.provider, model))
        regression = learned.regression if learned else Regression()
        count = self._openai.count_for(model) if self._openai and model else None
        came, went = list(input_texts(exchange)), list(output_texts(exchange))
        tokens_in = _counted_input(exchange, count) or regression.estimate(input_features(exchange))
        tokens_out = _counted(went, count) or regression.estimate(features_of(went))
        if not any(came) and not any(went):
            return exchange.usage
        return Usage(
            input_tokens=tokens_in if any(came) else None,
            output_tokens=tokens_out if any(went) and exchange.operation in GENERATES else None,
            source="estimated",
        )


class Learned:
    """One model's regression, and how often it was offered something to learn from."""

    __slots__ = ("_offers", "regression")

    def __init__(self) -> None:
        self.regression = Regression()
        self._offers = 0

    def wants_more(self) -> bool:
        """Always at first, then now and then: learning takes longer than everything else here."""
        self._offers += 1
        return self.regression.observations < ALWAYS_LEARNED or self._offers % ONE_IN == 0


def _did_something(exchange: Exchange) -> bool:
    """Was anything generated, or embedded without an error?"""
    if exchange.operation in GENERATES:
        return any(message.parts for message in exchange.output_messages)
    return exchange.operation == "embeddings" and exchange.error_type is None and exchange.http.status is not None


def _learn_from(exchange: Exchange, regression: Regression) -> None:
    """Only where what was counted is what we have, all of it and nothing else."""
    usage = exchange.usage
    if exchange.decode_error or exchange.error_type or not exchange.complete:
        return
    if any(name.startswith(NOT_TEXT) and count for name, count in usage.details.items()):
        return
    if usage.output_tokens is not None and usage.output_tokens >= FEWEST and _answer_is_whole(exchange):
        regression.learn(features_of(output_texts(exchange)), usage.output_tokens)
    if usage.input_tokens is not None and usage.input_tokens >= FEWEST and _question_is_whole(exchange):
        regression.learn(input_features(exchange), usage.input_tokens)


def _answer_is_whole(exchange: Exchange) -> bool:
    """Nothing but text, and no thoughts that were counted and not shown."""
    hidden = exchange.usage.reasoning_output_tokens
    level = exchange.parameters.get("reasoning.level")
    if exchange.operation not in GENERATES or hidden or (hidden is None and level not in (None, "none")):
        return False
    return _only_text(exchange.output_messages)


def _question_is_whole(exchange: Exchange) -> bool:
    """Nothing but text, and nothing that the provider has kept from before or adds for tools and schemas."""
    if exchange.operation not in GENERATES and exchange.operation != "embeddings":
        return False
    if exchange.tool_definitions or exchange.output_schema is not None or exchange.conversation is not None:
        return False
    if "previous_response.id" in exchange.parameters or "previous_response_id" in exchange.claims:
        return False
    return _only_text(exchange.input_messages) and all(part.type == "text" for part in exchange.system_instructions)


def _only_text(messages: tuple[Message, ...]) -> bool:
    return bool(messages) and all(part.type == "text" for message in messages for part in message.parts)


def _counted(texts: Iterable[str], count: Count | None) -> int | None:
    """By the model's own tokenizer, where there is one and the texts are not too long for it."""
    texts = list(texts)
    if count is None or sum(map(len, texts)) > MOST_EXACT:
        return None
    return sum(map(count, texts))


def _counted_input(exchange: Exchange, count: Count | None) -> int | None:
    tokens = _counted(input_texts(exchange), count)
    if tokens is None or exchange.operation not in FRAMED:
        return tokens
    return tokens + MESSAGE_TOKENS * _messages(exchange) + REPLY_TOKENS


def input_features(exchange: Exchange) -> Features:
    """What was asked, with the framing of its API."""
    if exchange.operation not in FRAMED:
        return features_of(input_texts(exchange))
    return features_of(input_texts(exchange), messages=_messages(exchange), requests=1)


def _messages(exchange: Exchange) -> int:
    return len(exchange.input_messages) + bool(exchange.system_instructions)


def input_texts(exchange: Exchange) -> Iterator[str]:
    """Every text that was asked; earlier thoughts are not sent on to the model."""
    yield from _texts(exchange.system_instructions)
    for message in exchange.input_messages:
        yield from _texts(part for part in message.parts if part.type != "reasoning")
    yield from map(_as_text, exchange.tool_definitions)
    if exchange.output_schema is not None:
        yield _as_text(exchange.output_schema)


def output_texts(exchange: Exchange) -> Iterator[str]:
    """Every text that was generated, thoughts and calls of tools included."""
    for message in exchange.output_messages:
        yield from _texts(message.parts)


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    """What parts say; media say nothing, so that an estimate is a lower bound."""
    for part in parts:
        if part.content:
            yield part.content
        elif part.type == "tool_call":
            yield part.name or ""
            yield _as_text(part.arguments)
        elif part.response is not None:
            yield _as_text(part.response)
        elif part.server_tool_call_response is not None:
            yield _as_text(part.server_tool_call_response)


def _as_text(value: Json) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair, a number of more than 64 bits
        return repr(value)

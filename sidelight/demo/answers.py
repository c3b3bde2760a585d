"""What the simulated model says: a pure function from a request to an answer, with the faults it was asked for.

A request names its scenario and seed as `scenario:seed` in `user` (OpenAI) or `metadata.user_id` (Anthropic).
Without a name it gets a good answer whose seed is a hash of the prompt, so equal requests are answered alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal
from zlib import crc32

import orjson

from pipeline.records import Json
from sidelight.demo.topics import (
    CARDS,
    CLOSINGS,
    EMAILS,
    IBANS,
    LOOPS,
    OPENINGS,
    PERSONAL_DATA,
    REASONING,
    REFUSALS,
    TOPICS,
)

Finish = Literal["stop", "length", "tool_calls", "refusal"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is its JSON Schema."""

    name: str
    parameters: Json


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text, as the model wrote it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What matters of a request, in whichever format it came."""

    scenario: str
    seed: int
    prompt: str
    input_tokens: int
    limit: int | None = None  # most output tokens
    schema: Json = None  # JSON Schema the answer must satisfy
    tools: tuple[Tool, ...] = ()
    choices: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Times are seconds at speed 1."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    think: float = 0.5  # before the first chunk
    gap: float = 0.03  # between chunks
    cut: bool = False  # the connection closes half-way

    @property
    def reasoning_tokens(self) -> int:
        return len(pieces(self.reasoning))

    @property
    def output_tokens(self) -> int:
        arguments = sum(len(pieces(call.name + call.arguments)) for call in self.tool_calls)
        return max(1, len(pieces(self.text)) + self.reasoning_tokens + arguments)


@dataclass(frozen=True, slots=True)
class HttpError:
    """An answer that is no answer; `kind` and `code` are OpenAI's words, `anthropic_kind` Anthropic's."""

    status: int
    message: str
    kind: str
    anthropic_kind: str
    code: str | None = None
    retry_after: int | None = None  # s


ERRORS: Mapping[str, HttpError] = {
    "rate_limit": HttpError(
        429,
        "Rate limit reached: limit 30000 tokens per minute. Please try again in 2 s.",
        "tokens",
        "rate_limit_error",
        "rate_limit_exceeded",
        retry_after=2,
    ),
    "server_error": HttpError(
        500, "The server had an error while processing your request.", "server_error", "api_error"
    ),
}


def scenario_of(name: object, prompt: str) -> tuple[str, int]:
    """`pii:17` → ("pii", 17); anything else is a plain answer, seeded by the prompt."""
    match = re.fullmatch(r"([a-z_]+):(\d{1,9})", name) if isinstance(name, str) else None
    if match and (match[1] in SCENARIOS or match[1] in ERRORS):
        return match[1], int(match[2])
    return "answer", crc32(prompt.encode())


def pieces(text: str) -> list[str]:
    """Text in token-sized pieces; joined they are the text again."""
    return re.findall(r"\s*\w{1,7}|\s*[^\w\s]|\s+", text)


def chunks(text: str, tokens: int) -> list[str]:
    """Text in the lumps it is streamed in, `tokens` pieces each."""
    all_pieces = pieces(text)
    return ["".join(all_pieces[start : start + tokens]) for start in range(0, len(all_pieces), tokens)]


def text_in(content: Json) -> str:
    """The text of a message's content, which is a string, a list of parts, or null."""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return content or ""


def answers(ask: Ask) -> list[Answer]:
    """One answer for each choice asked for."""
    return [one_answer(ask, Random(f"{ask.seed}/{choice}")) for choice in range(ask.choices)]


def one_answer(ask: Ask, random: Random) -> Answer:
    answer = SCENARIOS[ask.scenario](ask, random)
    paced = replace(answer, think=answer.think * random.uniform(0.6, 1.6), gap=answer.gap * random.uniform(0.7, 1.4))
    return within_limit(paced, ask.limit)


def within_limit(answer: Answer, limit: int | None) -> Answer:
    """The answer cut off at `limit` tokens, reasoning counted; tool calls are left whole."""
    room = None if limit is None else max(0, limit - answer.reasoning_tokens)
    text = pieces(answer.text)
    if room is None or len(text) <= room:
        return answer
    return replace(answer, text="".join(text[:room]), finish="length")


def good_answer(ask: Ask, random: Random) -> Answer:
    """Whatever was asked for: a tool call, JSON, or prose."""
    if ask.tools:
        tool = random.choice(ask.tools)
        return Answer(
            tool_calls=(ToolCall(tool.name, json_text(an_instance(tool.parameters, random))),), finish="tool_calls"
        )
    if ask.schema is not None:
        return Answer(json_text(an_instance(ask.schema, random)))
    return Answer(prose(ask.prompt, random))


def reasoned_answer(ask: Ask, random: Random) -> Answer:
    thought = " ".join(random.sample(REASONING, 2)).format(topic=topic_of(ask.prompt, random))
    return replace(good_answer(ask, random), reasoning=thought, think=1.2)


def slow_answer(ask: Ask, random: Random) -> Answer:
    return replace(good_answer(ask, random), think=24.0)


def cut_answer(ask: Ask, random: Random) -> Answer:
    return replace(good_answer(ask, random), cut=True)


def refusal_by_field(ask: Ask, random: Random) -> Answer:
    return Answer(random.choice(REFUSALS), finish="refusal")


def refusal_in_words(ask: Ask, random: Random) -> Answer:
    return Answer(random.choice(REFUSALS))


def personal_answer(ask: Ask, random: Random) -> Answer:
    data = {"email": random.choice(EMAILS), "card": random.choice(CARDS), "iban": random.choice(IBANS)}
    return Answer(random.choice(PERSONAL_DATA).format(**data))


def looping_answer(ask: Ask, random: Random) -> Answer:
    return Answer(random.choice(OPENINGS) + " " + random.choice(LOOPS) * 30, gap=0.02)


def broken_json(ask: Ask, random: Random) -> Answer:
    """Unfinished, not matching the schema, or wrapped in talk."""
    whole = an_instance(ask.schema or {"type": "object"}, random)
    wrong = (
        json_text(whole)[:-2],
        json_text(without_first(whole)),
        f"Sure, here is the object you asked for:\n{json_text(whole)}\nLet me know if you need more.",
    )
    return Answer(wrong[ask.seed % len(wrong)])


def wrong_arguments(ask: Ask, random: Random) -> Answer:
    """A tool call that lacks an argument, or holds one of the wrong type."""
    tool = random.choice(ask.tools) if ask.tools else Tool("lookup", {"type": "object"})
    whole = an_instance(tool.parameters, random)
    wrong = without_first(whole) if ask.seed % 2 else {name: [value] for name, value in whole.items()}
    return Answer(tool_calls=(ToolCall(tool.name, json_text(wrong)),), finish="tool_calls")


SCENARIOS: Mapping[str, Callable[[Ask, Random], Answer]] = {
    "answer": good_answer,
    "reasoning": reasoned_answer,
    "slow": slow_answer,
    "cut": cut_answer,
    "refusal": refusal_by_field,
    "refusal_in_words": refusal_in_words,
    "pii": personal_answer,
    "repetition": looping_answer,
    "broken_json": broken_json,
    "wrong_arguments": wrong_arguments,
}


def topic_of(prompt: str, random: Random) -> str:
    known = [name for name in TOPICS if name in prompt.lower()]
    return random.choice(known or list(TOPICS))


def prose(prompt: str, random: Random) -> str:
    facts = random.sample(TOPICS[topic_of(prompt, random)].facts, random.randint(3, 6))
    return " ".join((random.choice(OPENINGS), *facts, random.choice(CLOSINGS)))


def json_text(value: Json) -> str:
    return orjson.dumps(value).decode()


def without_first(value: Mapping[str, Json]) -> dict[str, Json]:
    return dict(list(value.items())[1:])


WORDS = ("morning", "window", "copper", "river", "paper", "lantern", "orchard", "signal")
KNOWN_STRINGS: Mapping[str, tuple[str, ...]] = {
    "city": ("Lisbon", "Oslo", "Turin", "Kyoto", "Gdansk"),
    "country": ("Portugal", "Norway", "Italy", "Japan", "Poland"),
    "date": ("2026-03-14", "2026-05-02", "2026-09-30"),
    "title": ("A walk through the old town", "Fixing the chain", "Bread for beginners"),
    "summary": ("Three short steps, none of them expensive.", "Check the simple causes before the rare ones."),
}


def an_instance(schema: Json, random: Random, name: str = "") -> Json:
    """A value that satisfies a plain JSON Schema: types, enum, properties, items; no references or combinations."""
    if "enum" in schema:
        return random.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: an_instance(properties[key], random, key) for key in properties}
        case "array":
            return [an_instance(schema.get("items", {}), random, name) for _ in range(random.randint(1, 3))]
        case "integer":
            return random.randint(schema.get("minimum", 1), schema.get("maximum", 9))
        case "number":
            return round(random.uniform(schema.get("minimum", 0), schema.get("maximum", 1)), 2)
        case "boolean":
            return random.random() < 0.5
        case _:
            return random.choice(KNOWN_STRINGS.get(name, WORDS))

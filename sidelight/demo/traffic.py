"""The demo's clients: a varied mix of calls, the same on every run, sent through Sidelight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Literal

import aiohttp

from pipeline.records import Json
from sidelight.demo.topics import ACCOUNT_QUESTIONS, FORBIDDEN, TOPICS

Format = Literal["openai", "anthropic"]

FORMATS: tuple[Format, ...] = ("openai", "openai", "anthropic")
PATHS: Mapping[Format, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MODELS: Mapping[Format, tuple[str, ...]] = {
    "openai": ("gpt-4.1-mini", "gpt-4.1-mini", "gpt-4o"),
    "anthropic": ("claude-sonnet-4-5", "claude-haiku-4-5"),
}
HEADERS: Mapping[Format, Mapping[str, str]] = {
    "openai": {"Authorization": "Bearer demo"},
    "anthropic": {"x-api-key": "demo", "anthropic-version": "2023-06-01"},
}
CALL_TIMEOUT = aiohttp.ClientTimeout(total=60)
CHUNKS_BEFORE_LEAVING = 2
SYSTEM = (
    "You are the assistant of a small neighbourhood centre. Visitors ask about bicycles, bread, travel, gardens, "
    "spreadsheets and the centre's own web site. Answer in plain words and at most eight sentences. Name the likely "
    "cause before the rare one. Say what something costs when you know it. When a question is about money, a contract "
    "or health, say where to get proper advice. Never make up a source. Use metric units, the 24-hour clock and dates "
    "such as 14 March 2026. If you are not sure, say so in one short sentence and suggest how to find out."
)
TOOLS: tuple[Json, ...] = (
    {
        "name": "get_weather",
        "description": "The weather in a city on a date.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "date": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "date"],
            "additionalProperties": False,
        },
    },
    {
        "name": "find_trains",
        "description": "Train connections to a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "passengers": {"type": "integer", "minimum": 1, "maximum": 6},
                "first_class": {"type": "boolean"},
            },
            "required": ["city", "passengers"],
            "additionalProperties": False,
        },
    },
)
TOOL_QUESTIONS = (
    "What will the weather be like on my travel to Oslo in May?",
    "Find me a train to Turin for two people, please.",
    "Should I take an umbrella to Kyoto on Saturday?",
)
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "summary": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "minutes": {"type": "integer", "minimum": 1, "maximum": 90},
    },
    "required": ["title", "summary", "tags", "minutes"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of call. `behaviour` is the simulator's name for its part; `weight` is the share of the traffic."""

    weight: float
    behaviour: str = "answer"
    asks: Literal["text", "tools", "json"] = "text"
    questions: tuple[str, ...] = ()  # none: any topic's
    format: Format | None = None  # None: either
    stream: bool | None = None  # None: either
    choices: int = 1
    max_tokens: int = 1024
    leaves: bool = False  # the client goes away in the middle of the stream


SCENARIOS: Mapping[str, Scenario] = {
    "answer": Scenario(34),
    "choices": Scenario(4, format="openai", choices=3),
    "reasoning": Scenario(6, "reasoning"),
    "tools": Scenario(9, asks="tools", questions=TOOL_QUESTIONS),
    "json": Scenario(9, asks="json"),
    "refusal": Scenario(4, "refusal", questions=FORBIDDEN),
    "refusal_in_words": Scenario(4, "refusal_in_words", questions=FORBIDDEN),
    "pii": Scenario(5, "pii", questions=ACCOUNT_QUESTIONS),
    "max_tokens": Scenario(4, max_tokens=24),
    "cut": Scenario(3, "cut", stream=True),
    "slow": Scenario(3, "slow"),
    "repetition": Scenario(3, "repetition"),
    "broken_json": Scenario(4, "broken_json", asks="json"),
    "wrong_arguments": Scenario(4, "wrong_arguments", asks="tools", questions=TOOL_QUESTIONS),
    "rate_limit": Scenario(2, "rate_limit"),
    "server_error": Scenario(2, "server_error"),
    "leaves": Scenario(3, stream=True, leaves=True),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to send."""

    scenario: str
    format: Format
    body: Json
    leaves: bool


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the client saw. `status` is None when no answer began; `error` names what went wrong on the wire."""

    scenario: str
    format: Format
    status: int | None
    error: str | None = None
    left: bool = False


def planned(calls: int) -> list[Call]:
    """The first `calls` calls of the one fixed plan; each scenario gets its share of any prefix."""
    return list(islice(plan(), calls))


def plan() -> Iterator[Call]:
    """Calls without end."""
    return (a_call(name, seed) for seed, name in enumerate(scenario_names()))


def scenario_names() -> Iterator[str]:
    """Scenarios without end, always the one that is furthest behind its share."""
    random = Random("traffic")
    behind = {name: random.random() * 100 for name in SCENARIOS}
    total = sum(scenario.weight for scenario in SCENARIOS.values())
    while True:
        for name, scenario in SCENARIOS.items():
            behind[name] += scenario.weight
        chosen = max(behind, key=lambda name: behind[name])
        behind[chosen] -= total
        yield chosen


def a_call(name: str, seed: int) -> Call:
    scenario = SCENARIOS[name]
    random = Random(f"{name}/{seed}")
    chosen = random.choice(FORMATS) if scenario.format is None else scenario.format
    question = random.choice(scenario.questions or TOPICS[random.choice(list(TOPICS))].questions)
    body = BODIES[chosen](scenario, question, f"{scenario.behaviour}:{seed}", random)
    if scenario.stream or (scenario.stream is None and random.random() < 0.6):
        body["stream"] = True
        if chosen == "openai" and random.random() < 0.8:
            body["stream_options"] = {"include_usage": True}
    return Call(name, chosen, body, scenario.leaves)


def openai_body(scenario: Scenario, question: str, user: str, random: Random) -> dict[str, Json]:
    messages = [{"role": "user", "content": question}]
    if random.random() < 0.7:
        messages.insert(0, {"role": "system", "content": SYSTEM})
    body: dict[str, Json] = {"model": random.choice(MODELS["openai"]), "messages": messages, "user": user}
    body |= {"max_tokens": scenario.max_tokens, "temperature": random.choice((0.2, 0.7, 1.0))}
    if scenario.choices > 1:
        body["n"] = scenario.choices
    if scenario.asks == "tools":
        body["tools"] = [{"type": "function", "function": tool} for tool in TOOLS]
    if scenario.asks == "json":
        json_schema = {"name": "article", "strict": True, "schema": SCHEMA}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    return body


def anthropic_body(scenario: Scenario, question: str, user: str, random: Random) -> dict[str, Json]:
    body: dict[str, Json] = {
        "model": random.choice(MODELS["anthropic"]),
        "max_tokens": scenario.max_tokens,
        "messages": [{"role": "user", "content": question}],
        "metadata": {"user_id": user},
    }
    if random.random() < 0.7:
        body["system"] = SYSTEM
    if scenario.asks == "tools":
        body["tools"] = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in TOOLS
        ]
    if scenario.asks == "json":
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return body


BODIES: Mapping[Format, Callable[[Scenario, str, str, Random], dict[str, Json]]] = {
    "openai": openai_body,
    "anthropic": anthropic_body,
}


async def send(
    base_url: str, calls: int, concurrency: int, on_done: Callable[[CallResult], object]
) -> list[CallResult]:
    """Send the plan's first `calls` calls, at most `concurrency` at a time; `on_done` hears of each as it ends.

    What goes wrong in a call is in its result; nothing is raised for it.
    """
    results: list[CallResult] = []

    async def heard(result: CallResult) -> None:
        results.append(result)
        on_done(result)

    await send_each(base_url, islice(plan(), calls), concurrency, heard)
    return results


async def send_each(
    base_url: str, calls: Iterator[Call], concurrency: int, after: Callable[[CallResult], Awaitable[object]]
) -> None:
    """Send these calls from `concurrency` clients; each awaits `after` of its call before it makes the next."""

    async def client(session: aiohttp.ClientSession) -> None:
        for call in calls:
            await after(await send_one(session, base_url, call))

    async with aiohttp.ClientSession(timeout=CALL_TIMEOUT) as session, asyncio.TaskGroup() as clients:
        for _ in range(concurrency):
            clients.create_task(client(session))


async def send_one(session: aiohttp.ClientSession, base_url: str, call: Call) -> CallResult:
    status: int | None = None
    error: str | None = None
    left = False
    try:
        url, headers = base_url + PATHS[call.format], HEADERS[call.format]
        async with session.post(url, json=call.body, headers=headers) as response:
            status = response.status
            left = await receive(response, call.leaves)
    except (aiohttp.ClientError, TimeoutError) as problem:
        error = type(problem).__name__
    return CallResult(call.scenario, call.format, status, error, left)


async def receive(response: aiohttp.ClientResponse, leaves: bool) -> bool:
    """Read the answer to its end, or close the connection after a few chunks; whether it was closed."""
    count = 0
    async for _ in response.content.iter_any():
        count += 1
        if leaves and count == CHUNKS_BEFORE_LEAVING:
            response.close()
            return True
    return False

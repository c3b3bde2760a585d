"""What the Python client programs share: jobs on standard input, and what the client saw of each as a JSON line."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

EARLY = 3  # events read before a stream is closed early
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STREAMED = ("stream", "tools_stream", "early_close", "cut")


class Person(BaseModel):
    name: str
    age: int


@dataclass
class Job:
    """One thing to do, and what to do it with."""

    api: str
    scenario: str
    prompt: str
    model: str
    headers: dict[str, str]

    @property
    def streamed(self) -> bool:
        return self.scenario in STREAMED

    @property
    def with_tools(self) -> bool:
        return self.scenario in ("tools", "tools_stream")

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": self.prompt}]

    def enough(self, seen: Seen) -> bool:
        """Is it time to close the stream early?"""
        return self.scenario == "early_close" and len(seen.events) >= EARLY


@dataclass
class Seen:
    """Everything the client made of an answer: the summary, and below it every object whole, in order."""

    text: str = ""
    tool_calls: list[Any] = field(default_factory=list)  # [name, arguments as text]
    finish: str | None = None
    usage: tuple[int, int] | None = None  # input, output tokens as the client tells them
    events: list[Any] = field(default_factory=list)
    result: Any = None
    error: Any = None

    def add(self, event: Any) -> None:
        self.events.append(plain(event))

    def count(self, input_tokens: int | None, output_tokens: int | None) -> None:
        if input_tokens is not None and output_tokens is not None:
            self.usage = input_tokens, output_tokens

    def call(self, position: int, name: str | None, arguments: str | None) -> None:
        """A piece of the tool call at this position, counted from 0."""
        while len(self.tool_calls) <= position:
            self.tool_calls.append(["", ""])
        self.tool_calls[position][0] += name or ""
        self.tool_calls[position][1] += arguments or ""


def plain(value: Any) -> Any:
    """Any object of an SDK as JSON has it."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", warnings=False))
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else plain_object(value)


def plain_object(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "__dict__"):
        return {"": type(value).__name__} | plain({k: v for k, v in vars(value).items() if not k.startswith("_")})
    return str(value)


def told(error: BaseException) -> dict[str, Any]:
    """An exception: class, HTTP status where it has one, message, and what caused it."""
    status = getattr(error, "status_code", getattr(error, "code", None))
    cause = error.__cause__ or error.__context__
    return {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "status": status if isinstance(status, int) else None,
        "message": str(error),
        "body": plain(getattr(error, "body", None)),
        "cause": type(cause).__name__ if cause else None,
    }


async def settled(value: Any) -> Any:
    """The value itself, whether the client is synchronous or not."""
    return await value if inspect.isawaitable(value) else value


async def each(stream: Any) -> AsyncIterator[Any]:
    """The items of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


Call = Callable[[Job, Seen], Awaitable[None]]


async def outcome(job: Job, call: Call) -> Seen:
    seen = Seen()
    try:
        async with asyncio.timeout(60):
            await call(job, seen)
    except Exception as error:
        seen.error = told(error)
    return seen


async def serve(calls: dict[str, Call]) -> None:
    """Do every job in turn with the call of its API."""
    for line in sys.stdin:
        job = Job(**json.loads(line))
        seen = await outcome(job, calls[job.api])
        print(json.dumps({"api": job.api, "scenario": job.scenario} | vars(seen)), flush=True)

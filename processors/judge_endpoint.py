"""Asks a model over HTTP, in the words of OpenAI's chat completions or of Anthropic's messages.

What an endpoint does not know (a schema for answers, a temperature, `max_tokens`) it says with a 400; then the request
is made again without it and, if that is answered, so are all after it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from math import exp
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
import orjson
from msgspec import Meta, Struct

from pipeline.errors import Permanent, Retryable
from pipeline.own_calls import USER_AGENT
from pipeline.retry_after import seconds_until
from processors.judge_answer import Token

Api = Literal["openai", "anthropic"]
Count = Annotated[int, Meta(ge=0)]
RETRYABLE: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
LONGEST_ANSWER: Final = 4 * 2**20  # bytes
ALTERNATIVES: Final = 20  # tokens whose probabilities are asked for
TOOL: Final = "verdict"
NOT_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {  # what we ask for → words by which an endpoint says that it cannot
    "schema": ("response_format", "json_schema", "schema", "tool_choice", "tools"),
    "logprobs": ("logprobs",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}

log = logging.getLogger("sidelight.judges")


class Ask(NamedTuple):
    """A system message, and what was said since: role → text, the user's first."""

    system: str
    turns: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any]
    logprobs: bool = False


class Reply(NamedTuple):
    """What the model wrote; tokens None where the endpoint did not count."""

    text: str
    input_tokens: int | None
    output_tokens: int | None
    tokens: tuple[Token, ...] = ()
    cut: bool = False  # at max_tokens


class Endpoint:
    """An async context manager. Never tells a header's value, nor what was asked."""

    def __init__(
        self,
        api: Api,
        url: str,
        model: str,
        headers: Mapping[str, str],
        parameters: Mapping[str, Any],
        max_tokens: int,
        timeout: float,
    ) -> None:
        self._api = api
        self._url = address(url, api)
        self._model = model
        ours = {"content-type": "application/json", "user-agent": USER_AGENT}
        self._headers = {name.lower(): value for name, value in headers.items()} | ours
        self._parameters = parameters
        self._max_tokens = max_tokens
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._unknown: set[str] = set()  # of NOT_KNOWN, to this endpoint

    async def __aenter__(self) -> Endpoint:
        self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, ask: Ask) -> Reply:
        """One answer; raises Retryable or Permanent."""
        left_out = frozenset(self._unknown)
        while True:
            status, body, retry_after = await self._post(BODIES[self._api](self, ask, left_out))
            if 200 <= status < 300:
                self._remember(left_out)
                return self._reply(body)
            if status in (400, 422) and (unknown := complaint(body, self._asked(ask) - left_out)):
                left_out |= {unknown}
                continue
            message = f"HTTP {status}"
            raise Retryable(message, seconds_until(retry_after)) if status in RETRYABLE else Permanent(message)

    async def _post(self, body: Any) -> tuple[int, bytes, str | None]:
        data = await asyncio.to_thread(orjson.dumps, body)
        try:
            async with self._session.post(
                self._url, data=data, headers=self._headers, allow_redirects=False
            ) as response:
                answer = await response.content.read(LONGEST_ANSWER)
                while piece := await response.content.read(LONGEST_ANSWER - len(answer)):
                    answer += piece
                return response.status, answer, response.headers.get("Retry-After")
        except TimeoutError as error:
            raise Retryable("timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(type(error).__name__) from error

    def _asked(self, ask: Ask) -> set[str]:
        """What of NOT_KNOWN a request holds."""
        asked = {"schema"} | ({"temperature"} & self._parameters.keys())
        if self._api == "openai":
            asked |= {"max_tokens", "logprobs"} if ask.logprobs else {"max_tokens"}
        return asked

    def _remember(self, left_out: frozenset[str]) -> None:
        """It has answered a request without these."""
        if news := left_out - self._unknown:
            log.warning("%s does not take %s and is asked without", self._url, ", ".join(sorted(news)))
            self._unknown |= news

    def _reply(self, body: bytes) -> Reply:
        try:
            return REPLIES[self._api](body)
        except (ValueError, RecursionError):  # its text could quote the answer
            raise Permanent("not an answer of this API") from None

    def openai_body(self, ask: Ask, left_out: frozenset[str]) -> dict[str, Any]:
        messages = [{"role": "system", "content": ask.system}]
        messages += [{"role": role, "content": text} for role, text in ask.turns]
        limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
        body: dict[str, Any] = {"model": self._model, "messages": messages, limit: self._max_tokens}
        if "schema" not in left_out:
            form = {"name": TOOL, "strict": True, "schema": ask.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if ask.logprobs and "logprobs" not in left_out:
            body |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
        return body | self._own_parameters(left_out)

    def anthropic_body(self, ask: Ask, left_out: frozenset[str]) -> dict[str, Any]:
        turns = [{"role": role, "content": text} for role, text in ask.turns]
        body: dict[str, Any] = {
            "model": self._model,
            "system": ask.system,
            "messages": turns,
            "max_tokens": self._max_tokens,
        }
        if "schema" not in left_out:
            body["tools"] = [{"name": TOOL, "description": "Give the verdict.", "input_schema": ask.schema}]
            body["tool_choice"] = {"type": "tool", "name": TOOL}
        return body | self._own_parameters(left_out)

    def _own_parameters(self, left_out: frozenset[str]) -> dict[str, Any]:
        return {name: value for name, value in self._parameters.items() if name not in left_out}


class Piece(Struct):
    """A part of what was written, in either API."""

    type: str = ""
    text: str | None = None
    input: Any = None  # Anthropic's, of a tool that was called


class Alternative(Struct):
    token: str
    logprob: float


class Written(Struct):
    token: str
    top_logprobs: list[Alternative] | None = None


class Probabilities(Struct):
    content: list[Written] | None = None


class OpenAIMessage(Struct):
    content: str | list[Piece] | None = None


class Choice(Struct):
    message: OpenAIMessage
    finish_reason: str | None = None
    logprobs: Probabilities | None = None


class OpenAIUsage(Struct):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class OpenAIAnswer(Struct):
    """What is read of a chat completion."""

    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: OpenAIUsage | None = None


class AnthropicUsage(Struct):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None


class AnthropicAnswer(Struct):
    """What is read of a message."""

    content: list[Piece]
    usage: AnthropicUsage | None = None
    stop_reason: str | None = None


def openai_reply(body: bytes) -> Reply:
    told = msgspec.json.decode(body, type=OpenAIAnswer)
    choice, usage = told.choices[0], told.usage or OpenAIUsage()
    content, listed = choice.message.content or "", choice.logprobs.content if choice.logprobs else None
    text = content if isinstance(content, str) else text_of(content)
    tokens = tuple(
        Token(each.token, {other.token: exp(min(other.logprob, 0.0)) for other in each.top_logprobs or ()})
        for each in listed or ()
    )
    return Reply(text, usage.prompt_tokens, usage.completion_tokens, tokens, cut=choice.finish_reason == "length")


def anthropic_reply(body: bytes) -> Reply:
    told = msgspec.json.decode(body, type=AnthropicAnswer)
    usage = told.usage or AnthropicUsage()
    given = [json.dumps(each.input) for each in told.content if each.type == "tool_use"]
    counted = usage.input_tokens
    if counted is not None:
        counted += (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    text = "".join(given) or text_of(told.content)
    return Reply(text, counted, usage.output_tokens, cut=told.stop_reason == "max_tokens")


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(each.text or "" for each in pieces if each.type == "text")


BODIES: Final[Mapping[Api, Callable[[Endpoint, Ask, frozenset[str]], Any]]] = {
    "openai": Endpoint.openai_body,
    "anthropic": Endpoint.anthropic_body,
}
REPLIES: Final[Mapping[Api, Callable[[bytes], Reply]]] = {"openai": openai_reply, "anthropic": anthropic_reply}


def complaint(body: bytes, asked: Set[str]) -> str | None:
    """What of this the endpoint does not know, by what it says."""
    said = body.decode("utf-8", "replace")
    named = (name for name, words in NOT_KNOWN.items() if name in asked and any(word in said for word in words))
    return next(named, "schema" if "schema" in asked else None)  # the likeliest, where it does not say


def address(url: str, api: Api) -> str:
    """Where to ask: a base URL as the API's own SDK takes it, or the bare host."""
    base = url.rstrip("/")
    versioned = bool(urlsplit(base).path) if api == "openai" else base.endswith("/v1")
    return base + ("" if versioned else "/v1") + ("/chat/completions" if api == "openai" else "/messages")


def credentials(api: Api, key: str) -> dict[str, str]:
    """The headers in which the API wants its key."""
    if api == "anthropic":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"Authorization": f"Bearer {key}"}


def turns(*texts: str) -> tuple[tuple[str, str], ...]:
    """Texts of user and assistant in turn, the user's first."""
    return tuple(("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))

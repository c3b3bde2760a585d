"""Asks a model over HTTP, in the words of OpenAI's chat completions or of Anthropic's messages.

What an endpoint does not know (a schema for answers, a temperature, `max_tokens`) it says with a 400; then the request
is made again without it, and so are all after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from math import exp
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson

from pipeline.errors import Permanent, Retryable
from pipeline.own_calls import USER_AGENT
from pipeline.retry_after import seconds_until
from processors.judge_answer import Token

Api = Literal["openai", "anthropic"]
RETRYABLE: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
LONGEST_ANSWER: Final = 4 * 2**20  # bytes
LONGEST_MESSAGE: Final = 200  # characters of what an endpoint complains of
ALTERNATIVES: Final = 20  # tokens whose probabilities are asked for
TOOL: Final = "verdict"
NOT_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {  # what we ask for → words by which an endpoint says that it cannot
    "schema": ("response_format", "json_schema", "schema", "tool_choice", "tools"),
    "logprobs": ("logprobs",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}


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
        self._headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers}
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
        while True:
            status, body, retry_after = await self._post(BODIES[self._api](self, ask))
            if 200 <= status < 300:
                return self._reply(body)
            said = body.decode("utf-8", "replace")
            if status in (400, 422) and (unknown := self._complains_of(said, ask)):
                self._unknown.add(unknown)
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

    def _complains_of(self, said: str, ask: Ask) -> str | None:
        """What of the request the endpoint does not know, and was not left out before."""
        asked = [name for name in NOT_KNOWN if name not in self._unknown and (name != "logprobs" or ask.logprobs)]
        named = next((name for name in asked if any(word in said for word in NOT_KNOWN[name])), None)
        return named or ("schema" if "schema" in asked else None)  # the likeliest, where it does not say

    def _reply(self, body: bytes) -> Reply:
        try:
            told = orjson.loads(body)
            return REPLIES[self._api](told)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Permanent("not an answer of this API") from error

    def openai_body(self, ask: Ask) -> dict[str, Any]:
        messages = [{"role": "system", "content": ask.system}]
        messages += [{"role": role, "content": text} for role, text in ask.turns]
        limit = "max_completion_tokens" if "max_tokens" in self._unknown else "max_tokens"
        body: dict[str, Any] = {"model": self._model, "messages": messages, limit: self._max_tokens}
        if "schema" not in self._unknown:
            form = {"name": TOOL, "strict": True, "schema": ask.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if ask.logprobs and "logprobs" not in self._unknown:
            body |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
        return body | self._own_parameters()

    def anthropic_body(self, ask: Ask) -> dict[str, Any]:
        turns = [{"role": role, "content": text} for role, text in ask.turns]
        body: dict[str, Any] = {
            "model": self._model,
            "system": ask.system,
            "messages": turns,
            "max_tokens": self._max_tokens,
        }
        if "schema" not in self._unknown:
            body["tools"] = [{"name": TOOL, "description": "Give the verdict.", "input_schema": ask.schema}]
            body["tool_choice"] = {"type": "tool", "name": TOOL}
        return body | self._own_parameters()

    def _own_parameters(self) -> dict[str, Any]:
        return {name: value for name, value in self._parameters.items() if name not in self._unknown}


def openai_reply(told: Any) -> Reply:
    choice, usage = told["choices"][0], told.get("usage") or {}
    listed = (choice.get("logprobs") or {}).get("content") or ()
    tokens = tuple(
        Token(each["token"], {other["token"]: exp(other["logprob"]) for other in each.get("top_logprobs") or ()})
        for each in listed
    )
    text = choice["message"].get("content") or ""
    return Reply(text, usage.get("prompt_tokens"), usage.get("completion_tokens"), tokens)


def anthropic_reply(told: Any) -> Reply:
    usage = told.get("usage") or {}
    pieces = [json.dumps(each["input"]) for each in told["content"] if each.get("type") == "tool_use"]
    pieces = pieces or [each["text"] for each in told["content"] if each.get("type") == "text"]
    cached = sum(usage.get(name) or 0 for name in ("cache_creation_input_tokens", "cache_read_input_tokens"))
    counted = usage.get("input_tokens")
    return Reply("".join(pieces), None if counted is None else counted + cached, usage.get("output_tokens"))


BODIES: Final[Mapping[Api, Callable[[Endpoint, Ask], Any]]] = {
    "openai": Endpoint.openai_body,
    "anthropic": Endpoint.anthropic_body,
}
REPLIES: Final[Mapping[Api, Callable[[Any], Reply]]] = {"openai": openai_reply, "anthropic": anthropic_reply}


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


def tokens_of(replies: Sequence[Reply]) -> tuple[int, int]:
    """(input, output), as far as they were counted."""
    return sum(each.input_tokens or 0 for each in replies), sum(each.output_tokens or 0 for each in replies)

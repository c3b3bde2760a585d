"""A model that judges as it is told: an endpoint in the words of OpenAI or Anthropic, with every request at hand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import log
from typing import Any

from aiohttp import web

Body = dict[str, Any]
Answer = web.Response | str  # a response as it is, or what the model writes
Script = Callable[[Body], Answer]


@dataclass
class JudgeEndpoint:
    """What is answered to each request, and what was asked."""

    script: Script
    url: str = ""
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    held: asyncio.Event | None = None  # answers wait for it
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    most_at_once: int = 0
    _now: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append({name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers})
        self.asked.set()
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self.held is not None:
                await self.held.wait()
            answered = self.script(body)
        finally:
            self._now -= 1
        if isinstance(answered, web.Response):
            return answered
        form = openai if request.path.endswith("/chat/completions") else anthropic
        return web.json_response(form(answered, body))


def openai(text: str, body: Body, finish_reason: str = "stop") -> Body:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-judge",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550},
    }


def anthropic(text: str, body: Body, stop_reason: str = "end_turn") -> Body:
    block = {"type": "text", "text": text}
    if "tools" in body:
        block = {"type": "tool_use", "id": "t1", "name": "verdict", "input": json.loads(text)}
    return {
        "id": "msg_judge",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 400, "cache_read_input_tokens": 100, "output_tokens": 50},
    }


def weighed(score: int, probabilities: Mapping[str, float], body: Body) -> Body:
    """A score that comes first, with what it could have been instead."""
    completion = openai(json.dumps({"score": score, "reason": "So."}), body)
    pieces = ('{"', "score", '": ', str(score), ', "reason": "So."}')
    alternatives = [{"token": text, "logprob": log(chance), "bytes": None} for text, chance in probabilities.items()]
    completion["choices"][0]["logprobs"] = {
        "refusal": None,
        "content": [
            {"token": piece, "logprob": 0.0, "bytes": None, "top_logprobs": alternatives if piece.isdecimal() else []}
            for piece in pieces
        ],
    }
    return completion


def refusing(*words: str, script: Script) -> Script:
    """Answers 400 to a request that holds one of these, naming it as OpenAI does."""

    def answer(body: Body) -> Answer:
        unknown = next((word for word in words if word in body), None)
        if unknown is None:
            return script(body)
        error = {"message": f"Unsupported parameter: '{unknown}'.", "type": "invalid_request_error", "param": unknown}
        return web.json_response({"error": error}, status=400)

    return answer


def said(score: int, reason: str = "As it is.") -> str:
    return json.dumps({"reason": reason, "score": score})


def always(score: int) -> Script:
    """The same verdict on everything."""
    return lambda body: said(score)


def user_message(body: Body) -> str:
    return str(next(each["content"] for each in body["messages"] if each["role"] == "user"))


def block(body: Body, name: str) -> str:
    """What stands in this block of the material, by the mark that the request itself declares."""
    system = body.get("system") or body["messages"][0]["content"]
    mark = re.search(r"with the mark ([0-9a-f]{16})", system)
    assert mark
    found = re.search(rf"<{name} {mark[1]}>\n(.*?)\n</{name} {mark[1]}>", user_message(body), re.DOTALL)
    return found[1] if found else ""


@asynccontextmanager
async def judge_endpoint(script: Script) -> AsyncIterator[JudgeEndpoint]:
    """Listens while the block lasts."""
    endpoint = JudgeEndpoint(script)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{path:.*}", endpoint.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    endpoint.url = f"http://127.0.0.1:{port}"
    try:
        yield endpoint
    finally:
        if endpoint.held is not None:
            endpoint.held.set()
        await runner.cleanup()

"""Judgements that come after the fact: what a user, a reviewer or somebody else's evaluator thinks of an answer.

    POST /v1/feedback   {"response_id": "chatcmpl-…", "name": "thumbs_up", "score": 1, "label": "pass"}

It is told as every evaluation is, in the trace of the call that it judges, however much later it comes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import isfinite
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from pipeline.condition import Condition
from pipeline.listening import keep_listening
from pipeline.records import FEEDBACK, Evaluation, LedgerEntry, outcome_of

LARGEST: int = 16 * 1024

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Key = tuple[Literal["id", "trace_id", "response_id"], str]
Told = Literal["told", "unknown", "pending", "several"]
Tell = Callable[[Key, LedgerEntry], Awaitable[Told]]


class Feedback(Struct, forbid_unknown_fields=True):
    """What is said of one exchange, which exactly one of the first three names."""

    name: Name
    id: Id | None = None
    trace_id: Id | None = None
    response_id: Id | None = None
    score: float | None = None
    label: Name | None = None  # pass, fail, or another word

    def __post_init__(self) -> None:
        if len(self.keys()) != 1:
            raise ValueError("name the exchange by exactly one of id, trace_id and response_id")
        if self.score is None and self.label is None:
            raise ValueError("give a score, a label, or both")
        if self.score is not None and not isfinite(self.score):
            raise ValueError("the score is not finite")

    def keys(self) -> list[Key]:
        """Those that are given."""
        named: tuple[tuple[Literal["id", "trace_id", "response_id"], str | None], ...] = (
            ("id", self.id),
            ("trace_id", self.trace_id),
            ("response_id", self.response_id),
        )
        return [(kind, value) for kind, value in named if value is not None]

    def entry(self) -> LedgerEntry:
        """As the ledger has it."""
        evaluations = (Evaluation(self.name, self.score, self.label),)
        return LedgerEntry(FEEDBACK + self.name, outcome_of(evaluations), None, evaluations, time.time_ns())


ANSWERS: dict[Told, tuple[int, str]] = {
    "told": (200, "thank you"),
    "unknown": (404, "there is no such exchange, or it has expired"),
    "pending": (409, "the exchange is not evaluated yet; try again in a moment"),
    "several": (409, "several exchanges answer to this; name one by its id or response_id"),
}


@asynccontextmanager
async def taking_feedback(address: str, token: str | None, tell: Tell, condition: Condition) -> AsyncIterator[None]:
    """Listen while the block lasts; an address that is taken is waited for."""
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/v1/feedback", answer_with(token, tell))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    async with keep_listening(runner, address, condition, "console"):
        yield


def answer_with(token: str | None, tell: Tell) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        if token is not None and not hmac.compare_digest(said_token(request), token.encode()):
            return said(401, "send the token of the configuration: Authorization: Bearer …")
        if request.content_type != "application/json":  # and no page of another site can send that unasked
            return said(415, "send JSON, and say so: Content-Type: application/json")
        try:
            feedback = msgspec.json.decode(await request.read(), type=Feedback)
        except web.HTTPRequestEntityTooLarge:
            return said(413, f"at most {LARGEST} bytes")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return said(400, str(error))
        (key,) = feedback.keys()
        return said(*ANSWERS[await tell(key, feedback.entry())])

    return answer


def said_token(request: web.Request) -> bytes:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("utf-8", "replace") if kind.lower() == "bearer" else b""


def said(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)

"""Judgements that come after the fact: what a user, a reviewer or somebody else's evaluator thinks of an answer.

    POST /v1/feedback   {"response_id": "chatcmpl-…", "name": "thumbs_up", "score": 1, "label": "pass"}

It is told as every evaluation is, in the trace of the call that it judges, however much later it comes.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from math import isfinite
from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.control import Answer, Handler, read
from pipeline.records import FEEDBACK, Evaluation, LedgerEntry, outcome_of

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


def feedback_handler(tell: Tell) -> Handler:
    """Answers when what was said is kept, or why it cannot be."""

    async def handle(body: bytes) -> Answer:
        feedback = read(body, Feedback)
        if isinstance(feedback, Answer):
            return feedback
        (key,) = feedback.keys()
        status, message = ANSWERS[await tell(key, feedback.entry())]
        return Answer(status, {"message": message})

    return handle

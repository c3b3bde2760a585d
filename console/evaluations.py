"""Somebody asks what the evaluators think of an answer, now: the same ones, with the same scores, as for traffic.

POST /v1/evaluations   {"query": "…", "response": "…", "context": ["…"], "ground_truth": "…"}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct, structs

from console.control import Answer, Handler, read
from pipeline.records import LedgerEntry

Judge = Callable[[Mapping[str, Any]], Awaitable[tuple[LedgerEntry, ...]]]  # fields of a question → outcomes


class Question(Struct, forbid_unknown_fields=True):
    """A pair to judge, and what belongs to it."""

    query: str
    response: str
    ground_truth: str | None = None
    context: list[str] | str | None = None
    system: str | None = None
    model: str | None = None
    finish_reason: str | None = None


def evaluations_handler(judge: Judge) -> Handler:
    """Answers with every evaluator's outcome."""

    async def handle(body: bytes) -> Answer:
        question = read(body, Question)
        if isinstance(question, Answer):
            return question
        entries = await judge({name: value for name, value in structs.asdict(question).items() if value is not None})
        return Answer(200, {"outcomes": {entry.evaluator: told(entry) for entry in entries}})

    return handle


def told(entry: LedgerEntry) -> dict[str, Any]:
    """An outcome as JSON; `evaluations` is what the evaluator said."""
    said = [
        {
            "name": each.name,
            "score": each.score_value,
            "label": each.score_label,
            "explanation": each.explanation,
            "error": each.error_type,
        }
        for each in entry.evaluations
    ]
    return {"outcome": entry.outcome, "reason": entry.reason, "version": entry.version, "evaluations": said}

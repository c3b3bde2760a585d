"""Somebody asks what the evaluators think of an answer, now: the same ones, with the same scores, as for traffic.

POST /v1/evaluations      {"query": "…", "response": "…", "context": ["…"], "ground_truth": "…"}
GET  /v1/evaluations/RUN  what the judges say, who take their time; with "judges": true the answer above names the run
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct, structs

from console.control import Answer, Handler, Reader, read
from pipeline.records import LedgerEntry

Outcomes = tuple[LedgerEntry, ...]
Judge = Callable[[Mapping[str, Any]], Awaitable[Outcomes]]  # fields of a question → the evaluators' outcomes
Start = Callable[[Mapping[str, Any]], str]  # fields of a question → the judges' run
Look = Callable[[str], Outcomes | None]  # a run → its outcomes, None while there are none; KeyError for an unknown one


class Question(Struct, forbid_unknown_fields=True):
    """A pair to judge, and what belongs to it."""

    query: str
    response: str
    ground_truth: str | None = None
    context: list[str] | str | None = None
    system: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    judges: bool = False  # ask them too, within their budgets


def evaluations_handler(judge: Judge, start: Start) -> Handler:
    """Answers with every evaluator's outcome, and with the run of the judges where they are asked."""

    async def handle(body: bytes) -> Answer:
        question = read(body, Question)
        if isinstance(question, Answer):
            return question
        fields = {name: value for name, value in structs.asdict(question).items() if value is not None}
        asks_judges = fields.pop("judges")
        run = {"run": start(fields)} if asks_judges else {}
        return Answer(200, {"outcomes": all_told(await judge(fields)), **run})

    return handle


def runs_reader(look: Look) -> Reader:
    """Answers with what the judges have said, once all of them have."""

    def reader(run: str) -> Answer:
        try:
            outcomes = look(run)
        except KeyError:
            return Answer(404, {"message": "there is no such run, or newer ones have taken its place"})
        if outcomes is None:
            return Answer(200, {"state": "running"})
        return Answer(200, {"state": "done", "outcomes": all_told(outcomes)})

    return reader


def all_told(entries: Outcomes) -> dict[str, Any]:
    return {entry.evaluator: told(entry) for entry in entries}


def told(entry: LedgerEntry) -> dict[str, Any]:
    """An outcome as JSON; `evaluations` is what the evaluator said."""
    said = [
        {
            "name": each.name,
            "score": each.score_value,
            "label": each.score_label,
            "explanation": each.explanation,
            "reasoning": each.reasoning,
            "error": each.error_type,
        }
        for each in entry.evaluations
    ]
    return {"outcome": entry.outcome, "reason": entry.reason, "version": entry.version, "evaluations": said}

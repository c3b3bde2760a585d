from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from console.evaluations import evaluations_handler
from pipeline.records import Evaluation, LedgerEntry


class Judge:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, fields: Mapping[str, Any]) -> tuple[LedgerEntry, ...]:
        self.asked.append(dict(fields))
        said = Evaluation("refusal", 1.0, "fail", "it declines")
        return LedgerEntry("refusal", "fail", None, (said,), version="2"), LedgerEntry(
            "latency", "skipped", "missing_input"
        )


async def ask(judge: Judge, body: Any) -> tuple[int, Any]:
    answer = await evaluations_handler(judge)(json.dumps(body).encode())
    return answer.status, answer.body


async def test_every_evaluators_outcome_is_the_answer() -> None:
    judge = Judge()
    status, body = await ask(judge, {"query": "q", "response": "r", "context": ["c"]})
    assert (status, judge.asked) == (200, [{"query": "q", "response": "r", "context": ["c"]}])
    said = {"name": "refusal", "score": 1.0, "label": "fail", "explanation": "it declines", "error": None}
    assert body == {
        "outcomes": {
            "refusal": {"outcome": "fail", "reason": None, "version": "2", "evaluations": [said]},
            "latency": {"outcome": "skipped", "reason": "missing_input", "version": None, "evaluations": []},
        }
    }


@pytest.mark.parametrize(
    "body", [{"query": "q"}, {"query": 1, "response": "r"}, {"query": "q", "response": "r", "x": 1}, []]
)
async def test_what_is_no_question_is_refused(body: Any) -> None:
    judge = Judge()
    status, said = await ask(judge, body)
    assert (status, judge.asked) == (400, [])
    assert said["message"]

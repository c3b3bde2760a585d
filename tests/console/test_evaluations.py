from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from console.evaluations import evaluations_handler, runs_reader
from pipeline.records import Evaluation, LedgerEntry


class Judge:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.started: list[dict[str, Any]] = []

    async def __call__(self, fields: Mapping[str, Any]) -> tuple[LedgerEntry, ...]:
        self.asked.append(dict(fields))
        said = Evaluation("refusal", 1.0, "fail", "it declines")
        failed = LedgerEntry("refusal", "fail", None, (said,), version="2")
        return failed, LedgerEntry("latency", "skipped", "missing_input")

    def start(self, fields: Mapping[str, Any]) -> str:
        self.started.append(dict(fields))
        return "run-1"


async def ask(judge: Judge, body: Any) -> tuple[int, Any]:
    answer = await evaluations_handler(judge, judge.start)(json.dumps(body).encode())
    return answer.status, answer.body


async def test_every_evaluators_outcome_is_the_answer() -> None:
    judge = Judge()
    status, body = await ask(judge, {"query": "q", "response": "r", "context": ["c"]})
    assert (status, judge.asked) == (200, [{"query": "q", "response": "r", "context": ["c"]}])
    said = {
        "name": "refusal",
        "score": 1.0,
        "label": "fail",
        "explanation": "it declines",
        "reasoning": None,
        "error": None,
    }
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


async def test_judges_are_asked_where_that_is_wanted_and_the_answer_names_their_run() -> None:
    judge = Judge()
    assert "run" not in (await ask(judge, {"query": "q", "response": "r"}))[1]
    assert judge.started == []
    status, body = await ask(judge, {"query": "q", "response": "r", "judges": True})
    assert (status, body["run"], judge.started) == (200, "run-1", [{"query": "q", "response": "r"}])


def test_a_run_says_whether_it_is_done_and_then_what_was_said() -> None:
    runs: dict[str, tuple[LedgerEntry, ...] | None] = {"a": None, "b": (LedgerEntry("judge", "pass"),)}
    read = runs_reader(runs.__getitem__)
    assert read("a") == (200, {"state": "running"})
    status, body = read("b")
    assert (status, body["state"], body["outcomes"]["judge"]["outcome"]) == (200, "done", "pass")
    assert read("c")[0] == 404

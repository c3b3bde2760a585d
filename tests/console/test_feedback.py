"""What people and other programs think of an answer, and what of it is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.feedback import Key, Told, feedback_handler
from pipeline.records import LedgerEntry

THUMB = {"response_id": "chatcmpl-1", "name": "thumbs_up", "score": 1, "label": "pass"}


class Ledger:
    """Remembers what it was told."""

    def __init__(self, answer: Told = "told") -> None:
        self.answer = answer
        self.told: list[tuple[Key, LedgerEntry]] = []

    async def tell(self, key: Key, entry: LedgerEntry) -> Told:
        self.told.append((key, entry))
        return self.answer


async def post(ledger: Ledger, body: Any) -> tuple[int, str]:
    answer = await feedback_handler(ledger.tell)(body if isinstance(body, bytes) else json.dumps(body).encode())
    return answer.status, str(answer.body["message"])


async def test_a_judgement_becomes_an_entry_of_the_ledger() -> None:
    ledger = Ledger()
    assert await post(ledger, THUMB) == (200, "thank you")
    ((key, entry),) = ledger.told
    assert key == ("response_id", "chatcmpl-1")
    assert (entry.evaluator, entry.outcome) == ("feedback/thumbs_up", "pass")
    (evaluation,) = entry.evaluations
    assert (evaluation.name, evaluation.score_value, evaluation.score_label) == ("thumbs_up", 1.0, "pass")
    assert entry.started_at > 0


@pytest.mark.parametrize(
    ("said", "outcome"),
    [({"score": 0.3}, "scored"), ({"label": "fail"}, "fail"), ({"label": "positive", "score": 2}, "scored")],
)
async def test_the_label_decides_the_outcome_as_it_does_for_evaluators(said: dict[str, Any], outcome: str) -> None:
    ledger = Ledger()
    assert (await post(ledger, {"id": "018b", "name": "x", **said}))[0] == 200
    assert ledger.told[0][1].outcome == outcome


@pytest.mark.parametrize(("answer", "status"), [("unknown", 404), ("pending", 409), ("several", 409)])
async def test_an_exchange_that_cannot_be_judged_is_told(answer: Told, status: int) -> None:
    assert (await post(Ledger(answer), THUMB))[0] == status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": "x", "score": 1}, "exactly one of"),
        ({**THUMB, "id": "a"}, "exactly one of"),
        ({"id": "a", "name": "x"}, "a score, a label, or both"),
        ({"id": "a", "name": "a name with spaces", "score": 1}, "name"),
        ({"id": "a", "name": "x", "score": "high"}, "score"),
        ({"id": "a", "name": "x", "label": "<script>"}, "label"),
        ({**THUMB, "comment": "my name is Bob"}, "comment"),
        ([], "object"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(body: Any, reason: str) -> None:
    ledger = Ledger()
    status, message = await post(ledger, body)
    assert (status, ledger.told) == (400, [])
    assert reason in message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"id": "a", "name": "x", "score": 1e999}'])
async def test_bytes_that_are_no_judgement_are_refused(data: bytes) -> None:
    ledger = Ledger()
    status, _ = await post(ledger, data)
    assert (status, ledger.told) == (400, [])

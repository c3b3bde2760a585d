"""What comes in from people and other programs, on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from console.feedback import Key, Told, taking_feedback
from pipeline.condition import Condition
from pipeline.records import LedgerEntry
from sidelight.demo import free_addresses

THUMB = {"response_id": "chatcmpl-1", "name": "thumbs_up", "score": 1, "label": "pass"}


class Ledger:
    """Remembers what it was told."""

    def __init__(self, answer: Told = "told") -> None:
        self.answer = answer
        self.told: list[tuple[Key, LedgerEntry]] = []

    async def tell(self, key: Key, entry: LedgerEntry) -> Told:
        self.told.append((key, entry))
        return self.answer


@asynccontextmanager
async def open_to(ledger: Ledger, token: str | None = None) -> AsyncIterator[str]:
    (address,) = free_addresses(1)
    condition = Condition()
    async with taking_feedback(address, token, ledger.tell, condition):
        yield f"http://{address}/v1/feedback"


async def post(url: str, **request: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(url, **request) as answer:
                    return answer.status, str((await answer.json())["message"])
            except aiohttp.ClientConnectorError:  # it listens in a moment
                continue


async def test_a_judgement_becomes_an_entry_of_the_ledger() -> None:
    ledger = Ledger()
    async with open_to(ledger) as url:
        assert await post(url, json=THUMB) == (200, "thank you")
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
    async with open_to(ledger) as url:
        assert (await post(url, json={"id": "018b", "name": "x", **said}))[0] == 200
    assert ledger.told[0][1].outcome == outcome


@pytest.mark.parametrize(("answer", "status"), [("unknown", 404), ("pending", 409), ("several", 409)])
async def test_an_exchange_that_cannot_be_judged_is_told(answer: Told, status: int) -> None:
    async with open_to(Ledger(answer)) as url:
        assert (await post(url, json=THUMB))[0] == status


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
    async with open_to(ledger) as url:
        status, message = await post(url, json=body)
    assert (status, ledger.told) == (400, [])
    assert reason in message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"id": "a", "name": "x", "score": 1e999}'])
async def test_bytes_that_are_no_judgement_are_refused(data: bytes) -> None:
    ledger = Ledger()
    async with open_to(ledger) as url:
        status, _ = await post(url, data=data, headers={"Content-Type": "application/json"})
    assert (status, ledger.told) == (400, [])


async def test_a_body_without_end_is_not_read() -> None:
    async with open_to(Ledger()) as url:
        status, _ = await post(url, data=b"x" * 100_000, headers={"Content-Type": "application/json"})
    assert status == 413


async def test_what_a_page_of_another_site_could_send_unasked_is_refused() -> None:
    ledger = Ledger()
    async with open_to(ledger) as url:
        status, _ = await post(url, data=b'{"id":"a","name":"x","score":1}', headers={"Content-Type": "text/plain"})
    assert (status, ledger.told) == (415, [])


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic secret", "Bearer ", "secret"])
async def test_without_the_token_nothing_is_taken(authorization: str | None) -> None:
    ledger = Ledger()
    headers = {"Authorization": authorization} if authorization else {}
    async with open_to(ledger, "secret") as url:
        status, message = await post(url, json=THUMB, headers=headers)
        assert (status, ledger.told, "secret" in message) == (401, [], False)
        assert (await post(url, json=THUMB, headers={"Authorization": "Bearer secret"}))[0] == 200

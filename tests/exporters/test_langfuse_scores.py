from __future__ import annotations

import pytest

from exporters.langfuse_scores import LangfuseScores
from pipeline.errors import Permanent, Retryable
from pipeline.records import EvaluatedExchange, Evaluation, LedgerEntry
from tests.support.json_backend import json_backend
from tests.support.records import TRACE, an_evaluated_exchange, an_exchange

ENTRIES = (
    LedgerEntry("refusal", "fail", evaluations=(Evaluation("refusal", 0.25, "fail", "It refuses."),)),
    LedgerEntry("tone", "scored", evaluations=(Evaluation("tone", None, "friendly"),)),
    LedgerEntry("broken", "error", reason="timeout"),
    LedgerEntry("absent", "skipped", reason="filtered"),
)


def judged(number: int = 1) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(id=f"{number:032x}"), entries=ENTRIES)


async def test_each_evaluation_is_a_score_of_its_call() -> None:
    async with json_backend() as backend, LangfuseScores(endpoint=backend.endpoint) as exporter:
        await exporter.export([judged()])
    assert {request.path for request in backend.posted} == {"/api/public/scores"}
    told = {request.body.pop("name"): request.body for request in backend.posted}
    ids = {score.pop("id") for score in told.values()}
    call = {"traceId": TRACE.trace_id, "observationId": TRACE.client_span_id}
    assert told == {
        "refusal": {**call, "dataType": "NUMERIC", "value": 0.25, "comment": "It refuses."},
        "tone": {**call, "dataType": "CATEGORICAL", "value": "friendly"},
    }
    assert len(ids) == 2


async def test_told_twice_a_score_is_the_same_one() -> None:
    async with json_backend() as backend, LangfuseScores(endpoint=backend.endpoint) as exporter:
        await exporter.export([judged(), judged()])
    ids = [request.body["id"] for request in backend.posted]
    assert len(ids) == 4
    assert len(set(ids)) == 2


async def test_of_what_is_refused_only_that_is_lost_and_the_rest_is_told() -> None:
    async with json_backend() as backend, LangfuseScores(endpoint=backend.endpoint) as exporter:
        backend.script.append((400, {}))
        with pytest.raises(Permanent, match="scores: HTTP 400") as caught:
            await exporter.export([judged(number) for number in range(10)])
    assert caught.value.lost == 1
    assert len(backend.posted) == 19


async def test_a_backend_that_is_busy_is_asked_again_with_all() -> None:
    async with json_backend() as backend, LangfuseScores(endpoint=backend.endpoint) as exporter:
        backend.script.append((429, {"Retry-After": "3"}))
        batch = [judged(number) for number in range(3)]
        with pytest.raises(Retryable) as caught:
            await exporter.export(batch)
        assert caught.value.after == 3
        await exporter.export(batch)
    assert {request.body["id"] for request in backend.posted[-6:]} == {request.body["id"] for request in backend.posted}


def test_headers_are_in_no_representation() -> None:
    assert "canary" not in repr(LangfuseScores(headers={"authorization": "canary"}))

from __future__ import annotations

import pytest

from exporters.phoenix_annotations import PhoenixAnnotations
from pipeline.errors import Retryable
from pipeline.records import EvaluatedExchange, Evaluation, LedgerEntry
from tests.support.json_backend import json_backend
from tests.support.records import TRACE, an_evaluated_exchange, an_exchange

ENTRIES = (
    LedgerEntry("refusal", "fail", evaluations=(Evaluation("refusal", 0.25, "fail", "It refuses."),)),
    LedgerEntry("latency", "pass", evaluations=(Evaluation("latency.a", 1.0, "pass"), Evaluation("latency.b", 2.0))),
    LedgerEntry("feedback/thumbs_up", "pass", evaluations=(Evaluation("thumbs_up", 1.0, "pass"),)),
    LedgerEntry("broken", "error", reason="timeout"),
    LedgerEntry("absent", "skipped", reason="filtered"),
)


def judged() -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(), entries=ENTRIES, weight=4.0)


async def test_each_evaluation_annotates_the_span_of_its_call() -> None:
    async with json_backend() as backend, PhoenixAnnotations(endpoint=backend.endpoint) as exporter:
        await exporter.export([judged()])
    (request,) = backend.posted
    assert request.path == "/v1/span_annotations"
    told = {annotation["name"]: annotation for annotation in request.body["data"]}
    assert told.keys() == {"refusal", "latency.a", "latency.b", "thumbs_up"}
    assert {each["span_id"] for each in told.values()} == {TRACE.client_span_id}
    assert told["refusal"]["result"] == {"label": "fail", "score": 0.25, "explanation": "It refuses."}
    assert [told[name]["annotator_kind"] for name in ("refusal", "thumbs_up")] == ["CODE", "HUMAN"]
    assert told["refusal"]["metadata"]["sidelight.sampling.weight"] == 4.0


async def test_a_judge_is_a_model_and_its_outcomes_stand_for_as_many_as_they_say() -> None:
    said = (Evaluation("coherence", 4.0, "pass"),)
    judge = LedgerEntry("judge", "pass", evaluations=said, weight=20.0, calibration="uncalibrated")
    async with json_backend() as backend, PhoenixAnnotations(endpoint=backend.endpoint) as exporter:
        await exporter.export([an_evaluated_exchange(entries=(judge,), weight=4.0)])
    ((annotation,),) = (request.body["data"] for request in backend.posted)
    assert (annotation["annotator_kind"], annotation["metadata"]["sidelight.sampling.weight"]) == ("LLM", 20.0)


async def test_told_twice_an_annotation_is_the_same_one() -> None:
    async with json_backend() as backend, PhoenixAnnotations(endpoint=backend.endpoint) as exporter:
        await exporter.export([judged()])
        await exporter.export([judged()])
    first, second = ([each["identifier"] for each in request.body["data"]] for request in backend.posted)
    assert first == second
    assert len(set(first)) == len(first)


async def test_nothing_to_tell_is_no_request() -> None:
    async with json_backend() as backend, PhoenixAnnotations(endpoint=backend.endpoint) as exporter:
        await exporter.export([an_evaluated_exchange(entries=ENTRIES[3:])])
    assert backend.posted == []


async def test_a_backend_that_is_busy_is_asked_again() -> None:
    async with json_backend() as backend, PhoenixAnnotations(endpoint=backend.endpoint) as exporter:
        backend.script.append((503, {}))
        with pytest.raises(Retryable):
            await exporter.export([judged()])


def test_headers_are_in_no_representation() -> None:
    assert "canary" not in repr(PhoenixAnnotations(headers={"authorization": "canary"}))

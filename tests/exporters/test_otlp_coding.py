"""JSON says the same as protobuf, as OTLP asks for it: hex ids, numbers for enums, texts for 64-bit integers."""

from __future__ import annotations

import json

import pytest
from google.protobuf.message import Message

from exporters.measure import Measure
from exporters.otlp_coding import REQUESTS, Json, Protobuf, hex_of
from exporters.otlp_encoding import LOG_SCOPES, SPAN_SCOPES, encode, request, resource_field
from exporters.otlp_metrics import metrics_request
from exporters.otlp_sender import Signal
from exporters.otlp_span import Telling
from pipeline.records import EvaluatedExchange, Evaluation, LedgerEntry
from pipeline.telemetry import Telemetry
from tests.support.otlp_receiver import from_json
from tests.support.records import TRACE, an_evaluated_exchange
from tests.wire.cases import CASES, read_case
from wire import exchanges_of

ENTRY = LedgerEntry("refusal", "fail", evaluations=(Evaluation("refusal", 0.5, "fail"),), started_at=5)


def requests(evaluated: EvaluatedExchange) -> dict[Signal, bytes]:
    resource = resource_field({"service.name": "bot"})
    spans, logs = encode(evaluated, Telling("full"))
    measure = Measure(Telemetry())
    measure.record(evaluated)
    return {
        "traces": request(resource, SPAN_SCOPES, [spans]),
        "logs": request(resource, LOG_SCOPES, [logs]),
        "metrics": metrics_request({"service.name": "bot"}, [measure.snapshot()], "both"),
    }


@pytest.mark.parametrize("case", CASES)
def test_read_back_it_is_the_same_message(case: str) -> None:
    for exchange in exchanges_of(read_case(case)):
        for signal, body in requests(EvaluatedExchange(exchange, (ENTRY,))).items():
            message: Message = REQUESTS[signal].FromString(body)
            assert from_json(signal, Json().written(signal, body)) == message
            assert Protobuf().written(signal, body) == body


def test_the_form_is_the_protocols() -> None:
    bodies = requests(an_evaluated_exchange(entries=(ENTRY,)))
    traces = json.loads(Json().written("traces", bodies["traces"]))
    span = traces["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["traceId"] == TRACE.trace_id
    assert span["spanId"] == TRACE.server_span_id
    assert span["kind"] == 2
    assert isinstance(span["startTimeUnixNano"], str)
    logs = json.loads(Json().written("logs", bodies["logs"]))
    record = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert (record["traceId"], record["eventName"]) == (TRACE.trace_id, "gen_ai.evaluation.result")
    assert hex_of("AAECAw==") == "00010203"

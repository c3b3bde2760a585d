"""What is really sent, over every recorded case, against the table that says what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporters import semconv
from exporters.measure import Measure
from exporters.otlp_encoding import LOG_SCOPES, SPAN_SCOPES, encode, request
from exporters.otlp_span import DialectName, Telling
from exporters.signals import EVENTS, SPANS, Signal
from exporters.vocabulary import in_vocabulary
from pipeline.records import Cost, EvaluatedExchange, Evaluation, Exchange, LedgerEntry, Usage
from pipeline.telemetry import Instrument, Telemetry
from tests.exporters import registry
from tests.support.records import MS, TRACE, an_exchange, answer
from tests.wire.cases import CASES, read_case
from tests.wire.dialogues import DIALOGUES, read_dialogue
from wire import exchanges_of

EVERYTHING = Telling("full", events=("evaluation", "exception", "details"))
HELD = {
    "string_value": "string",
    "int_value": "int",
    "double_value": "double",
    "bool_value": "boolean",
    "array_value": "string[]",
}
ENTRIES = (
    LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.25, "pass", "No refusal."),), version="1"),
    LedgerEntry(
        "judge",
        "fail",
        None,
        (Evaluation("tone", 2.0, "fail", reasoning="Curt."),),
        5,
        7,
        "ab12",
        20.0,
        0.001,
        "uncalibrated",
    ),
    LedgerEntry("latency", "fail", evaluations=(Evaluation("latency.duration", 3.0, "fail", "Slow."),)),
    LedgerEntry("crashing", "error", reason="timeout"),
    LedgerEntry("absent", "skipped", reason="missing_input"),
)


def kind_of(span: Span) -> str:
    return Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")


def signal_of(item: Any, scope: str) -> Signal:
    """The line of the table that a span or log record belongs to."""
    if isinstance(item, Span):
        found = [each for each in SPANS if (each.kind, each.scope.name) == (kind_of(item), scope)]
    else:
        found = [each for each in EVENTS if (each.name, each.scope.name) == (item.event_name, scope)]
    (signal,) = found
    return signal


def sent(evaluated: EvaluatedExchange, dialect: DialectName = "genai") -> Iterator[tuple[Signal, Any]]:
    """Every span and event with its line of the table."""
    spans, records = encode(evaluated, EVERYTHING._replace(dialect=dialect))
    traces = ExportTraceServiceRequest.FromString(request(b"", SPAN_SCOPES, [spans]))
    logs = ExportLogsServiceRequest.FromString(request(b"", LOG_SCOPES, [records]))
    for scope in traces.resource_spans[0].scope_spans:
        yield from ((signal_of(span, scope.scope.name), span) for span in scope.spans)
    for scope in logs.resource_logs[0].scope_logs:
        yield from ((signal_of(record, scope.scope.name), record) for record in scope.log_records)


def unlike_any_case() -> Iterator[Exchange]:
    """What the recorded answers alone cannot show: times, costs, who asked, and what went wrong."""
    plain = an_exchange()
    yield an_exchange(
        stream=True,
        timing=msgspec.structs.replace(plain.timing, first_chunk_at=40 * MS),
        usage=Usage(9, 3, source="estimated"),
        cost=Cost(0.75, 0.5, 0.25, "a list", estimated=True),
        user="0123456789abcdef",
        user_source="header",
        session="s-1",
        session_source="history",
        conversation="conv_1",
        prompt_fingerprint="fedcba9876543210",
        context_source="tools",
        turn=2,
    )
    yield an_exchange(
        http=msgspec.structs.replace(
            plain.http, method="BREW", query="a=1", host="[::1]:4000", user_agent="OpenAI/Python", status=500
        ),
        error_type="500",
        error_message="It is broken.",
        complete=False,
        output_messages=(answer("half", None),),
        usage=Usage(9, 3, source="provider", details=dict.fromkeys(semconv.USAGE_DETAILS, 1.0)),
    )
    yield an_exchange(error_type="client_disconnect", complete=False)
    yield an_exchange(output_messages=(answer("x" * 70_000),))
    yield an_exchange(operation=None, wire="http")
    yield an_exchange(
        operation=None, http=msgspec.structs.replace(plain.http, method="BREW", status=None), error_type="timeout",
        complete=False, decode_error="invalid_json",
    )  # fmt: skip
    yield an_exchange(operation=None, error_type="client_disconnect", http=plain.http)
    yield an_exchange(attributes=dict.fromkeys(semconv.FURTHER, "1"))


@lru_cache
def corpus() -> tuple[EvaluatedExchange, ...]:
    exchanges = [exchange for case in CASES for exchange in exchanges_of(read_case(case))]
    turns = [turn for dialogue in DIALOGUES for turn in exchanges_of(read_dialogue(dialogue))]
    traced = [msgspec.structs.replace(each, trace=TRACE) for each in (*exchanges, *turns)]
    plain = tuple(EvaluatedExchange(each, ENTRIES) for each in (*traced, *unlike_any_case()))
    return (*plain, EvaluatedExchange(an_exchange(), ENTRIES, weight=4.0, kept="ratio"))


@lru_cache
def everything(dialect: DialectName = "genai") -> tuple[tuple[Signal, Any], ...]:
    return tuple(pair for evaluated in corpus() for pair in sent(evaluated, dialect))


def template(name: str) -> str:
    """The name in the table: without its number or its evaluator."""
    if name.startswith(semconv.FAILED_BY):
        return semconv.FAILED_BY_EACH
    return re.sub(r"\.\d+\.", ".<i>.", name)


def names_in(item: Any) -> set[str]:
    return {template(attribute.key) for attribute in item.attributes}


def declared(signal: Signal) -> set[str]:
    return {*signal.always, *signal.known, *signal.content}


def test_no_attribute_comes_twice() -> None:
    for dialect in semconv.DIALECTS.keys() | {"genai"}:
        for signal, item in everything(dialect):  # type: ignore[arg-type]
            names = [attribute.key for attribute in item.attributes]
            assert len(names) == len(set(names)), (signal.name, sorted(names))


def test_spans_and_events_say_what_the_table_says() -> None:
    for signal, item in everything():
        assert names_in(item) - declared(signal) == set(), signal.name
        assert set(signal.always) - names_in(item) == set(), signal.name


@pytest.mark.parametrize("signal", [*SPANS, *EVENTS], ids=lambda signal: signal.name)
def test_every_line_of_the_table_is_really_sent(signal: Signal) -> None:
    seen = set().union(*(names_in(item) for own, item in everything() if own is signal))
    assert declared(signal) - seen == set()


def test_every_attribute_has_the_type_of_the_table() -> None:
    for signal, item in everything():
        for attribute in item.attributes:
            held = HELD[attribute.value.WhichOneof("value")]
            expected = semconv.ATTRIBUTES[template(attribute.key)].type
            if expected == "any":
                expected = "string" if isinstance(item, Span) else "string[]"
            assert held == expected, (signal.name, attribute.key)


@pytest.mark.parametrize("dialect", semconv.DIALECTS)
def test_a_dialect_says_what_its_table_says(dialect: DialectName) -> None:
    table = semconv.ATTRIBUTES | semconv.DIALECTS[dialect]
    seen: set[str] = set()
    for _, item in everything(dialect):
        if isinstance(item, Span):
            for attribute in item.attributes:
                name = template(attribute.key)
                seen.add(name)
                expected = table[name].type.replace("any", "string")
                assert HELD[attribute.value.WhichOneof("value")] == expected, name
    assert semconv.DIALECTS[dialect].keys() - seen == set()


# The registries


def test_names_and_types_are_those_of_the_registries() -> None:
    for name, attribute in semconv.ATTRIBUTES.items():
        if name.startswith("sidelight."):
            assert name not in registry.ATTRIBUTES
        else:
            assert attribute.type == registry.ATTRIBUTES[name], name


def test_no_deprecated_name_is_sent() -> None:
    assert semconv.ATTRIBUTES.keys() & registry.DEPRECATED == set()
    assert {name for _, item in everything() for name in names_in(item)} & registry.DEPRECATED == set()


def test_every_event_has_what_the_registry_requires() -> None:
    assert {event.name for event in EVENTS} == registry.EVENTS.keys()
    for event in EVENTS:
        assert registry.EVENTS[event.name] <= set(event.always)


def conventional() -> list[Instrument]:
    return [each for each in vars(semconv.Conventional()).values() if isinstance(each, Instrument)]


def test_metrics_are_those_of_the_registries() -> None:
    measure = Measure(Telemetry())
    for evaluated in corpus():
        measure.record(evaluated)
    told = {metric.name: metric for metric in in_vocabulary(measure.snapshot().metrics, "both")}
    assert {each.name for each in conventional()} <= registry.METRICS.keys()
    for name, metric in told.items():
        assert (metric.kind, metric.unit, list(metric.bounds)) == registry.METRICS[name], name
    assert told.keys() == registry.METRICS.keys()


def test_metrics_have_the_attributes_of_the_registries() -> None:
    for instrument in conventional():
        (required, allowed), = (
            each for name, each in registry.METRIC_ATTRIBUTES.items() if instrument.name.startswith(name)
        )  # fmt: skip
        assert required <= set(instrument.by) <= required | allowed, instrument.name


def test_every_point_has_only_attributes_that_its_instrument_names() -> None:
    telemetry = Telemetry()
    measure = Measure(telemetry)
    for evaluated in corpus():
        measure.record(evaluated)
    for table in (telemetry, measure.instruments):
        by = {each.name: set(each.by) for each in vars(table).values() if isinstance(each, Instrument)}
        for metric in table.snapshot().metrics:
            for point in metric.points:
                names = {name for name, _ in point.attributes} - {"otel.metric.overflow"}
                assert names <= by[metric.name], metric.name


# Messages


@pytest.mark.parametrize("name", registry.SCHEMAS)
def test_messages_are_as_the_registry_defines_them(name: str) -> None:
    validator = jsonschema_rs.validator_for(registry.SCHEMAS[name])
    texts = [
        attribute.value.string_value
        for signal, item in everything()
        for attribute in item.attributes
        if attribute.key == name and isinstance(item, Span)
    ]
    assert len(texts) > 10
    for text in texts:
        assert not list(validator.iter_errors(json.loads(text))), text[:1000]


def plain(value: Any) -> Any:
    """An AnyValue as JSON would hold it."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "kvlist_value":
            return {each.key: plain(each.value) for each in value.kvlist_value.values}
        case "array_value":
            return [plain(each) for each in value.array_value.values]
        case kind:
            return getattr(value, kind)


def test_the_details_event_has_the_same_texts_as_values() -> None:
    compared = 0
    for evaluated in corpus():
        pairs = [(signal, item) for signal, item in sent(evaluated) if signal.scope is semconv.GENAI_SCOPE]
        span = next((item for _, item in pairs if isinstance(item, Span)), None)
        details = next((item for signal, item in pairs if signal.name == semconv.OPERATION_DETAILS), None)
        assert (span is None) == (details is None)
        if span and details:
            values = {each.key: each.value for each in details.attributes}
            for each in span.attributes:
                if each.key in registry.SCHEMAS:
                    assert plain(values[each.key]) == json.loads(each.value.string_value)
                    compared += 1
                else:
                    assert values[each.key] == each.value
    assert compared > 100

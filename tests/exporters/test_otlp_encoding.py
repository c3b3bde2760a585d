"""Our protobuf against the official classes: the whole request is built both ways and compared."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from exporters.otlp_encoding import LOG_SCOPES, SPAN_SCOPES, Telling, encode, request, resource_field
from pipeline.records import Cost, EvaluatedExchange, Evaluation, Http, LedgerEntry, Message, Part, TraceContext, Usage
from tests.support.otlp_receiver import logs_in, spans_in
from tests.support.records import MS, STARTED_AT, TRACE, an_evaluated_exchange, an_exchange, answer, reported

RESOURCE = {"service.name": "support-bot", "deployment.environment.name": "test"}
TRACE_ID, SERVER_ID, CLIENT_ID = map(bytes.fromhex, (TRACE.trace_id, TRACE.server_span_id, TRACE.client_span_id))
ENDED_AT = STARTED_AT + 41 * MS


def trace_request(*batch: EvaluatedExchange, telling: Telling = Telling()) -> Any:  # noqa: B008
    items = [encode(evaluated, telling)[0] for evaluated in batch]
    return ExportTraceServiceRequest.FromString(request(resource_field(RESOURCE), SPAN_SCOPES, items))


def logs_request(*batch: EvaluatedExchange, telling: Telling = Telling()) -> Any:  # noqa: B008
    items = [encode(evaluated, telling)[1] for evaluated in batch]
    return ExportLogsServiceRequest.FromString(request(resource_field(RESOURCE), LOG_SCOPES, items))


def spans(evaluated: EvaluatedExchange, telling: Telling = Telling()) -> dict[str, dict[str, Any]]:  # noqa: B008
    """The spans by kind, evaluations by name."""
    found = list(spans_in(trace_request(evaluated, telling=telling)))
    return {span["name"] if span["kind"] == "INTERNAL" else span["kind"]: span for span in found}


def evaluated_as(**changes: Any) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(**changes))


def http_as(**changes: Any) -> Http:
    return msgspec.structs.replace(an_exchange().http, **changes)


def an_entry(**changes: Any) -> LedgerEntry:
    entry = LedgerEntry(
        "refusal",
        "pass",
        evaluations=(Evaluation("refusal", 0.25, "pass", "No refusal."),),
        started_at=STARTED_AT + 50 * MS,
        duration=2 * MS,
    )
    return msgspec.structs.replace(entry, **changes)


# The oracle


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(each) for each in value]))
    return AnyValue(string_value=value)


def key_values(**attributes: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def by_key(message: Any) -> Any:
    """The same request with every list of attributes sorted: their order means nothing."""
    for resource in getattr(message, "resource_spans", None) or message.resource_logs:
        for scope in getattr(resource, "scope_spans", None) or resource.scope_logs:
            for item in getattr(scope, "spans", None) or scope.log_records:
                ordered = sorted(item.attributes, key=lambda attribute: attribute.key)
                del item.attributes[:]
                item.attributes.extend(ordered)
    return message


EVALUATION_ATTRIBUTES = {
    "gen_ai.evaluation.name": "refusal",
    "gen_ai.evaluation.score.value": 0.25,
    "gen_ai.evaluation.score.label": "pass",
    "gen_ai.evaluation.explanation": "No refusal.",
    "gen_ai.response.id": "chatcmpl-1",
    "sidelight.evaluation.evaluator": "refusal",
}


def test_a_whole_trace_request_equals_the_official_classes() -> None:
    exchange = an_exchange(
        trace=msgspec.structs.replace(TRACE, parent_span_id="00f067aa0ba902b8", tracestate="vendor=1"),
        stream=True,
        timing=msgspec.structs.replace(an_exchange().timing, first_chunk_at=40 * MS),
        parameters={"temperature": 0.5, "max_tokens": 100, "stop_sequences": ["a", "b"]},
        usage=reported(9, 3, 4, 2, 1, audio__input_tokens=2, web_searches=1, input_audio_seconds=0.5),
        cost=Cost(0.75, 0.5, 0.25, "genai-prices 0.2.3", estimated=True),
        user="0123456789abcdef",
        user_source="header",
        session="s-1",
        session_source="history",
        conversation="conv_1",
        prompt_fingerprint="fedcba9876543210",
        context=("a document",),
        context_source="tools",
        http=http_as(query="a=1", user_agent="OpenAI/Python", host="sidelight:4000"),
        attributes={"openai.response.system_fingerprint": "fp_1"},
    )
    ours = trace_request(EvaluatedExchange(exchange, (an_entry(),), weight=4.0, kept="slow"))
    evaluation_id = ours.resource_spans[0].scope_spans[2].spans[0].span_id
    shared = {"trace_id": TRACE_ID, "trace_state": "vendor=1"}
    server = Span(
        **shared,
        span_id=SERVER_ID,
        parent_span_id=bytes.fromhex("00f067aa0ba902b8"),
        name="POST /v1/chat/completions",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=STARTED_AT,
        end_time_unix_nano=ENDED_AT,
        flags=0x301,
        attributes=key_values(
            **{
                "http.request.method": "POST",
                "url.scheme": "http",
                "url.path": "/v1/chat/completions",
                "url.query": "a=1",
                "network.protocol.version": "1.1",
                "client.address": "127.0.0.1",
                "client.port": 54321,
                "network.peer.address": "127.0.0.1",
                "network.peer.port": 54321,
                "server.address": "sidelight",
                "server.port": 4000,
                "http.request.body.size": 66,
                "http.response.body.size": 250,
                "http.route": "/v1/chat/completions",
                "http.response.status_code": 200,
                "user_agent.original": "OpenAI/Python",
                "sidelight.exchange.id": exchange.id,
            }
        ),
    )
    client = Span(
        **shared,
        span_id=CLIENT_ID,
        parent_span_id=SERVER_ID,
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=STARTED_AT,
        end_time_unix_nano=ENDED_AT,
        flags=0x101,
        attributes=key_values(
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.response.id": "chatcmpl-1",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.time_to_first_chunk": 0.04,
                "gen_ai.request.stream": True,
                "gen_ai.request.temperature": 0.5,
                "gen_ai.request.max_tokens": 100,
                "gen_ai.request.stop_sequences": ["a", "b"],
                "gen_ai.usage.input_tokens": 9,
                "gen_ai.usage.output_tokens": 3,
                "gen_ai.usage.cache_read.input_tokens": 4,
                "gen_ai.usage.cache_write.input_tokens": 2,
                "gen_ai.usage.reasoning.output_tokens": 1,
                "gen_ai.usage.audio.input_tokens": 2,
                "sidelight.usage.web_searches": 1,
                "sidelight.usage.input_audio_seconds": 0.5,
                "sidelight.usage.source": "provider",
                "sidelight.cost.total": 0.75,
                "sidelight.cost.input": 0.5,
                "sidelight.cost.output": 0.25,
                "sidelight.cost.source": "genai-prices 0.2.3",
                "sidelight.cost.estimated": True,
                "user.hash": "0123456789abcdef",
                "sidelight.user.source": "header",
                "session.id": "s-1",
                "sidelight.session.source": "history",
                "gen_ai.conversation.id": "conv_1",
                "sidelight.prompt.fingerprint": "fedcba9876543210",
                "sidelight.context.source": "tools",
                "openai.response.system_fingerprint": "fp_1",
                "server.address": "api.openai.com",
                "server.port": 443,
                "sidelight.exchange.id": exchange.id,
                "sidelight.upstream": "openai",
                "sidelight.wire": "openai_chat",
                "sidelight.sampling.weight": 4.0,
                "sidelight.sampling.kept": "slow",
            }
        ),
    )
    evaluation = Span(
        **shared,
        span_id=evaluation_id,
        parent_span_id=CLIENT_ID,
        name="evaluate refusal",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=STARTED_AT + 50 * MS,
        end_time_unix_nano=STARTED_AT + 52 * MS,
        flags=0x101,
        attributes=key_values(
            **EVALUATION_ATTRIBUTES,
            **{"sidelight.evaluation.outcome": "pass", "sidelight.exchange.id": exchange.id},
            **{"sidelight.sampling.weight": 4.0},
        ),
    )
    theirs = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=key_values(**RESOURCE)),
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(name="sidelight.http"),
                        schema_url="https://opentelemetry.io/schemas/1.44.0",
                        spans=[server],
                    ),
                    ScopeSpans(scope=InstrumentationScope(name="sidelight.genai"), spans=[client]),
                    ScopeSpans(scope=InstrumentationScope(name="sidelight.evaluation"), spans=[evaluation]),
                ],
            )
        ]
    )
    assert len(evaluation_id) == 8
    assert by_key(ours) == by_key(theirs)


def test_a_whole_logs_request_equals_the_official_classes() -> None:
    ours = logs_request(an_evaluated_exchange(entries=(an_entry(),)))
    record = LogRecord(
        time_unix_nano=STARTED_AT + 52 * MS,
        observed_time_unix_nano=STARTED_AT + 52 * MS,
        severity_number=9,
        attributes=key_values(**EVALUATION_ATTRIBUTES),
        flags=1,
        trace_id=TRACE_ID,
        span_id=CLIENT_ID,
        event_name="gen_ai.evaluation.result",
    )
    theirs = ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=key_values(**RESOURCE)),
                scope_logs=[ScopeLogs(scope=InstrumentationScope(name="sidelight.evaluation"), log_records=[record])],
            )
        ]
    )
    assert by_key(ours) == by_key(theirs)


def test_a_batch_shares_resource_and_scopes() -> None:
    batch = [evaluated_as(id=f"{number:032x}") for number in range(3)]
    [resource] = trace_request(*batch).resource_spans
    assert [len(scope.spans) for scope in resource.scope_spans] == [3, 3]


# Layout


def test_an_http_exchange_has_the_http_spans_alone() -> None:
    timing = msgspec.structs.replace(an_exchange().timing, sent_at=5 * MS)
    found = spans(evaluated_as(operation=None, wire="http", timing=timing, http=http_as(query="key=s3cret&a=1")))
    assert set(found) == {"SERVER", "CLIENT"}
    client = found["CLIENT"]
    assert client["name"] == "POST"
    assert client["scope"] == "sidelight.http"
    assert client["start"] == STARTED_AT + 5 * MS
    assert client["attributes"]["url.full"] == "https://api.openai.com:443/v1/chat/completions?key=REDACTED&a=1"
    assert client["attributes"]["http.response.status_code"] == 200
    assert not [key for key in client["attributes"] if key.startswith("gen_ai.")]


def test_without_a_caller_the_server_span_is_the_root() -> None:
    server = spans(evaluated_as())["SERVER"]
    assert (server["parent_span_id"], server["flags"]) == ("", 0x101)


def test_a_trace_its_caller_does_not_sample_says_so() -> None:
    found = spans(evaluated_as(trace=msgspec.structs.replace(TRACE, sampled=False)))
    assert {span["flags"] & 0xFF for span in found.values()} == {0}


def test_a_linked_evaluation_is_the_root_of_its_own_trace_and_points_at_the_call() -> None:
    trace = msgspec.structs.replace(TRACE, tracestate="v=1")
    evaluated = an_evaluated_exchange(exchange=an_exchange(trace=trace), entries=(an_entry(), an_entry(evaluator="b")))
    message = trace_request(evaluated, telling=Telling(evaluation_spans="linked"))
    *others, first, second = (s for each in message.resource_spans[0].scope_spans for s in each.spans)
    assert {span.trace_id for span in others} == {TRACE_ID}
    assert len({TRACE_ID, first.trace_id, second.trace_id}) == 3
    for span in (first, second):
        assert (len(span.trace_id), span.parent_span_id, span.trace_state, span.flags) == (16, b"", "", 0x101)
        assert list(span.links) == [Span.Link(trace_id=TRACE_ID, span_id=CLIENT_ID, trace_state="v=1", flags=0x101)]
    child = trace_request(evaluated).resource_spans[0].scope_spans[2].spans[0]
    assert (first.span_id, first.name, first.attributes) == (child.span_id, child.name, child.attributes)
    assert message == trace_request(evaluated, telling=Telling(evaluation_spans="linked"))


def test_evaluations_without_spans_are_events_alone() -> None:
    evaluated = an_evaluated_exchange(entries=(an_entry(),))
    assert set(spans(evaluated, Telling(evaluation_spans="none"))) == {"SERVER", "CLIENT"}
    assert len(list(logs_in(logs_request(evaluated, telling=Telling(evaluation_spans="none"))))) == 1


def test_ids_are_the_same_at_every_delivery_and_differ_between_evaluations() -> None:
    two = an_entry(evaluations=(Evaluation("a", 1.0), Evaluation("b", 1.0)))
    evaluated = an_evaluated_exchange(entries=(two, an_entry(evaluator="other")))
    other = an_evaluated_exchange(exchange=an_exchange(id="f" * 32), entries=evaluated.entries)
    assert trace_request(evaluated) == trace_request(evaluated)
    ids = [span["span_id"] for each in (evaluated, other) for span in spans_in(trace_request(each))]
    evaluations = set(ids) - {TRACE.server_span_id, TRACE.client_span_id}
    assert len(evaluations) == 6


def test_skipped_outcomes_leave_neither_span_nor_event() -> None:
    evaluated = an_evaluated_exchange(entries=(LedgerEntry("judge", "skipped", reason="budget"),))
    assert set(spans(evaluated)) == {"SERVER", "CLIENT"}
    assert list(logs_in(logs_request(evaluated))) == []


def test_an_evaluator_that_failed_is_told_even_without_an_evaluation() -> None:
    evaluated = an_evaluated_exchange(entries=(LedgerEntry("judge", "error", reason="timeout", duration=MS),))
    span = spans(evaluated)["evaluate judge"]
    assert span["status"] == Status.STATUS_CODE_ERROR
    assert span["attributes"]["error.type"] == "timeout"
    assert span["start"] == ENDED_AT
    [event] = logs_in(logs_request(evaluated))
    assert event["attributes"]["error.type"] == "timeout"
    assert event["attributes"]["gen_ai.evaluation.name"] == "judge"


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        (None, None, None),
        ("llm.internal", "llm.internal", None),
        ("127.0.0.1:4000", "127.0.0.1", 4000),
        ("[::1]:4000", "::1", 4000),
        ("two, hosts", None, None),
        ("a:b:c", None, None),
        ("", None, None),
    ],
)
def test_the_server_span_says_whom_the_client_asked_for(
    host: str | None, address: str | None, port: int | None
) -> None:
    attributes = spans(evaluated_as(http=http_as(host=host)))["SERVER"]["attributes"]
    assert (attributes.get("server.address"), attributes.get("server.port")) == (address, port)


@pytest.mark.parametrize(
    ("place", "on_span", "in_event"), [("both", True, True), ("spans", True, False), ("events", False, True)]
)
def test_texts_are_told_where_they_are_wanted(place: Any, on_span: bool, in_event: bool) -> None:
    telling = Telling("full", events=("details",), content_in=place)
    evaluated = an_evaluated_exchange()
    [details] = logs_in(logs_request(evaluated, telling=telling))
    assert ("gen_ai.input.messages" in spans(evaluated, telling)["CLIENT"]["attributes"]) is on_span
    assert ("gen_ai.input.messages" in details["attributes"]) is in_event


def test_a_failed_verdict_is_no_error_but_can_be_searched_for() -> None:
    entries = tuple(an_entry(evaluator=name, outcome="fail") for name in ("refusal", "judge/strict"))
    found = spans(an_evaluated_exchange(entries=entries))
    assert found["evaluate refusal"]["status"] == Status.STATUS_CODE_UNSET
    attributes = found["CLIENT"]["attributes"]
    assert attributes["sidelight.failed"] == ["refusal", "judge/strict"]
    assert attributes["sidelight.failed_by.refusal"] is attributes["sidelight.failed_by.judge/strict"] is True


# Status


@pytest.mark.parametrize(
    ("changes", "server", "client"),
    [
        ({"http": http_as(status=200)}, None, None),
        ({"http": http_as(status=404), "error_type": "404"}, None, "404"),
        ({"http": http_as(status=503), "error_type": "overloaded_error"}, "503", "overloaded_error"),
        ({"http": http_as(status=None), "error_type": "timeout", "complete": False}, "timeout", "timeout"),
        ({"error_type": "upstream_reset", "complete": False}, "upstream_reset", "upstream_reset"),
        ({"error_type": "client_disconnect", "complete": False}, None, None),
        ({"http": http_as(status=None), "error_type": "client_disconnect", "complete": False}, None, None),
    ],
)
def test_error_type_is_there_exactly_when_the_status_is_error(changes: Any, server: Any, client: Any) -> None:
    found = spans(evaluated_as(**changes))
    for span, error_type in ((found["SERVER"], server), (found["CLIENT"], client)):
        assert span["attributes"].get("error.type") == error_type
        assert span["status"] == (Status.STATUS_CODE_ERROR if error_type else Status.STATUS_CODE_UNSET)
        assert span["status_message"] == ""


def test_a_client_that_left_is_told_as_cancelled() -> None:
    attributes = spans(evaluated_as(error_type="client_disconnect", complete=False))["CLIENT"]["attributes"]
    assert attributes["sidelight.exchange.cancelled"] is True
    assert attributes["sidelight.exchange.complete"] is False


def test_a_choice_that_never_finished_has_the_finish_reason_error() -> None:
    broken_off = evaluated_as(output_messages=(answer("a"), answer("b", None)))
    attributes = spans(broken_off, Telling("full"))["CLIENT"]["attributes"]
    assert attributes["gen_ai.response.finish_reasons"] == ["stop", "error"]
    messages = json.loads(attributes["gen_ai.output.messages"])
    assert [message["finish_reason"] for message in messages] == ["stop", "error"]


@pytest.mark.parametrize(("complete", "reasons"), [(True, None), (False, ["error"])])
def test_an_answer_that_came_whole_without_a_reason_is_no_error(complete: bool, reasons: list[str] | None) -> None:
    exchange = evaluated_as(output_messages=(answer("a", None),), complete=complete)
    assert spans(exchange)["CLIENT"]["attributes"].get("gen_ai.response.finish_reasons") == reasons


# Secrets and content


@pytest.mark.parametrize(
    "secret", ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId", "Signature", "sig"]
)
def test_credentials_in_the_query_are_redacted(secret: str) -> None:
    found = spans(evaluated_as(operation=None, http=http_as(query=f"a=b&{secret}=hush=hush&flag&key=hush")))
    assert found["SERVER"]["attributes"]["url.query"] == f"a=b&{secret}=REDACTED&flag&key=REDACTED"
    assert "hush" not in str(found)


def a_canary(**changes: Any) -> EvaluatedExchange:
    text = Part("text", content="canary")
    told: dict[str, Any] = {
        "system_instructions": (text,),
        "input_messages": (Message("user", (text,)),),
        "output_messages": (Message("assistant", (text,), finish_reason="stop"),),
        "tool_definitions": ({"type": "function", "name": "canary"},),
        "error_type": "invalid_request",
        "error_message": "canary",
    }
    return evaluated_as(**told, **changes)


def test_no_content_leaves_by_default() -> None:
    for content in ("full", "redacted", "off"):
        assert "canary" not in str(trace_request(a_canary(content=content)))


def test_content_leaves_as_json_texts_when_allowed() -> None:
    client = spans(a_canary(), Telling("full"))["CLIENT"]
    attributes = client["attributes"]
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "canary"}]
    assert json.loads(attributes["gen_ai.input.messages"])[0]["role"] == "user"
    assert json.loads(attributes["gen_ai.output.messages"])[0]["finish_reason"] == "stop"
    assert json.loads(attributes["gen_ai.tool.definitions"]) == [{"type": "function", "name": "canary"}]
    assert client["status_message"] == "canary"


def test_an_exporter_that_may_tell_redacted_texts_gets_no_full_ones() -> None:
    assert "canary" not in str(trace_request(a_canary(content="full"), telling=Telling("redacted")))
    assert "canary" in str(trace_request(a_canary(content="redacted"), telling=Telling("redacted")))


def test_huge_values_are_cut() -> None:
    huge = "x" * 1_000_000
    http = http_as(path=huge, query=huge, user_agent=huge, method=huge)
    exchange = an_exchange(
        http=http,
        request_model=huge,
        response_model=huge,
        response_id=huge,
        parameters={"stop_sequences": [huge] * 100, "reasoning.level": huge},
        input_messages=(Message("user", (Part("text", content=huge),)),),
    )
    message = trace_request(an_evaluated_exchange(exchange=exchange), telling=Telling("full", 1000))
    assert len(message.SerializeToString()) < 100_000
    [client] = [span for span in spans_in(message) if span["kind"] == "CLIENT"]
    assert len(client["name"]) <= 256
    assert client["attributes"]["sidelight.content.truncated"] is True
    assert len(json.loads(client["attributes"]["gen_ai.input.messages"])) == 1


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("temperature", 1, 1.0),
        ("temperature", "hot", None),
        ("temperature", True, None),
        ("temperature", float("nan"), None),
        ("temperature", 10**400, None),
        ("max_tokens", 100.0, 100),
        ("max_tokens", 1.5, None),
        ("seed", 2**63, None),
        ("seed", -1, -1),
        ("top_k", "5", None),
        ("choice.count", 1, None),
        ("choice.count", 2, 2),
        ("stop_sequences", "one", ["one"]),
        ("stop_sequences", ["a", 1], None),
        ("stop_sequences", {"a": 1}, None),
        ("reasoning.level", "high", "high"),
        ("reasoning.level", 3, None),
        ("unheard_of", 1, None),
    ],
)
def test_a_parameter_is_told_only_if_it_has_its_type(name: str, value: Any, told: Any) -> None:
    attributes = spans(evaluated_as(parameters={name: value}))["CLIENT"]["attributes"]
    assert attributes.get(f"gen_ai.request.{name}") == told


HOSTILE = st.text(st.characters(codec=None), max_size=30)


@given(
    st.builds(
        http_as,
        method=HOSTILE,
        path=HOSTILE,
        query=st.none() | HOSTILE,
        user_agent=st.none() | HOSTILE,
        status=st.none() | st.integers(100, 599),
    ),
    st.builds(
        TraceContext, *map(st.just, (TRACE.trace_id, TRACE.server_span_id, TRACE.client_span_id)), tracestate=HOSTILE
    ),
    st.lists(HOSTILE, min_size=6, max_size=6),
    st.dictionaries(st.sampled_from(["temperature", "seed", "stop_sequences"]), st.integers() | st.floats() | HOSTILE),
    st.lists(st.builds(Evaluation, HOSTILE, st.none() | st.floats(), st.none() | HOSTILE, st.none() | HOSTILE)),
)
def test_whatever_a_client_sent_the_official_classes_can_read_it(
    http: Http, trace: TraceContext, texts: list[str], parameters: dict[str, Any], evaluations: list[Evaluation]
) -> None:
    exchange = an_exchange(
        http=http,
        trace=trace,
        request_model=texts[0],
        response_model=texts[1],
        response_id=texts[2],
        error_type=texts[3],
        error_message=texts[4],
        parameters=parameters,
        input_messages=(Message(texts[5], (Part("text", content=texts[4]),)),),
    )
    evaluated = EvaluatedExchange(exchange, (an_entry(evaluations=tuple(evaluations)),))
    assert len(list(spans_in(trace_request(evaluated, telling=Telling("full"))))) == 2 + len(evaluations)
    told = [record["event_name"] for record in logs_in(logs_request(evaluated))]
    assert told.count("gen_ai.evaluation.result") == len(evaluations)


def test_estimated_tokens_are_never_told_under_the_conventions_names() -> None:
    usage = Usage(input_tokens=9, output_tokens=3, source="estimated")
    (resource,) = trace_request(an_evaluated_exchange(exchange=an_exchange(usage=usage))).resource_spans
    (span,) = resource.scope_spans[1].spans
    told = {each.key: each.value.int_value or each.value.string_value for each in span.attributes}
    assert {key: value for key, value in told.items() if "usage" in key} == {
        "sidelight.usage.source": "estimated",
        "sidelight.usage.estimated.input_tokens": 9,
        "sidelight.usage.estimated.output_tokens": 3,
    }


def test_a_turn_is_a_child_of_its_connection_and_tells_nothing_of_http() -> None:
    (resource,) = trace_request(an_evaluated_exchange(exchange=an_exchange(turn=2))).resource_spans
    (scope,) = resource.scope_spans
    (span,) = scope.spans
    assert (scope.scope.name, span.parent_span_id) == ("sidelight.genai", SERVER_ID)
    assert {each.key: each.value.int_value for each in span.attributes}["sidelight.exchange.turn"] == 2

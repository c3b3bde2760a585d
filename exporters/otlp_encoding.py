"""Evaluated exchanges as OTLP spans and log records, written straight as protobuf.

Through the SDK and its encoder a span costs 60-90 µs, so the bytes are put together here and the official classes
are the oracle in the tests. Ids are derived from the exchange, so what is delivered twice is recognised as the same.

    (caller's span)
    └─ SERVER    POST /v1/chat/completions     http.*, url.*, client.*
       └─ CLIENT   chat gpt-4o                 gen_ai.*, server.* of the upstream   ◄── gen_ai.evaluation.result
          ├─ INTERNAL  evaluate refusal        gen_ai.evaluation.*                      (log records, one each)
          └─ INTERNAL  evaluate json_valid

An exchange no wire format knew has the HTTP CLIENT span instead of `chat`; a WebSocket's has it too, and below it a
`chat` for each turn. Evaluations are children in the same trace: a trace view then shows them under the call they
judge, which span links do not do in Jaeger. Where a tail sampler has closed the trace by then, they can have traces of
their own, linked to the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exporters import semconv
from exporters.dialect import Dialect
from exporters.otlp_evaluations import all_judgements, evaluation_event, evaluation_span
from exporters.otlp_genai_span import GenAI, operation_span
from exporters.otlp_http_spans import http_client_span, server_span
from exporters.otlp_langfuse import Langfuse
from exporters.otlp_openinference import OpenInference
from exporters.otlp_operation_events import operation_events
from exporters.otlp_span import DialectName, Telling
from exporters.protobuf import repeated, sized, text_attribute, utf8
from exporters.semconv import Scope
from pipeline.records import EvaluatedExchange

SPAN_SCOPES = (semconv.HTTP_SCOPE, semconv.GENAI_SCOPE, semconv.EVALUATION_SCOPE)
LOG_SCOPES = (semconv.GENAI_SCOPE, semconv.EVALUATION_SCOPE)
ELEMENT = b"\x12"  # scope_spans.spans, scope_logs.log_records
DIALECTS: Mapping[DialectName, Dialect] = {"genai": GenAI(), "openinference": OpenInference(), "langfuse": Langfuse()}

Encoded = tuple[bytes, ...]  # one exchange: its spans or records, by scope


def encode(evaluated: EvaluatedExchange, telling: Telling) -> tuple[Encoded, Encoded]:
    """The spans of one exchange by SPAN_SCOPES, and its events by LOG_SCOPES."""
    exchange, dialect = evaluated.exchange, DIALECTS[telling.dialect]
    http, genai, events = ([], [], []) if evaluated.late else encode_call(evaluated, telling, dialect)
    judgements = all_judgements(evaluated, telling)
    evaluations: list[bytes] = []
    if telling.evaluation_spans != "none":
        linked = telling.evaluation_spans == "linked"
        evaluations = [
            evaluation_span(exchange, each, dialect.evaluation(each, telling), linked=linked) for each in judgements
        ]
    results = [evaluation_event(exchange, each) for each in judgements if "evaluation" in telling.events]
    spans = (repeated(ELEMENT, http), repeated(ELEMENT, genai), repeated(ELEMENT, evaluations))
    return spans, (repeated(ELEMENT, events), repeated(ELEMENT, results))


def encode_call(
    evaluated: EvaluatedExchange, telling: Telling, dialect: Dialect
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The spans of HTTP and of the GenAI operation, and the events about it."""
    exchange = evaluated.exchange
    http = [server_span(exchange, telling, dialect.server)] if not exchange.turn else []  # a turn's connection told it
    if exchange.operation is None:
        return [*http, http_client_span(evaluated, telling)], [], []
    return http, [operation_span(evaluated, telling, dialect)], operation_events(evaluated, telling)


def request(resource: bytes, scopes: Sequence[Scope], items: Iterable[Encoded]) -> bytes:
    """An Export{Trace,Logs}ServiceRequest: both lay out resource, scopes and items under the same numbers."""
    by_scope = [
        b"\x12" + sized(scope_head(scope) + contents + scope_tail(scope))
        for scope, contents in zip(scopes, map(b"".join, zip(*items, strict=True)), strict=True)
        if contents
    ]
    return b"\x0a" + sized(resource + b"".join(by_scope))


def resource_field(attributes: Mapping[str, str]) -> bytes:
    """The Resource, ready for `request`."""
    return b"\x0a" + sized(repeated(b"\x0a", [text_attribute(key, value) for key, value in attributes.items()]))


def scope_head(scope: Scope) -> bytes:
    return b"\x0a" + sized(b"\x0a" + sized(utf8(scope.name)))


def scope_tail(scope: Scope) -> bytes:
    return b"\x1a" + sized(utf8(scope.schema_url)) if scope.schema_url else b""

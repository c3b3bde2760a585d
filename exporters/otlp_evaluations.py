"""Evaluations as OTLP: a span for the evaluator's work, and the `gen_ai.evaluation.result` event for what it said."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from exporters import semconv
from exporters.content import may_tell
from exporters.otlp_record import INFO, event
from exporters.otlp_span import INTERNAL, STATUS_ERROR, Telling, span
from exporters.outcome import judgements, weight_of
from exporters.protobuf import (
    common_attribute,
    double_attribute,
    text_attribute,
    utf8,
)
from pipeline.records import EvaluatedExchange, Evaluation, Exchange, LedgerEntry


class Judgement(NamedTuple):
    """One evaluation, who made it, and what its span and its event both say."""

    entry: LedgerEntry
    evaluation: Evaluation
    position: int  # among the entry's evaluations
    attributes: list[bytes]


def all_judgements(evaluated: EvaluatedExchange, telling: Telling) -> list[Judgement]:
    """Every evaluation of every evaluator that was not skipped."""
    response_id = evaluated.exchange.response_id
    common = [text_attribute(semconv.RESPONSE_ID, response_id[: telling.value])] if response_id else []
    quoting = may_tell(evaluated.exchange, telling.content)
    return [
        Judgement(entry, evaluation, position, [*shared, *own_attributes(evaluation, telling, quoting=quoting)])
        for entry in evaluated.entries
        for shared in ([*common, *entry_attributes(entry, weight_of(evaluated, entry))],)
        for position, evaluation in enumerate(judgements(entry))
    ]


def entry_attributes(entry: LedgerEntry, weight: float) -> list[bytes]:
    """What is the same for all that one evaluator says."""
    attributes = [common_attribute(semconv.EVALUATOR, entry.evaluator)]
    if entry.version is not None:
        attributes.append(common_attribute(semconv.EVALUATOR_VERSION, entry.version))
    if entry.calibration is not None:
        attributes.append(common_attribute(semconv.CALIBRATION, entry.calibration))
    if entry.cost is not None:
        attributes.append(double_attribute(semconv.EVALUATION_COST, entry.cost))
    if weight != 1:
        attributes.append(double_attribute(semconv.SAMPLING_WEIGHT, weight))
    return attributes


def own_attributes(evaluation: Evaluation, telling: Telling, *, quoting: bool) -> list[bytes]:
    """What it says; its own words only where the exchange's texts may be told, since they may quote them."""
    attributes = [common_attribute(semconv.EVALUATION_NAME, evaluation.name)]
    if evaluation.score_value is not None:
        attributes.append(double_attribute(semconv.EVALUATION_SCORE, evaluation.score_value))
    if evaluation.score_label is not None:
        attributes.append(common_attribute(semconv.EVALUATION_LABEL, evaluation.score_label))
    if evaluation.explanation is not None:
        attributes.append(common_attribute(semconv.EVALUATION_EXPLANATION, evaluation.explanation[: telling.value]))
    if evaluation.reasoning is not None and quoting:
        attributes.append(text_attribute(semconv.REASONING, evaluation.reasoning[: telling.value]))
    if evaluation.error_type is not None:
        attributes.append(common_attribute(semconv.ERROR_TYPE, evaluation.error_type))
    return attributes


def span_id_of(exchange: Exchange, judgement: Judgement) -> bytes:
    """The same 8 bytes whenever the same judgement is delivered."""
    name = f"{exchange.id}/{judgement.entry.evaluator}/{judgement.position}"
    return blake2b(utf8(name), digest_size=8).digest()


def times_of(exchange: Exchange, entry: LedgerEntry) -> tuple[int, int]:
    started_at = entry.started_at or exchange.timing.started_at + exchange.timing.ended_at
    return started_at, started_at + entry.duration


def trace_id_of(exchange: Exchange, judgement: Judgement) -> bytes:
    """Likewise, for a span that has a trace of its own."""
    name = f"{exchange.id}/{judgement.entry.evaluator}/{judgement.position}/trace"
    return blake2b(utf8(name), digest_size=16).digest()


def evaluation_span(
    exchange: Exchange, judgement: Judgement, attributes: list[bytes], *, linked: bool = False
) -> bytes:
    """The evaluator's own work: when, for how long, and what it said; a length-prefixed Span.

    Below the span of the call it judges, or `linked` to it in a trace of its own; `attributes` are a dialect's words.
    """
    entry = judgement.entry
    outcome = (common_attribute(semconv.OUTCOME, entry.outcome), text_attribute(semconv.EXCHANGE_ID, exchange.id))
    return span(
        exchange,
        span_id_of(exchange, judgement),
        exchange.trace.client_span_id,
        semconv.evaluation_span_name(entry.evaluator),
        INTERNAL,
        times_of(exchange, entry),
        [*attributes, *outcome],
        STATUS_ERROR if judgement.evaluation.error_type else b"",
        own_trace=trace_id_of(exchange, judgement) if linked else None,
    )


def evaluation_event(exchange: Exchange, judgement: Judgement) -> bytes:
    """The event, in the context of the span it judges; a length-prefixed LogRecord."""
    time = times_of(exchange, judgement.entry)[1]
    return event(semconv.EVALUATION_RESULT, INFO, exchange, time, judgement.attributes)

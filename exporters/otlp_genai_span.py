"""The GenAI operation of an exchange as a span."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporters import semconv
from exporters.content import as_json, may_tell
from exporters.otlp_span import Limits, client_span, failed, times_of, upstream_attributes
from exporters.outcome import genai_error
from exporters.parameters import parameter_attributes
from exporters.protobuf import (
    INT64,
    bytes_attribute,
    common_attribute,
    double_attribute,
    flag_attribute,
    int_attribute,
    text_attribute,
    texts_attribute,
)
from pipeline.records import EvaluatedExchange, Exchange, Message


def genai_span(evaluated: EvaluatedExchange, limits: Limits) -> bytes:
    """The operation as its caller sees it, by the GenAI conventions."""
    exchange = evaluated.exchange
    operation = exchange.operation or semconv.OTHER
    attributes = [
        common_attribute(semconv.OPERATION_NAME, operation),
        common_attribute(semconv.PROVIDER_NAME, exchange.provider or semconv.OTHER),
        *upstream_attributes(evaluated),
        *model_attributes(exchange, limits),
        *response_attributes(exchange, limits),
        *parameter_attributes(exchange.parameters, limits.value),
        *usage_attributes(exchange),
        *cost_attributes(exchange),
        *identity_attributes(exchange, limits),
        *(text_attribute(key, value[: limits.value]) for key, value in exchange.attributes.items()),
    ]
    telling = may_tell(exchange, limits.content)
    if telling:
        attributes += content_attributes(exchange, limits)
    # An upstream's error message may quote what was asked, so it is content too.
    status = failed(attributes, genai_error(exchange), exchange.error_message if telling else None)
    name = semconv.inference_span_name(operation, exchange.request_model)
    return client_span(exchange, name, times_of(exchange), attributes, status)


def model_attributes(exchange: Exchange, limits: Limits) -> list[bytes]:
    named = ((semconv.REQUEST_MODEL, exchange.request_model), (semconv.RESPONSE_MODEL, exchange.response_model))
    return [common_attribute(key, model[: limits.value]) for key, model in named if model]


def response_attributes(exchange: Exchange, limits: Limits) -> list[bytes]:
    attributes = []
    if exchange.stream:
        attributes.append(flag_attribute(semconv.REQUEST_STREAM, True))
        if exchange.timing.first_chunk_at is not None:
            attributes.append(double_attribute(semconv.TIME_TO_FIRST_CHUNK, exchange.timing.first_chunk_at / 1e9))
    if exchange.response_id:
        attributes.append(text_attribute(semconv.RESPONSE_ID, exchange.response_id[: limits.value]))
    if exchange.output_type:
        attributes.append(common_attribute(semconv.OUTPUT_TYPE, exchange.output_type))
    unsaid = exchange.complete and not any(message.finish_reason for message in exchange.output_messages)
    if exchange.output_messages and not unsaid:
        reasons = [str(message.finish_reason) for message in finished(exchange.output_messages)]
        attributes.append(texts_attribute(semconv.FINISH_REASONS, reasons))
    return attributes


def finished(messages: Sequence[Message]) -> list[Message]:
    """The choices, each with a finish reason, as the schema of output messages demands: `error` where it never came."""
    return [
        message if message.finish_reason else msgspec.structs.replace(message, finish_reason="error")
        for message in messages
    ]


def usage_attributes(exchange: Exchange) -> list[bytes]:
    """The conventions' names for what the provider counted, ours for what is only estimated."""
    usage = exchange.usage
    attributes = [common_attribute(semconv.USAGE_SOURCE, usage.source)]
    named: tuple[tuple[str, int | None], ...]
    if usage.source == "estimated":
        named = (
            (semconv.ESTIMATED_INPUT_TOKENS, usage.input_tokens),
            (semconv.ESTIMATED_OUTPUT_TOKENS, usage.output_tokens),
        )
    else:
        named = tuple((key, getattr(usage, field)) for field, key in semconv.USAGE.items())
    attributes += [int_attribute(key, count) for key, count in named if count is not None and count in INT64]
    for name, amount in usage.details.items():
        if key := semconv.USAGE_DETAILS.get(name):
            whole = int(amount) if amount == int(amount) else None
            attributes.append(double_attribute(key, amount) if whole is None else int_attribute(key, whole))
    return attributes


def cost_attributes(exchange: Exchange) -> list[bytes]:
    """What it cost, in US dollars; nothing when that is not known."""
    cost = exchange.cost
    if cost is None:
        return []
    attributes = [
        double_attribute(semconv.COST_TOTAL, cost.total),
        double_attribute(semconv.COST_INPUT, cost.input),
        double_attribute(semconv.COST_OUTPUT, cost.output),
        common_attribute(semconv.COST_SOURCE, cost.source),
    ]
    return [*attributes, flag_attribute(semconv.COST_ESTIMATED, True)] if cost.estimated else attributes


def identity_attributes(exchange: Exchange, limits: Limits) -> list[bytes]:
    """Who asked, in which conversation, with which prompt; only a hash tells the user."""
    told = (
        (semconv.CONVERSATION_ID, exchange.conversation),
        (semconv.SESSION_ID, exchange.session),
        (semconv.USER_HASH, exchange.user),
        (semconv.PROMPT_FINGERPRINT, exchange.prompt_fingerprint),
    )
    sources = (
        (semconv.SESSION_SOURCE, exchange.session_source),
        (semconv.USER_SOURCE, exchange.user_source),
        (semconv.CONTEXT_SOURCE, exchange.context_source),
    )
    attributes = [text_attribute(key, value[: limits.value]) for key, value in told if value]
    attributes += [common_attribute(key, value) for key, value in sources if value]
    return [*attributes, int_attribute(semconv.TURN, exchange.turn)] if exchange.turn else attributes


def content_attributes(exchange: Exchange, limits: Limits) -> list[bytes]:
    """The texts as JSON, the form every backend reads on spans."""
    texts = (
        (semconv.SYSTEM_INSTRUCTIONS, exchange.system_instructions),
        (semconv.INPUT_MESSAGES, exchange.input_messages),
        (semconv.OUTPUT_MESSAGES, finished(exchange.output_messages)),
        (semconv.TOOL_DEFINITIONS, exchange.tool_definitions),
    )
    told = [(key, json) for key, items in texts if (json := as_json(items, limits.value))]
    attributes = [bytes_attribute(key, json.text) for key, json in told]
    if any(json.truncated for _, json in told):
        attributes.append(flag_attribute(semconv.CONTENT_TRUNCATED, True))
    return attributes

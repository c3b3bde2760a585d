"""The GenAI operation of an exchange as a span, in the conventions' words or those of a dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from exporters import semconv
from exporters.content import as_json, may_tell
from exporters.dialect import Dialect
from exporters.otlp_evaluations import Judgement
from exporters.otlp_span import Telling, client_span, failed, times_of, upstream_attributes
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
from pipeline.records import EvaluatedExchange, Exchange, Json, Message


class GenAI:
    """The conventions' own names: the dialect of every backend that is not told otherwise."""

    server: ClassVar[Sequence[bytes]] = ()

    def operation(self, evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
        return operation_attributes(evaluated, telling)

    def content(self, exchange: Exchange, telling: Telling) -> list[bytes]:
        return content_attributes(exchange, telling)

    def evaluation(self, judgement: Judgement, telling: Telling) -> list[bytes]:
        return judgement.attributes


def operation_span(evaluated: EvaluatedExchange, telling: Telling, dialect: Dialect) -> bytes:
    """The operation as its caller sees it; a length-prefixed Span."""
    exchange = evaluated.exchange
    attributes = dialect.operation(evaluated, telling)
    message = None
    if may_tell(exchange, telling.on_spans):
        attributes += dialect.content(exchange, telling)
        message = exchange.error_message  # it may quote what was asked, so it is content too
    status = failed(attributes, genai_error(exchange), message)
    name = semconv.inference_span_name(exchange.operation or semconv.OTHER, exchange.request_model)
    return client_span(exchange, name, times_of(exchange), attributes, status)


def operation_attributes(evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
    """What it says but for its texts."""
    exchange = evaluated.exchange
    return [
        *kind_attributes(exchange),
        *upstream_attributes(evaluated),
        *model_attributes(exchange, telling),
        *response_attributes(exchange, telling),
        *parameter_attributes(exchange.parameters, telling.value),
        *usage_attributes(exchange),
        *cost_attributes(exchange),
        *identity_attributes(exchange, telling),
        *further_attributes(exchange, telling),
    ]


def kind_attributes(exchange: Exchange) -> list[bytes]:
    return [
        common_attribute(semconv.OPERATION_NAME, exchange.operation or semconv.OTHER),
        common_attribute(semconv.PROVIDER_NAME, exchange.provider or semconv.OTHER),
    ]


def model_attributes(exchange: Exchange, telling: Telling) -> list[bytes]:
    named = ((semconv.REQUEST_MODEL, exchange.request_model), (semconv.RESPONSE_MODEL, exchange.response_model))
    return [common_attribute(key, model[: telling.value]) for key, model in named if model]


def response_attributes(exchange: Exchange, telling: Telling) -> list[bytes]:
    attributes = []
    if exchange.stream:
        attributes.append(flag_attribute(semconv.REQUEST_STREAM, True))
        if exchange.timing.first_chunk_at is not None:
            attributes.append(double_attribute(semconv.TIME_TO_FIRST_CHUNK, exchange.timing.first_chunk_at / 1e9))
    if exchange.response_id:
        attributes.append(text_attribute(semconv.RESPONSE_ID, exchange.response_id[: telling.value]))
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
    return attributes + [
        counted(key, amount) for name, amount in usage.details.items() if (key := semconv.USAGE_DETAILS.get(name))
    ]


def counted(key: str, amount: float) -> bytes:
    """A count of tokens or things, or an amount of seconds."""
    is_double = semconv.ATTRIBUTES[key].type == "double"
    return double_attribute(key, amount) if is_double else int_attribute(key, int(amount))


def further_attributes(exchange: Exchange, telling: Telling) -> list[bytes]:
    """What the wire format knows beyond that; numbers among it are numbers again."""
    return [
        attribute
        for key, value in exchange.attributes.items()
        if (attribute := further_attribute(key, value[: telling.value])) is not None
    ]


def further_attribute(key: str, value: str) -> bytes | None:
    """None for what should be a number and is none."""
    known = semconv.ATTRIBUTES.get(key)
    try:
        match known and known.type:
            case "int":
                return int_attribute(key, int(value)) if int(value) in INT64 else None
            case "double":
                return double_attribute(key, float(value))
    except ValueError:
        return None
    return text_attribute(key, value)


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


def identity_attributes(exchange: Exchange, telling: Telling) -> list[bytes]:
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
    attributes = [text_attribute(key, value[: telling.value]) for key, value in told if value]
    attributes += [common_attribute(key, value) for key, value in sources if value]
    return [*attributes, int_attribute(semconv.TURN, exchange.turn)] if exchange.turn else attributes


def texts_of(exchange: Exchange) -> tuple[tuple[str, Sequence[Any]], ...]:
    """What was said, under the conventions' names."""
    return (
        (semconv.SYSTEM_INSTRUCTIONS, exchange.system_instructions),
        (semconv.INPUT_MESSAGES, exchange.input_messages),
        (semconv.OUTPUT_MESSAGES, finished(exchange.output_messages)),
        (semconv.TOOL_DEFINITIONS, [named_tool(tool) for tool in exchange.tool_definitions]),
    )


def named_tool(tool: Json) -> Json:
    """A provider's own tools have no name but their type, and the schema asks for one."""
    return {"name": tool["type"], **tool} if isinstance(tool, dict) and "type" in tool else tool


def content_attributes(exchange: Exchange, telling: Telling) -> list[bytes]:
    """The texts as JSON, the form every backend reads on spans."""
    told = [(key, json) for key, items in texts_of(exchange) if (json := as_json(items, telling.value))]
    attributes = [bytes_attribute(key, json.text) for key, json in told]
    if any(json.truncated for _, json in told):
        attributes.append(flag_attribute(semconv.CONTENT_TRUNCATED, True))
    return attributes

"""Events about the GenAI operation itself: that it failed, and all of it for backends that take no spans."""

from __future__ import annotations

from exporters import semconv
from exporters.content import as_values, may_tell
from exporters.otlp_genai_span import kind_attributes, operation_attributes, texts_of
from exporters.otlp_record import DEBUG, WARN, event
from exporters.otlp_span import LONGEST_MESSAGE, LONGEST_NAME, Telling, times_of
from exporters.outcome import genai_error
from exporters.protobuf import common_attribute, flag_attribute, text_attribute, value_attribute
from pipeline.records import EvaluatedExchange


def operation_events(evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
    """Those that apply and are asked for; length-prefixed LogRecords."""
    events = []
    error = genai_error(evaluated.exchange)
    if error is not None and "exception" in telling.events:
        events.append(exception_event(evaluated, error, telling))
    if "details" in telling.events:
        events.append(details_event(evaluated, error, telling))
    return events


def exception_event(evaluated: EvaluatedExchange, error: str, telling: Telling) -> bytes:
    exchange = evaluated.exchange
    attributes = [common_attribute(semconv.EXCEPTION_TYPE, error[:LONGEST_NAME]), *kind_attributes(exchange)]
    if exchange.request_model:
        attributes.append(common_attribute(semconv.REQUEST_MODEL, exchange.request_model[: telling.value]))
    if exchange.error_message and may_tell(exchange, telling.on_events):
        attributes.append(text_attribute(semconv.EXCEPTION_MESSAGE, exchange.error_message[:LONGEST_MESSAGE]))
    return event(semconv.OPERATION_EXCEPTION, WARN, exchange, times_of(exchange)[1], attributes)


def details_event(evaluated: EvaluatedExchange, error: str | None, telling: Telling) -> bytes:
    """What its span says; texts are structured here, as the conventions ask of events."""
    exchange = evaluated.exchange
    attributes = operation_attributes(evaluated, telling)
    if error is not None:
        attributes.append(common_attribute(semconv.ERROR_TYPE, error[:LONGEST_NAME]))
    if may_tell(exchange, telling.on_events):
        told = [(key, values) for key, items in texts_of(exchange) if (values := as_values(items, telling.value))]
        attributes += [value_attribute(key, values.items) for key, values in told]
        if any(values.truncated for _, values in told):
            attributes.append(flag_attribute(semconv.CONTENT_TRUNCATED, True))
    return event(semconv.OPERATION_DETAILS, DEBUG, exchange, times_of(exchange)[1], attributes)

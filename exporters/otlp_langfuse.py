"""The dialect of Langfuse: the conventions' names as it reads them, and its own where it reads no others.

Every numeric `gen_ai.usage.*` is taken there, and what is not known is added to the total: no name may be sent that it
would count twice. Source: langfuse/langfuse 4.16, packages/shared/src/server/otel.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

import orjson

from exporters import semconv
from exporters.otlp_evaluations import Judgement
from exporters.otlp_genai_span import (
    content_attributes,
    cost_attributes,
    further_attributes,
    identity_attributes,
    kind_attributes,
    model_attributes,
    response_attributes,
)
from exporters.otlp_span import Telling, upstream_attributes
from exporters.parameters import parameter_attributes
from exporters.protobuf import INT64, bytes_attribute, common_attribute, int_attribute, text_attribute
from pipeline.records import EvaluatedExchange, Exchange

TYPE: Final = "langfuse.observation.type"
TYPES: Final = {"retrieval": "retriever", "embeddings": "embedding"}
GENERATIONS: Final = ("chat", "text_completion", "generate_content")
USAGE: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_input_tokens": "gen_ai.usage.cache_creation.input_tokens",  # the name it had until September 2026
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}


class Langfuse:
    """No modalities, cache writes by their older name, observation types, and the time of the first chunk."""

    server: ClassVar[Sequence[bytes]] = (text_attribute(TYPE, "span"),)

    def operation(self, evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
        exchange = evaluated.exchange
        return [
            common_attribute(TYPE, type_of(exchange)),
            *kind_attributes(exchange),
            *upstream_attributes(evaluated),
            *model_attributes(exchange, telling),
            *response_attributes(exchange, telling),
            *parameter_attributes(exchange.parameters, telling.value),
            *usage_attributes(exchange),
            *price_attributes(exchange),
            *identity_attributes(exchange, telling),
            *([text_attribute("langfuse.user.id", exchange.user)] if exchange.user else []),
            *first_chunk_attributes(exchange),
            *further_attributes(exchange, telling),
        ]

    def content(self, exchange: Exchange, telling: Telling) -> list[bytes]:
        return content_attributes(exchange, telling)

    def evaluation(self, judgement: Judgement, telling: Telling) -> list[bytes]:
        return [*judgement.attributes, common_attribute(TYPE, "evaluator")]


def type_of(exchange: Exchange) -> str:
    operation = exchange.operation or ""
    return "generation" if operation in GENERATIONS else TYPES.get(operation, "span")


def usage_attributes(exchange: Exchange) -> list[bytes]:
    """Only what the provider reported: an estimate under these names would be taken for a count."""
    usage = exchange.usage
    told = [common_attribute(semconv.USAGE_SOURCE, usage.source)]
    if usage.source == "estimated":
        return told
    counts = ((key, getattr(usage, field)) for field, key in USAGE.items())
    return told + [int_attribute(key, count) for key, count in counts if count is not None and count in INT64]


def price_attributes(exchange: Exchange) -> list[bytes]:
    cost = exchange.cost
    if cost is None:
        return []
    details = orjson.dumps({"input": cost.input, "output": cost.output, "total": cost.total})
    return [bytes_attribute("langfuse.observation.cost_details", details), *cost_attributes(exchange)]


def first_chunk_attributes(exchange: Exchange) -> list[bytes]:
    first = exchange.timing.first_chunk_at
    if first is None:
        return []
    moment = datetime.fromtimestamp((exchange.timing.started_at + first) / 1e9, UTC)
    return [text_attribute("langfuse.observation.completion_start_time", moment.isoformat(timespec="microseconds"))]

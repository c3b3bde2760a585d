"""The dialect of Arize Phoenix and others that read OpenInference: `llm.*` in the place of `gen_ai.*`.

Source: Arize-ai/openinference, spec/semantic_conventions.md and spec/annotations.md (August 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from exporters import semconv
from exporters.content import as_json, cut
from exporters.otlp_evaluations import Judgement
from exporters.otlp_genai_span import cost_attributes, further_attributes, identity_attributes
from exporters.otlp_span import Telling, upstream_attributes
from exporters.protobuf import (
    INT64,
    bytes_attribute,
    common_attribute,
    double_attribute,
    flag_attribute,
    int_attribute,
    text_attribute,
)
from pipeline.records import EvaluatedExchange, Exchange, Message, Part, text_of

KIND: Final = "openinference.span.kind"
KINDS: Final = {
    "chat": "LLM",
    "text_completion": "LLM",
    "generate_content": "LLM",
    "embeddings": "EMBEDDING",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
}
# llm.provider is who hosts, llm.system whose model family's API it is; elsewhere they are as the conventions have them.
PROVIDERS: Final = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistralai",
    "x_ai": "xai",
}
SYSTEMS: Final = {"azure.ai.openai": "openai", "gcp.vertex_ai": "vertexai", "mistral_ai": "mistralai", "x_ai": "xai"}
MOST_MESSAGES: Final = 64  # each is several attributes; the newest are told


class OpenInference:
    """Flattened messages and `llm.*` names."""

    server: ClassVar[Sequence[bytes]] = (text_attribute(KIND, "CHAIN"),)

    def operation(self, evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
        exchange = evaluated.exchange
        kind = KINDS.get(exchange.operation or "", "CHAIN")
        return [
            text_attribute(KIND, kind),
            *upstream_attributes(evaluated),
            *model_attributes(exchange, kind, telling),
            *token_attributes(exchange),
            *price_attributes(exchange),
            *identity_attributes(exchange, telling),
            *([text_attribute("user.id", exchange.user)] if exchange.user else []),
            *further_attributes(exchange, telling),
        ]

    def content(self, exchange: Exchange, telling: Telling) -> list[bytes]:
        asked, answered = as_asked(exchange), exchange.output_messages
        told = [
            *message_attributes("llm.input_messages", asked, telling.value),
            *message_attributes("llm.output_messages", answered, telling.value),
            *tool_attributes(exchange, telling.value),
            *value_attributes("output", answered, telling.value),
            *value_attributes("input", asked[-1:], telling.value),
        ]
        if max(len(asked), len(answered), len(exchange.tool_definitions)) > MOST_MESSAGES:
            told.append(flag_attribute(semconv.CONTENT_TRUNCATED, True))
        return told

    def evaluation(self, judgement: Judgement, telling: Telling) -> list[bytes]:
        evaluation = judgement.evaluation
        prefix = "evaluations.0.evaluation"
        told = [
            text_attribute(KIND, "EVALUATOR"),
            common_attribute(semconv.EVALUATOR, judgement.entry.evaluator),
            common_attribute(f"{prefix}.name", evaluation.name),
            common_attribute(f"{prefix}.annotator_kind", "CODE"),
        ]
        if evaluation.score_value is not None:
            told.append(double_attribute(f"{prefix}.score", evaluation.score_value))
        if evaluation.score_label is not None:
            told.append(common_attribute(f"{prefix}.label", evaluation.score_label))
        if evaluation.explanation is not None:
            told.append(common_attribute(f"{prefix}.explanation", evaluation.explanation[: telling.value]))
        if evaluation.error_type is not None:
            told.append(common_attribute(semconv.ERROR_TYPE, evaluation.error_type))
        return told


def model_attributes(exchange: Exchange, kind: str, telling: Telling) -> list[bytes]:
    provider = exchange.provider or semconv.OTHER
    told = [
        common_attribute("llm.provider", PROVIDERS.get(provider, provider)),
        common_attribute("llm.system", SYSTEMS.get(provider, provider)),
    ]
    named = (
        ("embedding.model_name" if kind == "EMBEDDING" else "llm.model_name",
         exchange.response_model or exchange.request_model),
        ("llm.request.model_name", exchange.request_model),
        ("llm.response.model_name", exchange.response_model),
    )  # fmt: skip
    told += [common_attribute(key, model[: telling.value]) for key, model in named if model]
    if parameters := {name: value for name, value in exchange.parameters.items() if name in semconv.PARAMETERS}:
        text = msgspec.json.encode(cut(parameters, telling.value))
        if len(text) <= telling.value:
            told.append(bytes_attribute("llm.invocation_parameters", text))
    reasons = [message.finish_reason for message in exchange.output_messages if message.finish_reason]
    if reasons:
        told.append(common_attribute("llm.finish_reason", reasons[0]))
    return told


def token_attributes(exchange: Exchange) -> list[bytes]:
    """Only what the provider reported; an estimate has names of ours."""
    usage = exchange.usage
    told = [common_attribute(semconv.USAGE_SOURCE, usage.source)]
    prompt, completion = usage.input_tokens, usage.output_tokens
    if usage.source == "estimated":
        counts = [(semconv.ESTIMATED_INPUT_TOKENS, prompt), (semconv.ESTIMATED_OUTPUT_TOKENS, completion)]
    else:
        counts = [
            ("llm.token_count.prompt", prompt),
            ("llm.token_count.completion", completion),
            ("llm.token_count.total", None if prompt is None or completion is None else prompt + completion),
            ("llm.token_count.prompt_details.cache_read", usage.cache_read_input_tokens),
            ("llm.token_count.prompt_details.cache_write", usage.cache_write_input_tokens),
            ("llm.token_count.completion_details.reasoning", usage.reasoning_output_tokens),
            ("llm.token_count.prompt_details.audio", whole(usage.details, "audio.input_tokens")),
            ("llm.token_count.completion_details.audio", whole(usage.details, "audio.output_tokens")),
        ]
    return told + [int_attribute(key, count) for key, count in counts if count is not None and count in INT64]


def whole(details: Mapping[str, float], name: str) -> int | None:
    return int(details[name]) if name in details else None


def price_attributes(exchange: Exchange) -> list[bytes]:
    cost = exchange.cost
    if cost is None:
        return []
    parts = (("prompt", cost.input), ("completion", cost.output), ("total", cost.total))
    return [*(double_attribute(f"llm.cost.{part}", value) for part, value in parts), *cost_attributes(exchange)]


def as_asked(exchange: Exchange) -> tuple[Message, ...]:
    """The system instructions are a message there."""
    instructions = exchange.system_instructions
    return ((Message("system", instructions),) if instructions else ()) + exchange.input_messages


def message_attributes(prefix: str, messages: Sequence[Message], longest: int) -> Iterator[bytes]:
    for number, message in enumerate(messages[-MOST_MESSAGES:]):
        here = f"{prefix}.{number}.message"
        yield common_attribute(f"{here}.role", message.role[:longest])
        if text := text_of((message,)):
            yield text_attribute(f"{here}.content", text[:longest])
        yield from call_attributes(here, message, longest)


def call_attributes(here: str, message: Message, longest: int) -> Iterator[bytes]:
    """The tools it calls, or whose answer it is."""
    calls = [part for part in message.parts if part.type == "tool_call"]
    for number, part in enumerate(calls[:MOST_MESSAGES]):
        call = f"{here}.tool_calls.{number}.tool_call"
        if part.id:
            yield text_attribute(f"{call}.id", part.id[:longest])
        if part.name:
            yield common_attribute(f"{call}.function.name", part.name[:longest])
        yield text_attribute(f"{call}.function.arguments", as_text(part.arguments)[:longest])
    answers = [part for part in message.parts if part.type == "tool_call_response"]
    if answers:
        yield from answer_attributes(here, answers[0], longest)


def answer_attributes(here: str, part: Part, longest: int) -> Iterator[bytes]:
    if part.id:
        yield text_attribute(f"{here}.tool_call_id", part.id[:longest])
    yield text_attribute(f"{here}.content", as_text(part.response)[:longest])


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON; what JSON cannot hold is left out."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


def tool_attributes(exchange: Exchange, longest: int) -> Iterator[bytes]:
    for number, tool in enumerate(exchange.tool_definitions[:MOST_MESSAGES]):
        text = as_text(tool)
        if text and len(text) <= longest:
            yield text_attribute(f"llm.tools.{number}.tool.json_schema", text)


def value_attributes(side: str, messages: Sequence[Message], longest: int) -> list[bytes]:
    """`input.value`, `output.value`: the text, or JSON where there is none."""
    if text := text_of(tuple(messages)):
        return [text_attribute(f"{side}.value", text[:longest]), common_attribute(f"{side}.mime_type", "text/plain")]
    json = as_json(messages, longest)
    if json is None:
        return []
    return [bytes_attribute(f"{side}.value", json.text), common_attribute(f"{side}.mime_type", "application/json")]

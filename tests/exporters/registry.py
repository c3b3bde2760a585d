"""What the official registries say of the names that Sidelight uses: our own short table, to hold ours against.

Sources: open-telemetry/semantic-conventions-genai at 6fd0d76, model/gen-ai/{registry,spans,metrics,events}.yaml and
docs/gen-ai/gen-ai-{input-messages,output-messages,system-instructions,tool-definitions}.json; the rest from
open-telemetry/semantic-conventions v1.44.0, model/{http,url,server,client,network,error,exception,user-agent,session,
user}/*.yaml. Names that a registry gives members for are strings.
"""

from __future__ import annotations

from typing import Any

GENAI = {
    "gen_ai.operation.name": "string",
    "gen_ai.provider.name": "string",
    "gen_ai.conversation.id": "string",
    "gen_ai.output.type": "string",
    "gen_ai.request.choice.count": "int",
    "gen_ai.request.model": "string",
    "gen_ai.request.seed": "int",
    "gen_ai.request.stream": "boolean",
    "gen_ai.request.stream_cursor": "string",
    "gen_ai.request.top_k": "int",
    "gen_ai.request.frequency_penalty": "double",
    "gen_ai.request.presence_penalty": "double",
    "gen_ai.request.temperature": "double",
    "gen_ai.request.top_p": "double",
    "gen_ai.request.max_tokens": "int",
    "gen_ai.request.stop_sequences": "string[]",
    "gen_ai.request.encoding_formats": "string[]",
    "gen_ai.request.previous_response.id": "string",
    "gen_ai.request.reasoning.level": "string",
    "gen_ai.response.finish_reasons": "string[]",
    "gen_ai.response.id": "string",
    "gen_ai.response.model": "string",
    "gen_ai.response.status": "string",
    "gen_ai.response.time_to_first_chunk": "double",
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    "gen_ai.usage.cache_read.input_tokens": "int",
    "gen_ai.usage.cache_write.input_tokens": "int",
    "gen_ai.usage.reasoning.output_tokens": "int",
    "gen_ai.usage.text.input_tokens": "int",
    "gen_ai.usage.image.input_tokens": "int",
    "gen_ai.usage.audio.input_tokens": "int",
    "gen_ai.usage.text.output_tokens": "int",
    "gen_ai.usage.image.output_tokens": "int",
    "gen_ai.usage.audio.output_tokens": "int",
    "gen_ai.usage.text.cache_read.input_tokens": "int",
    "gen_ai.usage.image.cache_read.input_tokens": "int",
    "gen_ai.usage.audio.cache_read.input_tokens": "int",
    "gen_ai.embeddings.dimension.count": "int",
    "gen_ai.input.messages": "any",
    "gen_ai.output.messages": "any",
    "gen_ai.system_instructions": "any",
    "gen_ai.tool.definitions": "any",
    "gen_ai.token.type": "string",
    "gen_ai.token.modality": "string",
    "gen_ai.evaluation.name": "string",
    "gen_ai.evaluation.score.value": "double",
    "gen_ai.evaluation.score.label": "string",
    "gen_ai.evaluation.explanation": "string",
    "openai.api.type": "string",
    "openai.request.service_tier": "string",
    "openai.response.service_tier": "string",
    "openai.response.system_fingerprint": "string",
    "aws.bedrock.guardrail.id": "string",
}
GENERAL = {
    "http.request.method": "string",
    "http.request.method_original": "string",
    "http.request.body.size": "int",
    "http.response.body.size": "int",
    "http.response.status_code": "int",
    "http.route": "string",
    "url.full": "string",
    "url.path": "string",
    "url.query": "string",
    "url.scheme": "string",
    "client.address": "string",
    "client.port": "int",
    "network.peer.address": "string",
    "network.peer.port": "int",
    "server.address": "string",
    "server.port": "int",
    "network.protocol.version": "string",
    "user_agent.original": "string",
    "error.type": "string",
    "exception.type": "string",
    "exception.message": "string",
    "session.id": "string",
    "user.id": "string",
    "user.hash": "string",
}
ATTRIBUTES = {**GENAI, **GENERAL}

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
OPERATION = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

# Name → (instrument, unit, advised buckets)
METRICS: dict[str, tuple[str, str, list[float]]] = {
    "http.server.request.duration": ("histogram", "s", SECONDS),
    "http.client.request.duration": ("histogram", "s", SECONDS),
    "gen_ai.client.inference.duration": ("histogram", "s", OPERATION),
    "gen_ai.client.inference.time_to_first_chunk": ("histogram", "s", OPERATION),
    "gen_ai.client.inference.time_per_output_chunk": ("histogram", "s", OPERATION),
    "gen_ai.client.inference.operation.input_tokens": ("histogram", "{token}", TOKENS),
    "gen_ai.client.inference.operation.output_tokens": ("histogram", "{token}", TOKENS),
    "gen_ai.client.inference.usage.input_tokens": ("counter", "{token}", []),
    "gen_ai.client.inference.usage.output_tokens": ("counter", "{token}", []),
    "gen_ai.client.inference.usage.cache_read.input_tokens": ("counter", "{token}", []),
    "gen_ai.client.inference.usage.cache_write.input_tokens": ("counter", "{token}", []),
    "gen_ai.client.inference.usage.reasoning.output_tokens": ("counter", "{token}", []),
    "gen_ai.client.operation.duration": ("histogram", "s", OPERATION),
    # The names before September 2026.
    "gen_ai.client.operation.time_to_first_chunk": ("histogram", "s", OPERATION),
    "gen_ai.client.operation.time_per_output_chunk": ("histogram", "s", OPERATION),
    "gen_ai.client.token.usage": ("histogram", "{token}", TOKENS),
}
# Metric (or the beginning of its name) → attributes that it must have, and that it may have
METRIC_ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "http.server.request.duration": (
        {"http.request.method", "url.scheme"},
        {"http.response.status_code", "error.type", "http.route", "network.protocol.version"},
    ),
    "http.client.request.duration": (
        {"http.request.method", "server.address", "server.port"},
        {"http.response.status_code", "error.type", "network.protocol.version"},
    ),
    "gen_ai.client.": (
        {"gen_ai.operation.name", "gen_ai.provider.name"},
        {
            "gen_ai.request.model",
            "gen_ai.response.model",
            "server.address",
            "server.port",
            "gen_ai.token.modality",
            "gen_ai.token.type",
            "error.type",
        },
    ),
}

# Event → attributes that it must have
EVENTS: dict[str, set[str]] = {
    "gen_ai.evaluation.result": {"gen_ai.evaluation.name"},
    "gen_ai.client.inference.operation.details": {"gen_ai.operation.name"},
    "gen_ai.client.operation.exception": {"exception.type"},
}

DEPRECATED = {
    "gen_ai.system",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.openai.request.response_format",
    "gen_ai.openai.request.seed",
    "http.method",
    "http.status_code",
    "http.url",
    "enduser.id",
}


# The definitions of messages: what a part of each type must hold; anything may hold more.
def part(kind: str, **members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **members},
        "required": ["type", *members],
    }


TEXT: dict[str, Any] = {"type": "string"}
TYPED = {"type": "object", "properties": {"type": TEXT}, "required": ["type"]}
PARTS: dict[str, dict[str, Any]] = {
    "text": part("text", content=TEXT),
    "reasoning": part("reasoning", content=TEXT),
    "tool_call": part("tool_call", name=TEXT),
    "tool_call_response": part("tool_call_response", response={}),
    "server_tool_call": part("server_tool_call", name=TEXT, server_tool_call=TYPED),
    "server_tool_call_response": part("server_tool_call_response", server_tool_call_response=TYPED),
    "uri": part("uri", modality=TEXT, uri=TEXT),
    "file": part("file", modality=TEXT, file_id=TEXT),
    "compaction": part("compaction"),
    # What has no definition there, or is told without the member that one asks for, is a generic part: a refusal, and
    # binary content, of which only size and digest are kept.
    "refusal": TYPED,
    "blob": TYPED,
    "generic": TYPED,
}
ANY_PART = {
    **TYPED,
    "allOf": [{"if": {"properties": {"type": {"const": kind}}}, "then": schema} for kind, schema in PARTS.items()],
}
OPTIONAL_TEXT = {"type": ["string", "null"]}
MESSAGE = {"role": TEXT, "parts": {"type": "array", "items": ANY_PART}, "name": OPTIONAL_TEXT}
SCHEMAS: dict[str, dict[str, Any]] = {
    "gen_ai.input.messages": {
        "type": "array",
        "items": {"type": "object", "properties": MESSAGE, "required": ["role", "parts"]},
    },
    "gen_ai.output.messages": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {**MESSAGE, "finish_reason": TEXT},
            "required": ["role", "parts", "finish_reason"],
        },
    },
    "gen_ai.system_instructions": {"type": "array", "items": ANY_PART},
    "gen_ai.tool.definitions": {
        "type": "array",
        "items": {"type": "object", "properties": {"type": TEXT, "name": TEXT}, "required": ["type", "name"]},
    },
}

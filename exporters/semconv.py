"""Every name that leaves Sidelight, in one table.

Sources: `gen_ai.*` from open-telemetry/semantic-conventions-genai at 6fd0d76 (October 2026; unreleased, all of it
Development), `http.*`, `url.*` and the rest from open-telemetry/semantic-conventions v1.44.0. What no convention
names is ours, under `sidelight.`; our own health metrics are in `pipeline.telemetry`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pipeline.records import DETAILS
from pipeline.telemetry import Counter, Histogram, Instruments

SOURCE = "semantic-conventions-genai@6fd0d76, semantic-conventions@1.44.0"


class Scope(NamedTuple):
    """An instrumentation scope; GenAI has no released schema to name."""

    name: str
    schema_url: str = ""


HTTP_SCOPE = Scope("sidelight.http", "https://opentelemetry.io/schemas/1.44.0")
GENAI_SCOPE = Scope("sidelight.genai")
EVALUATION_SCOPE = Scope("sidelight.evaluation")
OWN_SCOPE = Scope("sidelight")


def scope_of(metric: str) -> Scope:
    """The scope a metric belongs to, by its name."""
    if metric.startswith("gen_ai."):
        return GENAI_SCOPE
    return HTTP_SCOPE if metric.startswith("http.") else OWN_SCOPE


# HTTP and network
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original"
HTTP_REQUEST_BODY_SIZE = "http.request.body.size"
HTTP_RESPONSE_BODY_SIZE = "http.response.body.size"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_ROUTE = "http.route"
URL_FULL = "url.full"
URL_PATH = "url.path"
URL_QUERY = "url.query"
URL_SCHEME = "url.scheme"
CLIENT_ADDRESS = "client.address"
CLIENT_PORT = "client.port"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
NETWORK_PROTOCOL_VERSION = "network.protocol.version"
USER_AGENT_ORIGINAL = "user_agent.original"
ERROR_TYPE = "error.type"
OTHER = "_OTHER"

# GenAI
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
OUTPUT_TYPE = "gen_ai.output.type"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105
TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105

EVALUATION_RESULT = "gen_ai.evaluation.result"  # the event
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

# Request parameters, by their GenAI names without the prefix, and the type they must have.
ParameterType = Literal["double", "int", "text", "texts"]
PARAMETERS: dict[str, ParameterType] = {
    "temperature": "double",
    "top_p": "double",
    "frequency_penalty": "double",
    "presence_penalty": "double",
    "max_tokens": "int",
    "top_k": "int",
    "seed": "int",
    "choice.count": "int",
    "stop_sequences": "texts",
    "encoding_formats": "texts",
    "previous_response.id": "text",
    "reasoning.level": "text",
}
PARAMETER_PREFIX = "gen_ai.request."

# Usage: our field and its attribute; the usage counters are named alike.
USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_input_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}

# Details of usage: those the conventions name go under their prefix, the others under ours.
USAGE_PREFIX = "gen_ai.usage."
MODALITIES = ("text", "image", "audio")
USAGE_DETAILS = {
    name: (USAGE_PREFIX if name.partition(".")[0] in MODALITIES else "sidelight.usage.") + name for name in DETAILS
}
CONVERSATION_ID = "gen_ai.conversation.id"
SESSION_ID = "session.id"
USER_HASH = "user.hash"

# Ours
USAGE_SOURCE = "sidelight.usage.source"  # provider, estimated, none
ESTIMATED_INPUT_TOKENS = "sidelight.usage.estimated.input_tokens"  # gen_ai.usage.* is only what a provider reported
ESTIMATED_OUTPUT_TOKENS = "sidelight.usage.estimated.output_tokens"
COST_TOTAL = "sidelight.cost.total"  # US dollars, as those below
COST_INPUT = "sidelight.cost.input"
COST_OUTPUT = "sidelight.cost.output"
COST_SOURCE = "sidelight.cost.source"
COST_ESTIMATED = "sidelight.cost.estimated"  # its tokens were; only true
USER_SOURCE = "sidelight.user.source"
SESSION_SOURCE = "sidelight.session.source"
PROMPT_FINGERPRINT = "sidelight.prompt.fingerprint"
CONTEXT_SOURCE = "sidelight.context.source"
TURN = "sidelight.exchange.turn"  # of a spliced connection
EXCHANGE_ID = "sidelight.exchange.id"
EXCHANGE_COMPLETE = "sidelight.exchange.complete"  # only false
EXCHANGE_CANCELLED = "sidelight.exchange.cancelled"  # the client left first; only true
UPSTREAM = "sidelight.upstream"
WIRE = "sidelight.wire"
DECODE_ERROR = "sidelight.decode_error"
SAMPLING_WEIGHT = "sidelight.sampling.weight"
SAMPLING_KEPT = "sidelight.sampling.kept"
CONTENT_TRUNCATED = "sidelight.content.truncated"  # only true
FAILED = "sidelight.failed"  # evaluators whose outcome is fail
EVALUATOR = "sidelight.evaluation.evaluator"
OUTCOME = "sidelight.evaluation.outcome"

KNOWN_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
INFERENCE = frozenset(("chat", "text_completion", "generate_content"))
# In lower case: credentials that travel in a query; `key` is Gemini's.
SECRET_QUERY_KEYS = frozenset(
    (
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",
        "awsaccesskeyid",
        "signature",
        "sig",
        "x-goog-signature",
        "key",
    )
)
REDACTED = "REDACTED"

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
OPERATION_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))


def known_method(method: str) -> str:
    """The method, or `_OTHER` for what RFC 9110, PATCH and QUERY do not know."""
    return method if method in KNOWN_METHODS else OTHER


def server_span_name(method: str, route: str | None) -> str:
    """`{method} {http.route}`, never the path itself; an unknown method is called HTTP."""
    known = method if method in KNOWN_METHODS else "HTTP"
    return f"{known} {route}" if route else known


def inference_span_name(operation: str, model: str | None) -> str:
    """`{gen_ai.operation.name} {gen_ai.request.model}`, or the operation alone."""
    return f"{operation} {model}" if model else operation


def evaluation_span_name(evaluator: str) -> str:
    """`evaluate {evaluator}`: no convention names it yet."""
    return f"evaluate {evaluator}"


class Conventional(Instruments):
    """The conventions' metrics that Sidelight records, one line an instrument.

    Inference is told under the latest names; `exporters.dialect` derives the deployed, older ones from them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.http_server_duration = Histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests.", HTTP_SECONDS
        )
        self.http_client_duration = Histogram(
            "http.client.request.duration", "s", "Duration of HTTP client requests.", HTTP_SECONDS
        )
        self.inference_duration = Histogram(
            "gen_ai.client.inference.duration", "s", "Duration of inference operations.", OPERATION_SECONDS
        )
        self.time_to_first_chunk = Histogram(
            "gen_ai.client.inference.time_to_first_chunk", "s", "Time to the first chunk.", OPERATION_SECONDS
        )
        self.time_per_output_chunk = Histogram(
            "gen_ai.client.inference.time_per_output_chunk", "s", "Time between chunks.", OPERATION_SECONDS
        )
        self.operation_input_tokens = Histogram(
            "gen_ai.client.inference.operation.input_tokens", "{token}", "Input tokens of one inference.", TOKENS
        )
        self.operation_output_tokens = Histogram(
            "gen_ai.client.inference.operation.output_tokens", "{token}", "Output tokens of one inference.", TOKENS
        )
        self.usage_input_tokens = Counter("gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens used.")
        self.usage_output_tokens = Counter(
            "gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens used."
        )
        self.usage_cache_read_input_tokens = Counter(
            "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens read from a cache."
        )
        self.usage_cache_write_input_tokens = Counter(
            "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens written to a cache."
        )
        self.usage_reasoning_output_tokens = Counter(
            "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning."
        )
        # Operations that are not inference (embeddings, …) keep these names in every dialect.
        self.operation_duration = Histogram(
            "gen_ai.client.operation.duration", "s", "Duration of GenAI operations.", OPERATION_SECONDS
        )
        self.token_usage = Histogram("gen_ai.client.token.usage", "{token}", "Tokens of one operation.", TOKENS)


# Latest name → the older name, and the gen_ai.token.type its points get.
LEGACY_NAMES: dict[str, tuple[str, str | None]] = {
    "gen_ai.client.inference.duration": ("gen_ai.client.operation.duration", None),
    "gen_ai.client.inference.time_to_first_chunk": ("gen_ai.client.operation.time_to_first_chunk", None),
    "gen_ai.client.inference.time_per_output_chunk": ("gen_ai.client.operation.time_per_output_chunk", None),
    "gen_ai.client.inference.operation.input_tokens": ("gen_ai.client.token.usage", "input"),
    "gen_ai.client.inference.operation.output_tokens": ("gen_ai.client.token.usage", "output"),
}
INFERENCE_METRICS = "gen_ai.client.inference."

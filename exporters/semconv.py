"""Every name that leaves Sidelight, in one table.

Sources: `gen_ai.*` from open-telemetry/semantic-conventions-genai at 6fd0d76 (October 2026; unreleased, all of it
Development), `http.*`, `url.*` and the rest from open-telemetry/semantic-conventions v1.44.0. What no convention
names is ours, under `sidelight.`; our own health metrics are in `pipeline.telemetry`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pipeline.records import DETAILS
from pipeline.telemetry import CALL, Counter, Histogram, Instruments

SOURCE = "semantic-conventions-genai@6fd0d76, semantic-conventions@1.44.0"

AttributeType = Literal["string", "int", "double", "boolean", "string[]", "any"]


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


class Attribute(NamedTuple):
    """What an attribute holds, in the conventions' words, and what it says."""

    type: AttributeType
    meaning: str


ATTRIBUTES: dict[str, Attribute] = {}


def named(name: str, attribute_type: AttributeType, meaning: str) -> str:
    """Enter a name into the table; the name itself is what encoders use."""
    ATTRIBUTES[name] = Attribute(attribute_type, meaning)
    return name


# HTTP and network
HTTP_REQUEST_METHOD = named("http.request.method", "string", "The method; `_OTHER` for one that HTTP does not know.")
HTTP_REQUEST_METHOD_ORIGINAL = named("http.request.method_original", "string", "The unknown method as it came.")
HTTP_REQUEST_BODY_SIZE = named("http.request.body.size", "int", "Bytes of the request's body on the wire.")
HTTP_RESPONSE_BODY_SIZE = named("http.response.body.size", "int", "Bytes of the response's body on the wire.")
HTTP_RESPONSE_STATUS_CODE = named("http.response.status_code", "int", "The status.")
HTTP_ROUTE = named("http.route", "string", "The API's path as a template, where the path is a known one.")
URL_FULL = named("url.full", "string", "Where the upstream was asked; credentials in the query are `REDACTED`.")
URL_PATH = named("url.path", "string", "The path as the client sent it.")
URL_QUERY = named("url.query", "string", "The query; credentials in it are `REDACTED`.")
URL_SCHEME = named("url.scheme", "string", "`http` or `https`, of the client's connection.")
CLIENT_ADDRESS = named("client.address", "string", "Where the client's connection came from.")
CLIENT_PORT = named("client.port", "int", "Its port.")
NETWORK_PEER_ADDRESS = named("network.peer.address", "string", "The other end of the client's connection.")
NETWORK_PEER_PORT = named("network.peer.port", "int", "Its port.")
SERVER_ADDRESS = named("server.address", "string", "The upstream's host; of SERVER, the one that the client asked for.")
SERVER_PORT = named("server.port", "int", "Its port.")
NETWORK_PROTOCOL_VERSION = named("network.protocol.version", "string", "HTTP's version on the client's connection.")
USER_AGENT_ORIGINAL = named("user_agent.original", "string", "The client's User-Agent.")
ERROR_TYPE = named("error.type", "string", "What failed: a status, a provider's code, or what broke the transfer.")
EXCEPTION_TYPE = named("exception.type", "string", "As `error.type`.")
EXCEPTION_MESSAGE = named("exception.message", "string", "The upstream's own words.")
OTHER = "_OTHER"

# GenAI
OPERATION_NAME = named("gen_ai.operation.name", "string", "`chat`, `embeddings`, …: what was asked for.")
PROVIDER_NAME = named(
    "gen_ai.provider.name", "string", "Whose API it is: as the upstream, its host or the wire format says."
)
REQUEST_MODEL = named("gen_ai.request.model", "string", "The model that was asked for.")
REQUEST_STREAM = named("gen_ai.request.stream", "boolean", "The answer was streamed; only true.")
RESPONSE_MODEL = named("gen_ai.response.model", "string", "The model that answered.")
RESPONSE_ID = named("gen_ai.response.id", "string", "The answer's id, by which a later evaluation finds its call.")
FINISH_REASONS = named("gen_ai.response.finish_reasons", "string[]", "Why each choice ended; `error`: it never said.")
TIME_TO_FIRST_CHUNK = named(
    "gen_ai.response.time_to_first_chunk", "double", "Seconds to the first chunk with content; streams only."
)
OUTPUT_TYPE = named("gen_ai.output.type", "string", "`text` or `json`, where the request asks for a format.")
INPUT_MESSAGES = named("gen_ai.input.messages", "any", "What was asked, with its history: JSON.")
OUTPUT_MESSAGES = named("gen_ai.output.messages", "any", "What was answered, one message for each choice: JSON.")
SYSTEM_INSTRUCTIONS = named("gen_ai.system_instructions", "any", "Instructions apart from the history: JSON.")
TOOL_DEFINITIONS = named("gen_ai.tool.definitions", "any", "The tools that were offered: JSON.")
TOKEN_TYPE = named("gen_ai.token.type", "string", "`input` or `output`.")
TOKEN_MODALITY = named("gen_ai.token.modality", "string", "`text`, `image`, `audio` or `unknown`.")
CONVERSATION_ID = named("gen_ai.conversation.id", "string", "The conversation, as the API or the application names it.")

EVALUATION_RESULT = "gen_ai.evaluation.result"  # the events
OPERATION_DETAILS = "gen_ai.client.inference.operation.details"
OPERATION_EXCEPTION = "gen_ai.client.operation.exception"
EVALUATION_NAME = named("gen_ai.evaluation.name", "string", "What was judged.")
EVALUATION_SCORE = named("gen_ai.evaluation.score.value", "double", "The score.")
EVALUATION_LABEL = named("gen_ai.evaluation.score.label", "string", "`pass`, `fail`, or the evaluator's own word.")
EVALUATION_EXPLANATION = named("gen_ai.evaluation.explanation", "string", "Why; it never quotes content.")

# Request parameters, by their GenAI names without the prefix, and the type they must have.
PARAMETER_PREFIX = "gen_ai.request."
PARAMETERS: dict[str, AttributeType] = {
    "temperature": "double",
    "top_p": "double",
    "frequency_penalty": "double",
    "presence_penalty": "double",
    "max_tokens": "int",
    "top_k": "int",
    "seed": "int",
    "choice.count": "int",
    "stop_sequences": "string[]",
    "encoding_formats": "string[]",
    "previous_response.id": "string",
    "reasoning.level": "string",
}
for parameter, parameter_type in PARAMETERS.items():
    named(PARAMETER_PREFIX + parameter, parameter_type, "As the request has it.")

# Usage: our field and its attribute; the usage counters are named alike.
USAGE = {
    "input_tokens": named("gen_ai.usage.input_tokens", "int", "Tokens of the input, cached ones included."),
    "output_tokens": named("gen_ai.usage.output_tokens", "int", "Tokens of the output, reasoning included."),
    "cache_read_input_tokens": named("gen_ai.usage.cache_read.input_tokens", "int", "Of the input: read from a cache."),
    "cache_write_input_tokens": named(
        "gen_ai.usage.cache_write.input_tokens", "int", "Of the input: written to a cache."
    ),
    "reasoning_output_tokens": named("gen_ai.usage.reasoning.output_tokens", "int", "Of the output: reasoning."),
}

# Details of usage: those the conventions name go under their prefix, the others under ours.
USAGE_PREFIX = "gen_ai.usage."
MODALITIES = ("text", "image", "audio")
USAGE_DETAILS = {
    name: (USAGE_PREFIX if name.partition(".")[0] in MODALITIES else "sidelight.usage.") + name for name in DETAILS
}
for detail, detail_name in USAGE_DETAILS.items():
    detail_type: AttributeType = "double" if detail.endswith("_seconds") else "int"
    named(detail_name, detail_type, "A part of the tokens." if DETAILS[detail] else "Counted apart from the tokens.")

# What a wire format knows beyond all of that: the keys of `Exchange.attributes`.
FURTHER = (
    named("openai.api.type", "string", "`chat_completions` or `responses`."),
    named("openai.request.service_tier", "string", "The tier that was asked for."),
    named("openai.response.service_tier", "string", "The tier that served."),
    named("openai.response.system_fingerprint", "string", "What the model ran on."),
    named("aws.bedrock.guardrail.id", "string", "The guardrail that was applied."),
    named("gen_ai.embeddings.dimension.count", "int", "How long each vector is."),
    named("gen_ai.request.stream_cursor", "string", "After which event a stream was taken up again."),
    named("gen_ai.response.status", "string", "`queued`, `in_progress`, …: of what is made in the background."),
    named("sidelight.response.service_tier", "string", "The tier that served, where no convention names it."),
    named("sidelight.response.speed", "string", "The speed that served."),
    named("sidelight.count_tokens.input_tokens", "int", "What a count came to; nothing was used."),
    named("sidelight.openrouter.cost", "double", "What OpenRouter says that it cost, in US dollars."),
    named("sidelight.openrouter.provider", "string", "Whom OpenRouter asked."),
    named("sidelight.perplexity.citation_tokens", "int", "Tokens of what was cited."),
    named("sidelight.ollama.load_duration", "int", "Nanoseconds to load the model."),
    named("sidelight.ollama.prompt_eval_duration", "int", "Nanoseconds to read the prompt."),
    named("sidelight.ollama.eval_duration", "int", "Nanoseconds to write the answer."),
    named("sidelight.moderation.flagged", "string", "The categories that were flagged, with commas between."),
    *(
        named(f"sidelight.batch.{state}", "int", "Requests of a batch.")
        for state in ("requests", "processing", "succeeded", "errored", "canceled", "expired")
    ),
)

# Identity
SESSION_ID = named("session.id", "string", "The session.")
USER_HASH = named("user.hash", "string", "Who asked: a salted hash.")

# Ours
USAGE_SOURCE = named("sidelight.usage.source", "string", "Who counted: `provider`, `estimated`, `none`, `repeated`.")
# `gen_ai.usage.*` is only what a provider reported
ESTIMATED_INPUT_TOKENS = named(
    "sidelight.usage.estimated.input_tokens", "int", "An estimate, where the provider said nothing."
)
ESTIMATED_OUTPUT_TOKENS = named("sidelight.usage.estimated.output_tokens", "int", "Likewise.")
COST_TOTAL = named("sidelight.cost.total", "double", "What it cost, in US dollars.")
COST_INPUT = named("sidelight.cost.input", "double", "Of that, the input.")
COST_OUTPUT = named("sidelight.cost.output", "double", "Of that, the output.")
COST_SOURCE = named("sidelight.cost.source", "string", "Whose price list.")
COST_ESTIMATED = named("sidelight.cost.estimated", "boolean", "The tokens were estimated; only true.")
USER_SOURCE = named("sidelight.user.source", "string", "Where the user was found.")
SESSION_SOURCE = named("sidelight.session.source", "string", "Where the session was found.")
PROMPT_FINGERPRINT = named("sidelight.prompt.fingerprint", "string", "The system prompt without its variables, hashed.")
CONTEXT_SOURCE = named("sidelight.context.source", "string", "Where the documents were found.")
TURN = named("sidelight.exchange.turn", "int", "Which turn of a WebSocket.")
EXCHANGE_ID = named("sidelight.exchange.id", "string", "What `sidelight explain` takes.")
EXCHANGE_COMPLETE = named("sidelight.exchange.complete", "boolean", "The answer broke off; only false.")
EXCHANGE_CANCELLED = named("sidelight.exchange.cancelled", "boolean", "The client left first; only true.")
UPSTREAM = named("sidelight.upstream", "string", "The upstream's name in the configuration.")
WIRE = named("sidelight.wire", "string", "The wire format; `http`: none knew it.")
DECODE_ERROR = named("sidelight.decode_error", "string", "What could not be read.")
SAMPLING_WEIGHT = named("sidelight.sampling.weight", "double", "How many exchanges this one stands for.")
SAMPLING_KEPT = named("sidelight.sampling.kept", "string", "Why it was kept: `ratio`, or a rule.")
CONTENT_TRUNCATED = named("sidelight.content.truncated", "boolean", "Texts were cut to their limit; only true.")
FAILED = named("sidelight.failed", "string[]", "The evaluators that failed it.")
# Again as an attribute for each: a search for one member of a list is not to be had everywhere, as in Jaeger.
FAILED_BY = "sidelight.failed_by."
FAILED_BY_EACH = named(f"{FAILED_BY}<evaluator>", "boolean", "This evaluator failed it; only true.")
EVALUATOR = named("sidelight.evaluation.evaluator", "string", "The evaluator's id in the configuration.")
REASONING = named("sidelight.evaluation.reasoning", "string", "A judge's own words, which may quote what it was shown.")
OUTCOME = named("sidelight.evaluation.outcome", "string", "`pass`, `fail`, `scored` or `error`.")
EVALUATOR_VERSION = named("sidelight.evaluation.version", "string", "The evaluator's; same version, same scores.")
EVALUATION_COST = named("sidelight.evaluation.cost", "double", "What the judgement itself cost; US dollars.")
CALIBRATION = named(
    "sidelight.evaluation.calibration", "string", "Of a judge: `calibrated`, `uncalibrated`, `drifted`."
)

# What dialects say besides, or in place of `gen_ai.*`; <i> is a number.
DIALECTS: dict[str, dict[str, Attribute]] = {
    "openinference": {
        "openinference.span.kind": Attribute("string", "`LLM`, `EMBEDDING`, …; `CHAIN` of SERVER, `EVALUATOR`."),
        "llm.provider": Attribute("string", "Who hosts the model."),
        "llm.system": Attribute("string", "Whose API it is."),
        "llm.model_name": Attribute("string", "The model that answered, or else was asked for."),
        "llm.request.model_name": Attribute("string", "The model that was asked for."),
        "llm.response.model_name": Attribute("string", "The model that answered."),
        "embedding.model_name": Attribute("string", "The model of an embedding."),
        "llm.invocation_parameters": Attribute("string", "The request's parameters: JSON."),
        "llm.finish_reason": Attribute("string", "Why the first choice ended."),
        "llm.token_count.prompt": Attribute("int", "Tokens of the input."),
        "llm.token_count.completion": Attribute("int", "Tokens of the output."),
        "llm.token_count.total": Attribute("int", "Both."),
        "llm.token_count.prompt_details.cache_read": Attribute("int", "Of the input: read from a cache."),
        "llm.token_count.prompt_details.cache_write": Attribute("int", "Of the input: written to a cache."),
        "llm.token_count.prompt_details.audio": Attribute("int", "Of the input: audio."),
        "llm.token_count.completion_details.reasoning": Attribute("int", "Of the output: reasoning."),
        "llm.token_count.completion_details.audio": Attribute("int", "Of the output: audio."),
        "llm.cost.prompt": Attribute("double", "What the input cost, in US dollars."),
        "llm.cost.completion": Attribute("double", "What the output cost."),
        "llm.cost.total": Attribute("double", "Both."),
        "user.id": Attribute("string", "As `user.hash`."),
        "input.value": Attribute("string", "The last message of the input. Texts only."),
        "input.mime_type": Attribute("string", "`text/plain` or `application/json`. Texts only."),
        "output.value": Attribute("string", "The answer. Texts only."),
        "output.mime_type": Attribute("string", "`text/plain` or `application/json`. Texts only."),
        **{
            f"llm.{side}_messages.<i>.message.{name}": Attribute("string", "Texts only.")
            for side in ("input", "output")
            for name in (
                "role",
                "content",
                "tool_calls.<i>.tool_call.id",
                "tool_calls.<i>.tool_call.function.name",
                "tool_calls.<i>.tool_call.function.arguments",
            )
        },
        "llm.input_messages.<i>.message.tool_call_id": Attribute("string", "Whose answer it is. Texts only."),
        "llm.tools.<i>.tool.json_schema": Attribute("string", "A tool that was offered: JSON. Texts only."),
        "evaluations.<i>.evaluation.name": Attribute("string", "What was judged."),
        "evaluations.<i>.evaluation.score": Attribute("double", "The score."),
        "evaluations.<i>.evaluation.label": Attribute("string", "`pass`, `fail`, or the evaluator's own word."),
        "evaluations.<i>.evaluation.explanation": Attribute("string", "Why."),
        "evaluations.<i>.evaluation.annotator_kind": Attribute("string", "`CODE`."),
    },
    "langfuse": {
        "langfuse.observation.type": Attribute("string", "`generation`, `embedding`, `evaluator`, `span`, …."),
        "langfuse.observation.cost_details": Attribute("string", "Input, output and total in US dollars: JSON."),
        "langfuse.observation.completion_start_time": Attribute("string", "When the first chunk came; ISO 8601."),
        "langfuse.user.id": Attribute("string", "As `user.hash`."),
        "gen_ai.usage.cache_creation.input_tokens": Attribute("int", "In place of `…cache_write.input_tokens`."),
    },
}

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


FAILED_CALL = (*CALL, ERROR_TYPE)
USED = (*CALL, TOKEN_MODALITY)


class Conventional(Instruments):
    """The conventions' metrics that Sidelight records, one line an instrument.

    Inference is told under the latest names; `exporters.vocabulary` derives the deployed, older ones from them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.http_server_duration = Histogram(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            HTTP_SECONDS,
            by=(
                HTTP_REQUEST_METHOD,
                URL_SCHEME,
                NETWORK_PROTOCOL_VERSION,
                HTTP_ROUTE,
                HTTP_RESPONSE_STATUS_CODE,
                ERROR_TYPE,
            ),
        )
        self.http_client_duration = Histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            HTTP_SECONDS,
            by=(HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE),
        )
        self.inference_duration = Histogram(
            "gen_ai.client.inference.duration",
            "s",
            "Duration of inference operations.",
            OPERATION_SECONDS,
            by=FAILED_CALL,
        )
        self.time_to_first_chunk = Histogram(
            "gen_ai.client.inference.time_to_first_chunk",
            "s",
            "Time to the first chunk.",
            OPERATION_SECONDS,
            by=CALL,
        )
        self.time_per_output_chunk = Histogram(
            "gen_ai.client.inference.time_per_output_chunk", "s", "Time between chunks.", OPERATION_SECONDS, by=CALL
        )
        self.operation_input_tokens = Histogram(
            "gen_ai.client.inference.operation.input_tokens",
            "{token}",
            "Input tokens of one inference.",
            TOKENS,
            by=CALL,
        )
        self.operation_output_tokens = Histogram(
            "gen_ai.client.inference.operation.output_tokens",
            "{token}",
            "Output tokens of one inference.",
            TOKENS,
            by=CALL,
        )
        self.usage_input_tokens = Counter(
            "gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens used.", by=USED
        )
        self.usage_output_tokens = Counter(
            "gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens used.", by=USED
        )
        self.usage_cache_read_input_tokens = Counter(
            "gen_ai.client.inference.usage.cache_read.input_tokens",
            "{token}",
            "Input tokens read from a cache.",
            by=USED,
        )
        self.usage_cache_write_input_tokens = Counter(
            "gen_ai.client.inference.usage.cache_write.input_tokens",
            "{token}",
            "Input tokens written to a cache.",
            by=USED,
        )
        self.usage_reasoning_output_tokens = Counter(
            "gen_ai.client.inference.usage.reasoning.output_tokens",
            "{token}",
            "Output tokens spent on reasoning.",
            by=USED,
        )
        # Operations that are not inference (embeddings, …) keep these names in every vocabulary.
        self.operation_duration = Histogram(
            "gen_ai.client.operation.duration", "s", "Duration of GenAI operations.", OPERATION_SECONDS, by=FAILED_CALL
        )
        self.token_usage = Histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of one operation.", TOKENS, by=(*CALL, TOKEN_TYPE)
        )


# Latest name → the older name, and the gen_ai.token.type its points get.
LEGACY_NAMES: dict[str, tuple[str, str | None]] = {
    "gen_ai.client.inference.duration": ("gen_ai.client.operation.duration", None),
    "gen_ai.client.inference.time_to_first_chunk": ("gen_ai.client.operation.time_to_first_chunk", None),
    "gen_ai.client.inference.time_per_output_chunk": ("gen_ai.client.operation.time_per_output_chunk", None),
    "gen_ai.client.inference.operation.input_tokens": ("gen_ai.client.token.usage", "input"),
    "gen_ai.client.inference.operation.output_tokens": ("gen_ai.client.token.usage", "output"),
}
INFERENCE_METRICS = "gen_ai.client.inference."

"""What flows: Capture (raw bytes and times) → Exchange (decoded) → Evaluation (one judgement) → EvaluatedExchange.

The words are OpenTelemetry's GenAI conventions' where they have one, HTTP's where not. Every record is
frozen; to change one is to make another (`msgspec.structs.replace`). They are msgspec Structs because each
crosses three borders (journal, worker process, exporter): see docs/decisions/0003-records-are-msgspec-structs.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Json: TypeAlias = Any
Headers: TypeAlias = tuple[tuple[str, str], ...]  # order, case and duplicates as on the wire

FEEDBACK = "feedback/"  # begins the evaluator's id of what came in later; no exchange owes any of it
Outcome = Literal["pass", "fail", "scored", "error", "skipped"]
CalibrationState = Literal["calibrated", "uncalibrated", "drifted"]
SkipReason = Literal["filtered", "sampled_out", "budget", "queue_full", "missing_input", "window", "cached"]


class TraceContext(Struct, frozen=True):
    """Where an exchange stands in the caller's trace; ids are lower-case hex."""

    trace_id: str  # 32 digits
    server_span_id: str  # 16 digits: our SERVER span
    client_span_id: str  # 16 digits: our CLIENT span, and the parent the upstream was told when participating
    parent_span_id: str | None = None  # the caller's span
    sampled: bool = True  # the trace flag that went upstream
    tracestate: str | None = None


class Capture(Struct, frozen=True):
    """One request and its response as they passed on the wire; nothing is parsed yet.

    Bodies are de-chunked (framing is the hop's, not the message's) but keep their content encoding.
    Every time is in nanoseconds after `started_at`. Credentials are already gone.
    """

    id: str  # 32 hex digits, sortable by time; unique
    trace: TraceContext
    upstream: str  # its name in the config
    route: str  # the prefix that matched
    method: str
    target: str  # path and query as the client sent them, secrets in the query replaced
    scheme: str  # of the client's connection: http, https
    http_version: str  # 1.0, 1.1
    server_address: str  # the upstream's host
    server_port: int
    client_address: str
    client_port: int
    status: int | None  # None: the upstream gave no response head
    request_headers: Headers
    response_headers: Headers
    request_body: bytes
    response_body: bytes
    arrivals: tuple[tuple[int, int], ...]  # (offset in response_body, time): that byte and what follows came then
    started_at: int  # ns since the epoch, first byte of the request
    sent_at: int | None  # the request was handed to the upstream's socket
    first_byte_at: int | None  # first byte of the response head
    ended_at: int  # last byte, or the end of hope
    request_size: int  # body bytes on the wire, even where the copy was cut
    response_size: int
    request_cut: bool = False  # the copy is shorter than the body
    response_cut: bool = False
    error_type: str | None = None  # client_disconnect, connect_error, timeout, upstream_reset, …
    provider: str | None = None  # the upstream's configured provider, if any
    credential: str | None = None  # keyed hash of the credential, hex; only where `identify` asks for it
    # After a 101 the bodies are what each side said on the spliced connection, which is handed over in parts.
    request_arrivals: tuple[tuple[int, int], ...] = ()  # as `arrivals`, of the client's side; spliced only
    part: int = 0  # which part of a spliced connection
    last: bool = True  # no further part follows
    response_tail: bytes = b""  # the last bytes of a body whose copy was cut; what is between is not kept


PartType = Literal[
    "text",
    "reasoning",
    "refusal",
    "tool_call",
    "tool_call_response",
    "server_tool_call",
    "server_tool_call_response",
    "blob",
    "uri",
    "file",
    "compaction",
    "generic",
]


class Part(Struct, frozen=True, omit_defaults=True):
    """One piece of a message, as in the GenAI conventions' message schemas; binary content is never kept."""

    type: PartType
    content: str | None = None  # text, reasoning, refusal
    id: str | None = None  # tool calls and their responses
    name: str | None = None  # tool_call, server_tool_call; generic: its own type
    arguments: Json = None  # tool_call: the parsed object, or the raw string if it does not parse
    response: Json = None  # tool_call_response
    server_tool_call: Json = None  # what a tool of the provider's was asked: {type, …}
    server_tool_call_response: Json = None  # and what it said: {type, …}
    is_error: bool = False  # tool responses: the tool failed
    citations: tuple[Json, ...] = ()  # text: what it leans on, {text?, title?, uri?, file_id?}
    modality: str | None = None  # blob, uri, file
    mime_type: str | None = None
    uri: str | None = None
    file_id: str | None = None
    size: int | None = None  # blob: bytes after base64
    digest: str | None = None  # blob: sha256, hex


class Message(Struct, frozen=True, omit_defaults=True):
    """`role` is system, developer, user, assistant or tool; `finish_reason` only on output messages."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None
    finish_reason: str | None = None  # stop, length, content_filter, tool_call, refusal, error; None: it never came


# repeated: reported with an answer that was made before; the `usage` stage decides whether it was ever counted.
UsageSource = Literal["provider", "estimated", "none", "repeated"]


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens; input includes cached ones and every modality, output includes reasoning. None: not known.

    `details` are further counts by the names in DETAILS: parts of the tokens, and what is not counted in tokens.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    source: UsageSource = "none"  # who counted
    details: Mapping[str, float] = {}


# Detail → the count it is a part of; None: a count of its own. `gen_ai.usage.` goes before those the conventions name.
DETAILS: Mapping[str, str | None] = {
    "text.input_tokens": "input_tokens",
    "image.input_tokens": "input_tokens",
    "audio.input_tokens": "input_tokens",
    "video.input_tokens": "input_tokens",
    "document.input_tokens": "input_tokens",
    "text.output_tokens": "output_tokens",
    "image.output_tokens": "output_tokens",
    "audio.output_tokens": "output_tokens",
    "text.cache_read.input_tokens": "cache_read_input_tokens",
    "image.cache_read.input_tokens": "cache_read_input_tokens",
    "audio.cache_read.input_tokens": "cache_read_input_tokens",
    "cache_write_5m.input_tokens": "cache_write_input_tokens",
    "cache_write_1h.input_tokens": "cache_write_input_tokens",
    "tool_use.input_tokens": "input_tokens",
    "accepted_prediction.output_tokens": "output_tokens",
    "rejected_prediction.output_tokens": "output_tokens",
    "input_characters": None,
    "input_audio_seconds": None,
    "input_images": None,
    "output_images": None,
    "web_searches": None,
    "code_executions": None,
    "rerank_searches": None,
}


class Cost(Struct, frozen=True, omit_defaults=True):
    """What an exchange cost, in US dollars, by the provider's list prices or the user's own."""

    total: float
    input: float
    output: float
    source: str  # who names the price: a library and its version, or "override"
    estimated: bool = False  # the tokens were


class Timing(Struct, frozen=True):
    """Nanoseconds after `started_at`, which is in nanoseconds since the epoch."""

    started_at: int
    sent_at: int | None
    first_byte_at: int | None
    ended_at: int
    first_chunk_at: int | None = None  # first streamed chunk with content (text, reasoning, tool call); streams only
    chunk_times: tuple[int, ...] = ()  # arrival of every chunk with content; streams only

    @property
    def duration(self) -> int:
        """The operation, from the first byte of the request to the last of the response; ns."""
        return self.ended_at


class Http(Struct, frozen=True):
    """The HTTP layer of an exchange: what the SERVER span is made of."""

    method: str
    path: str
    query: str | None
    scheme: str
    version: str
    status: int | None
    server_address: str
    server_port: int
    client_address: str
    client_port: int
    request_size: int
    response_size: int
    user_agent: str | None = None
    route: str | None = None  # a known API path (low cardinality), None otherwise
    host: str | None = None  # what the client asked for: its Host header


class Exchange(Struct, frozen=True):
    """What was asked and answered, in the GenAI conventions' words.

    `wire` names the format that read it; "http" means no format knew it and the GenAI fields are empty.
    """

    id: str
    trace: TraceContext
    upstream: str
    http: Http
    timing: Timing
    wire: str = "http"
    operation: str | None = None  # gen_ai.operation.name: chat, …; None: not a GenAI operation
    provider: str | None = None  # gen_ai.provider.name
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    system_instructions: tuple[Part, ...] = ()
    input_messages: tuple[Message, ...] = ()
    output_messages: tuple[Message, ...] = ()  # one per choice, in order
    tool_definitions: tuple[Json, ...] = ()  # {type: function, name, description?, parameters?}
    parameters: Mapping[str, Json] = {}  # temperature, max_tokens, … by their GenAI names, as sent
    output_type: str | None = None  # text, json: when the request asks for a format
    output_schema: Json = None  # JSON Schema, when the request carries one for the answer
    usage: Usage = Usage()
    stream: bool = False
    complete: bool = True  # the response reached its end: terminal event, or the whole body
    error_type: str | None = None  # of the exchange: HTTP status as text, provider code, or the capture's error
    error_message: str | None = None
    decode_error: str | None = None  # named kind, when only a part could be read
    attributes: Mapping[str, str] = {}  # extra conventional span attributes, e.g. openai.response.system_fingerprint
    turn: int = 0  # which turn of a spliced connection this is; 0: an HTTP exchange of its own
    conversation: str | None = None  # gen_ai.conversation.id: as the API or the application names it
    claims: Mapping[str, str] = {}  # raw, what the request says of who asks; emptied by `identify` before anything else
    user: str | None = None  # salted hash
    user_source: str | None = None  # where it was found: user, safety_identifier, header, credential, …
    session: str | None = None
    session_source: str | None = None  # header, conversation, baggage, response, connection, history
    prompt_fingerprint: str | None = None  # hash of the system prompt without its variables
    context: tuple[str, ...] = ()  # what the answer should be grounded in
    context_source: str | None = None  # header, metadata, tools, citations, delimiters, json_path
    cost: Cost | None = None  # None: not known, never 0 for that
    ground_truth: str | None = None  # the answer that was expected; of data sets, traffic has none
    content: Literal["full", "redacted", "off"] = "full"  # what the texts here are
    findings: Mapping[str, Mapping[str, int]] = {}  # what redaction found: side (input, output) → kind → count


class Evaluation(Struct, frozen=True, omit_defaults=True):
    """One judgement of one exchange; the fields of `gen_ai.evaluation.result`."""

    name: str
    score_value: float | None = None
    score_label: str | None = None  # low cardinality: pass, fail, …
    explanation: str | None = None  # never quotes content
    error_type: str | None = None  # the evaluator failed; nothing was learned about the answer
    reasoning: str | None = None  # a judge's own words: they may quote content, and go where content may go


class LedgerEntry(Struct, frozen=True, omit_defaults=True):
    """The one outcome of one exchange × one evaluator (by its configured id)."""

    evaluator: str
    outcome: Outcome
    reason: str | None = None  # skipped: a SkipReason; error: its type
    evaluations: tuple[Evaluation, ...] = ()
    started_at: int = 0  # ns since the epoch
    duration: int = 0  # ns
    version: str | None = None  # of the evaluator; the same version says the same of the same exchange
    weight: float | None = None  # how many exchanges the outcome stands for; None: as many as its exchange
    cost: float | None = None  # US dollars that the judgement itself cost, as far as known
    calibration: CalibrationState | None = None  # of a judge: is there proof that it agrees with people?


class Owed(Struct, frozen=True):
    """An outcome that comes later: whose, and how many exchanges it will stand for."""

    evaluator: str
    weight: float = 1.0


class EvaluatedExchange(Struct, frozen=True):
    """An exchange with everything learned about it; what exporters receive."""

    exchange: Exchange
    entries: tuple[LedgerEntry, ...] = ()
    weight: float = 1.0  # how many exchanges this one stands for
    kept: str = "ratio"  # why it was kept: ratio, error, slow, flagged, …; "sampled_out" when it was not
    late: bool = False  # the exchange itself was told before: only these entries are news
    owed: tuple[Owed, ...] = ()  # by evaluators that take their time: judges


def text_of(messages: tuple[Message, ...]) -> str:
    """The visible text of messages, reasoning and refusals left out."""
    return "\n".join(
        part.content for message in messages for part in message.parts if part.type == "text" and part.content
    )


def instructions_of(exchange: Exchange) -> str:
    """What the assistant was told to be: the system's and the developer's texts."""
    own = (part.content for part in exchange.system_instructions if part.type == "text" and part.content)
    said = (text_of((each,)) for each in exchange.input_messages if each.role in ("system", "developer"))
    return "\n".join(filter(None, (*own, *said)))


def question_of(exchange: Exchange) -> str:
    """What the user said last."""
    return next((text_of((each,)) for each in reversed(exchange.input_messages) if each.role == "user"), "")


def tool_calls_of(messages: tuple[Message, ...]) -> list[Part]:
    """Every tool call the messages hold, in order."""
    return [part for message in messages for part in message.parts if part.type == "tool_call"]


def outcome_of(evaluations: tuple[Evaluation, ...]) -> Outcome:
    """The ledger's word for what one evaluator said of one exchange: the worst of its evaluations."""
    if any(evaluation.error_type for evaluation in evaluations):
        return "error"
    labels = {evaluation.score_label for evaluation in evaluations}
    if "fail" in labels:
        return "fail"
    return "pass" if "pass" in labels else "scored"

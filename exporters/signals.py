"""Which spans and events leave Sidelight, and what each says: with `semconv` and the instruments, the whole table.

`docs/telemetry.md` is written from it, and the tests hold what is really sent against it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from exporters import semconv
from exporters.semconv import EVALUATION_SCOPE, GENAI_SCOPE, HTTP_SCOPE, Scope


class Signal(NamedTuple):
    """A span or an event."""

    name: str  # of an event; of a span the template of its name
    kind: Literal["SERVER", "CLIENT", "INTERNAL", "event"]
    scope: Scope
    meaning: str
    always: tuple[str, ...]  # attributes that every one has
    known: tuple[str, ...]  # those it has where they are known, or apply
    content: tuple[str, ...] = ()  # those it has only where an exporter may tell texts


METHOD = (semconv.HTTP_REQUEST_METHOD_ORIGINAL, semconv.HTTP_RESPONSE_STATUS_CODE, semconv.ERROR_TYPE)
UPSTREAM = (
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    semconv.EXCHANGE_ID,
    semconv.UPSTREAM,
    semconv.WIRE,
    semconv.SAMPLING_WEIGHT,
    semconv.SAMPLING_KEPT,
)
FOUND = (
    semconv.DECODE_ERROR,
    semconv.EXCHANGE_COMPLETE,
    semconv.EXCHANGE_CANCELLED,
    semconv.FAILED,
    semconv.FAILED_BY_EACH,
)
CONTENT = (
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.TOOL_DEFINITIONS,
    semconv.CONTENT_TRUNCATED,
)
OPERATION_KNOWN = (
    semconv.ERROR_TYPE,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.REQUEST_STREAM,
    semconv.TIME_TO_FIRST_CHUNK,
    semconv.RESPONSE_ID,
    semconv.OUTPUT_TYPE,
    semconv.FINISH_REASONS,
    *(semconv.PARAMETER_PREFIX + name for name in semconv.PARAMETERS),
    *semconv.USAGE.values(),
    *semconv.USAGE_DETAILS.values(),
    semconv.ESTIMATED_INPUT_TOKENS,
    semconv.ESTIMATED_OUTPUT_TOKENS,
    semconv.COST_TOTAL,
    semconv.COST_INPUT,
    semconv.COST_OUTPUT,
    semconv.COST_SOURCE,
    semconv.COST_ESTIMATED,
    semconv.CONVERSATION_ID,
    semconv.SESSION_ID,
    semconv.SESSION_SOURCE,
    semconv.USER_HASH,
    semconv.USER_SOURCE,
    semconv.PROMPT_FINGERPRINT,
    semconv.CONTEXT_SOURCE,
    semconv.TURN,
    *semconv.FURTHER,
    *FOUND,
)
JUDGED = (
    semconv.EVALUATOR_VERSION,
    semconv.EVALUATION_COST,
    semconv.CALIBRATION,
    semconv.RESPONSE_ID,
    semconv.SAMPLING_WEIGHT,
    semconv.EVALUATION_SCORE,
    semconv.EVALUATION_LABEL,
    semconv.EVALUATION_EXPLANATION,
    semconv.ERROR_TYPE,
)

SPANS = (
    Signal(
        "{http.request.method} {http.route}",
        "SERVER",
        HTTP_SCOPE,
        "What the client asked of Sidelight. A WebSocket has one for all its turns.",
        (
            semconv.HTTP_REQUEST_METHOD,
            semconv.URL_SCHEME,
            semconv.URL_PATH,
            semconv.NETWORK_PROTOCOL_VERSION,
            semconv.CLIENT_ADDRESS,
            semconv.CLIENT_PORT,
            semconv.NETWORK_PEER_ADDRESS,
            semconv.NETWORK_PEER_PORT,
            semconv.HTTP_REQUEST_BODY_SIZE,
            semconv.HTTP_RESPONSE_BODY_SIZE,
            semconv.EXCHANGE_ID,
        ),
        (
            *METHOD,
            semconv.URL_QUERY,
            semconv.HTTP_ROUTE,
            semconv.USER_AGENT_ORIGINAL,
            semconv.SERVER_ADDRESS,
            semconv.SERVER_PORT,
        ),
    ),
    Signal(
        "{gen_ai.operation.name} {gen_ai.request.model}",
        "CLIENT",
        GENAI_SCOPE,
        "The GenAI operation as its caller sees it; below the SERVER span.",
        (semconv.OPERATION_NAME, semconv.PROVIDER_NAME, semconv.USAGE_SOURCE, *UPSTREAM),
        OPERATION_KNOWN,
        CONTENT,
    ),
    Signal(
        "{http.request.method}",
        "CLIENT",
        HTTP_SCOPE,
        "What Sidelight asked of the upstream, where no wire format knew what it was.",
        (semconv.HTTP_REQUEST_METHOD, semconv.URL_FULL, *UPSTREAM),
        (*METHOD, *FOUND),
    ),
    Signal(
        "evaluate {sidelight.evaluation.evaluator}",
        "INTERNAL",
        EVALUATION_SCOPE,
        "One judgement, and the work of the evaluator that made it: below the operation, or linked to it.",
        (semconv.EVALUATION_NAME, semconv.EVALUATOR, semconv.OUTCOME, semconv.EXCHANGE_ID),
        JUDGED,
        (semconv.REASONING,),
    ),
)
EVENTS = (
    Signal(
        semconv.EVALUATION_RESULT,
        "event",
        EVALUATION_SCOPE,
        "One judgement, in the context of the span that it judges. Severity INFO.",
        (semconv.EVALUATION_NAME, semconv.EVALUATOR),
        JUDGED,
        (semconv.REASONING,),
    ),
    Signal(
        semconv.OPERATION_EXCEPTION,
        "event",
        GENAI_SCOPE,
        "An operation that failed, in the context of its span. Severity WARN.",
        (semconv.EXCEPTION_TYPE, semconv.OPERATION_NAME, semconv.PROVIDER_NAME),
        (semconv.REQUEST_MODEL,),
        (semconv.EXCEPTION_MESSAGE,),
    ),
    Signal(
        semconv.OPERATION_DETAILS,
        "event",
        GENAI_SCOPE,
        "All that the operation's span says, for backends without spans; texts are structured values. Severity DEBUG.",
        (semconv.OPERATION_NAME, semconv.PROVIDER_NAME, semconv.USAGE_SOURCE, *UPSTREAM),
        OPERATION_KNOWN,
        CONTENT,
    ),
)

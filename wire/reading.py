"""What every model API has in common: a request asks, and one body or a stream of events answers.

An API says which captures are its own and what JSON means; this module does the work around it: content encodings,
forms, cut bodies, the ways of streaming, times, errors, and the rules that every count of tokens obeys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any, ClassVar, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec
import orjson
from msgspec import Struct

from pipeline.records import DETAILS, Capture, Exchange, Headers, Json, Message, Part, Timing, Usage
from wire.bodies import MAX_DEPTH, Body, deeper, expand, loads, loads_leniently, loads_or_salvage
from wire.endings import last_events
from wire.http import bare_exchange, header, path_of
from wire.multipart import fields_of
from wire.shapes import Shapes
from wire.streams import READERS, Piece, Streaming, streaming_of, times_at

MAX_ERROR_MESSAGE = 2000  # characters
MAX_ERROR_TYPE = 64  # characters; longer is no kind of error but its story
MAX_FINISH_REASON = 64  # characters
MAX_NAME = 512  # characters of a model, an id, an attribute
MAX_CLAIMS = 64
GENERATES = frozenset(("chat", "text_completion", "generate_content"))  # operations whose answers are messages


class Call(NamedTuple):
    """A request as far as it could be read."""

    body: dict[str, Any]  # of JSON, or of a form whose files are blob parts
    path: str  # decoded, without the query
    query: Mapping[str, str]
    headers: Headers
    method: str


class Asked(Struct, frozen=True):
    """What the request says; fields as in Exchange."""

    input_messages: tuple[Message, ...] = ()
    system_instructions: tuple[Part, ...] = ()
    tool_definitions: tuple[Json, ...] = ()
    parameters: Mapping[str, Json] = {}
    output_type: str | None = None
    output_schema: Json = None
    attributes: Mapping[str, str] = {}
    model: str | None = None  # None: the body's `model`
    operation: str | None = None  # None: the API's
    stream: bool | None = None  # None: the body's `stream`
    conversation: str | None = None
    claims: Mapping[str, str] = {}


class Answered(Struct, frozen=True):
    """What the response says; fields as in Exchange. `usage` as it was reported, its `source` is set here."""

    response_id: str | None = None
    response_model: str | None = None
    output_messages: tuple[Message, ...] = ()
    usage: Usage = Usage()
    attributes: Mapping[str, str] = {}
    conversation: str | None = None
    failure: dict[str, Any] | None = None  # the error an event or body carries anywhere but in `error`
    unfinished: bool = False  # a whole body that tells of an answer still to come: no messages is right


class Answer(Protocol):
    """An answer as it comes together; a whole body is one event that brings everything."""

    @property
    def ended(self) -> bool:
        """Did the stream say that it is over?"""
        ...

    def add(self, event: dict[str, Any]) -> bool:
        """Take one event; did it bring content (text, reasoning, refusal, tool call)?"""
        ...

    def answered(self) -> Answered: ...


class ModelApi(Protocol):
    """What one API's JSON means."""

    name: ClassVar[str]
    provider: ClassVar[str]  # when nothing better is known
    operation: ClassVar[str]  # gen_ai.operation.name
    streaming: ClassVar[Streaming]  # how it streams when not as server-sent events

    def asked(self, call: Call, shapes: Shapes) -> Asked: ...

    def answer(self, call: Call, shapes: Shapes) -> Answer: ...

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        """A whole body that is no JSON object (sound, plain text, an array) as the event it is; None: not known."""
        ...


class JsonApi:
    """What most APIs are: JSON objects both ways, streams as server-sent events."""

    streaming: ClassVar[Streaming] = "events"

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        return None


class _Response(Struct):
    """What came back, as far as it was fed to the answer."""

    stream: bool
    complete: bool = False
    failure: dict[str, Any] | None = None  # the body or event that says what went wrong
    times: tuple[int, ...] = ()
    tail: tuple[dict[str, Any], ...] | None = None  # the events at the end of a body that was cut


def decode_call(capture: Capture, api: ModelApi) -> Exchange:
    """The exchange of one call of a model API; what cannot be read is named in `decode_error`."""
    shapes = Shapes()
    call = read_call(capture, shapes)
    asked = api.asked(call, shapes)
    answer = api.answer(call, shapes)
    response = _response(capture, api, answer, shapes)
    answered = answer.answered()
    if capture.response_tail and response.tail is not None:
        answered = _ended(answered, response, api.answer(call, Shapes()))
    operation = asked.operation or api.operation
    failure = response.failure or answered.failure
    expected = operation in GENERATES and not answered.unfinished
    if expected and response.complete and failure is None and not answered.output_messages:
        shapes.odd()
    bare = bare_exchange(capture)
    asked_to_stream = call.body.get("stream") is True if asked.stream is None else asked.stream
    usage = checked(answered.usage, shapes)
    if operation == "fetch_response" and usage.source == "provider":
        usage = msgspec.structs.replace(usage, source="repeated")
    return msgspec.structs.replace(
        bare,
        timing=_timing(bare.timing, response.times),
        wire=api.name,
        operation=operation,
        provider=bare.provider or api.provider,
        usage=usage,
        stream=asked_to_stream if capture.status is None else response.stream,
        complete=response.complete and failure is response.failure,
        error_type=error_type_of(bare.error_type, capture, failure),
        error_message=error_message_of(failure),
        decode_error=shapes.problem,
        **told(asked, answered, shapes.text(call.body.get("model"))),
    )


def told(asked: Asked, answered: Answered, model: str | None = None) -> dict[str, Any]:
    """What both sides said, as fields of Exchange; names and ids no longer than any has reason to be."""
    return {
        "request_model": short(asked.model or model),
        "response_model": short(answered.response_model),
        "response_id": short(answered.response_id),
        "system_instructions": asked.system_instructions,
        "input_messages": asked.input_messages,
        "output_messages": answered.output_messages,
        "tool_definitions": asked.tool_definitions,
        "parameters": asked.parameters,
        "output_type": asked.output_type,
        "output_schema": asked.output_schema,
        "attributes": {
            key: value[:MAX_NAME] for key, value in (*asked.attributes.items(), *answered.attributes.items())
        },
        "conversation": short(answered.conversation or asked.conversation),
        "claims": asked.claims if len(asked.claims) <= MAX_CLAIMS else dict(islice(asked.claims.items(), MAX_CLAIMS)),
    }


def short(name: str | None) -> str | None:
    """A name or id, cut where it is longer than any has reason to be."""
    return name[:MAX_NAME] if name else name


def read_call(capture: Capture, shapes: Shapes) -> Call:
    """The request: JSON, a form, or nothing but its path and query."""
    _, _, query = capture.target.partition("?")
    return Call(
        body=_request_body(capture, shapes),
        path=unquote(path_of(capture)).rstrip("/"),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=capture.request_headers,
        method=capture.method,
    )


def _request_body(capture: Capture, shapes: Shapes) -> dict[str, Any]:
    body = expand(capture.request_body, capture.request_headers)
    shapes.note("request_cut" if capture.request_cut else body.problem)
    if not body.data and capture.method != "POST":
        return {}
    content_type = header(capture.request_headers, "content-type") or ""
    if content_type.lower().startswith("multipart/form-data"):
        return fields_of(body.data, content_type, shapes)
    value, sound = loads_or_salvage(body.data)
    if not sound:
        shapes.note("request_not_json")
    return shapes.record(value)


def _response(capture: Capture, api: ModelApi, answer: Answer, shapes: Shapes) -> _Response:
    body = expand(capture.response_body, capture.response_headers, capture.arrivals)
    shapes.note("response_cut" if capture.response_cut else body.problem)
    streaming = streaming_of(body.data, capture.response_headers, api.streaming)
    if streaming is None:
        response = _read_whole(body, capture, api, answer, shapes)
    else:
        response = _read_stream(body, capture, streaming, answer, shapes)
    if capture.response_tail and header(capture.response_headers, "content-encoding") in (None, "identity"):
        response.tail = tuple(last_events(capture.response_tail, streaming))
    return response


def _ended(answered: Answered, response: _Response, ending: Answer) -> Answered:
    """What came first, with the counts and reasons that the end of the body tells; and whether it is the end."""
    for event in response.tail or ():
        ending.add(event)
    last = ending.answered()
    told = {name: count for name in Usage.__struct_fields__[:5] if (count := getattr(last.usage, name)) is not None}
    usage = msgspec.structs.replace(answered.usage, **told, details={**answered.usage.details, **last.usage.details})
    reasons = [message.finish_reason for message in last.output_messages]
    messages = tuple(
        msgspec.structs.replace(message, finish_reason=message.finish_reason or reason)
        for message, reason in zip_longest(answered.output_messages, reasons[: len(answered.output_messages)])
    )
    response.complete = response.complete or (response.stream and ending.ended and response.failure is None)
    return msgspec.structs.replace(answered, usage=usage, output_messages=messages)


def _read_whole(body: Body, capture: Capture, api: ModelApi, answer: Answer, shapes: Shapes) -> _Response:
    failed = capture.status is not None and capture.status >= 400
    arrived = capture.status is not None and capture.error_type is None
    if not capture.response_body or body.problem == "content_encoding_unsupported":
        return _Response(stream=False, complete=arrived and failed)
    content_type = (header(capture.response_headers, "content-type") or "").lower()
    whole = None if failed else api.body_of(content_type, body.data, shapes)
    sound = whole is not None
    if whole is None:
        value, sound = loads_or_salvage(body.data)
        if not sound:
            shapes.note("response_not_json")
        whole = shapes.record(value)
    if not failed:
        answer.add(whole)
    ends = sound or body.data.rstrip().endswith((b"}", b"]"))  # JSON with NaN in it is not sound, but whole
    return _Response(
        stream=False,
        complete=arrived and (ends or failed or capture.response_cut),  # the copy was cut, not the answer
        failure=whole if failed or _is_failure(whole) else None,
    )


def _read_stream(body: Body, capture: Capture, streaming: Streaming, answer: Answer, shapes: Shapes) -> _Response:
    response = _Response(stream=True)
    offsets = []
    for offset, event in _events(body.data, streaming, response, shapes):
        if answer.add(event):
            offsets.append(offset)
        elif response.failure is None and _is_failure(event):
            response.failure = event
    failed = capture.status is not None and capture.status >= 400
    ended = response.complete or answer.ended or (capture.response_cut and capture.error_type is None)
    response.complete = response.failure is None and not failed and ended
    response.times = times_at(offsets, body.arrivals)
    return response


def _events(
    data: bytes, streaming: Streaming, response: _Response, shapes: Shapes
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every event's offset and JSON; `[DONE]` completes the response."""
    for piece in READERS[streaming](data, shapes):
        try:
            value = orjson.loads(piece.data)
        except ValueError:
            said = piece.data.strip()
            if said in (b"[DONE]", b""):  # an empty one only keeps the connection alive
                response.complete = response.complete or bool(said)
                continue
            value = _mend(piece, shapes)
        if type(value) is dict:
            yield piece.offset, value if piece.type != "error" or _is_failure(value) else {"error": value}
        else:
            shapes.odd(value)


def _mend(piece: Piece, shapes: Shapes) -> Json:
    """The event as the rules for streams read it: what is not UTF-8 becomes U+FFFD, and NaN is nothing."""
    shapes.note("event_cut" if piece.cut else "event_not_json")
    mended = piece.data.decode("utf-8", "replace").encode()
    for read in (loads, loads_leniently):
        try:
            return read(mended)
        except ValueError:
            continue
    return None


def _timing(timing: Timing, times: tuple[int, ...]) -> Timing:
    return msgspec.structs.replace(timing, first_chunk_at=times[0], chunk_times=times) if times else timing


def checked(usage: Usage, shapes: Shapes) -> Usage:
    """The counts as reported, by whom they were; a part larger than its whole is not believed.

    Noted as `usage_inconsistent`: the whole stays, its parts go.
    """
    if usage == Usage():
        return usage
    parts = {"cache_read_input_tokens": "input_tokens", "cache_write_input_tokens": "input_tokens"}
    parts["reasoning_output_tokens"] = "output_tokens"
    wrong = {name: None for name, whole in parts.items() if _exceeds(usage, getattr(usage, name), whole)}
    if usage.cache_read_input_tokens and usage.cache_write_input_tokens:
        both = usage.cache_read_input_tokens + usage.cache_write_input_tokens
        if _exceeds(usage, both, "input_tokens"):
            wrong |= {"cache_read_input_tokens": None, "cache_write_input_tokens": None}
    details = {name: count for name, count in usage.details.items() if not _exceeds(usage, count, DETAILS.get(name))}
    if wrong or len(details) != len(usage.details):
        shapes.note("usage_inconsistent")
    return msgspec.structs.replace(usage, source="provider", details=details, **wrong)


def _exceeds(usage: Usage, count: float | None, whole: str | None) -> bool:
    limit = getattr(usage, whole) if whole else None
    return count is not None and limit is not None and count > limit


def _is_failure(body: dict[str, Any]) -> bool:
    return bool(body.get("error")) or body.get("type") == "error" or body.get("object") == "error"


def error_type_of(http: str | None, capture: Capture, failure: dict[str, Any] | None) -> str | None:
    """The HTTP status, or what the provider called it inside an answer that began well, or what broke the exchange."""
    if failure is None or (capture.status is not None and capture.status >= 400):
        return http
    error = failure.get("error")
    details = error if type(error) is dict else failure
    for kind in (details.get("type"), details.get("status"), details.get("code")):
        if type(kind) in (str, int) and kind != "error" and 0 < len(str(kind)) <= MAX_ERROR_TYPE:
            return str(kind)
    return http or "_OTHER"


def error_message_of(failure: dict[str, Any] | None) -> str | None:
    """What the body says went wrong, in the places where servers say it."""
    if failure is None:
        return None
    error = failure.get("error")
    details = error if type(error) is dict else {}
    told = (details.get("message"), error, failure.get("message"), failure.get("Message"), failure.get("detail"))
    for message in told:
        if type(message) is str and message:
            return message[:MAX_ERROR_MESSAGE]
    return None


def finish_reason(value: Json, words: Mapping[str, str], shapes: Shapes) -> str | None:
    """The conventions' word for the provider's; one they do not know stays as it is."""
    reason = shapes.text(value)
    return words.get(reason, reason[:MAX_FINISH_REASON]) if reason else None


def arguments_of(value: Json) -> Json:
    """A tool call's arguments: the object, parsed if it came as text, else the text; None for nothing, or too deep."""
    if type(value) is not str:
        return None if deeper(value, MAX_DEPTH) else value
    try:
        parsed = loads(value.encode())
    except ValueError:
        return value or None
    return parsed if type(parsed) is dict else value


def metadata_claims(metadata: Json, shapes: Shapes) -> dict[str, str]:
    """What a request says of itself in texts of its own naming, as Asked.claims has it."""
    members = shapes.record(metadata).items()
    return {f"metadata.{name}": value for name, value in members if type(value) is str}


def given(values: Mapping[str, Json]) -> dict[str, Json]:
    """Without what was not said."""
    return {name: value for name, value in values.items() if value is not None}


def tool_definition(kind: str | None, tool: Mapping[str, Any], schema: Json, shapes: Shapes) -> dict[str, Json]:
    """A tool in the conventions' form: type, name, description, parameters."""
    return given(
        {
            "type": kind or "function",
            "name": shapes.text(tool.get("name")),
            "description": shapes.text(tool.get("description")),
            "parameters": schema,
        }
    )

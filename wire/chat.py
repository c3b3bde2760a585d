"""What every chat API has in common: JSON asks, and one JSON body or a stream of JSON events answers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import msgspec
import orjson
from msgspec import Struct

from pipeline.records import Capture, Exchange, Json, Message, Part, Timing, Usage
from wire.bodies import MAX_DEPTH, Arrivals, Body, deeper, expand, loads, loads_or_salvage
from wire.http import bare_exchange, is_event_stream
from wire.shapes import Shapes
from wire.sse import Event, SseParser

MAX_ERROR_MESSAGE = 2000  # characters
MAX_ERROR_TYPE = 64  # characters; longer is no kind of error but its story
MAX_FINISH_REASON = 64  # characters


class Asked(Struct, frozen=True):
    """What the request says; fields as in Exchange."""

    input_messages: tuple[Message, ...]
    system_instructions: tuple[Part, ...] = ()
    tool_definitions: tuple[Json, ...] = ()
    parameters: Mapping[str, Json] = {}
    output_type: str | None = None
    output_schema: Json = None
    attributes: Mapping[str, str] = {}


class Answered(Struct, frozen=True):
    """What the response says; fields as in Exchange."""

    response_id: str | None
    response_model: str | None
    output_messages: tuple[Message, ...]
    usage: Usage
    attributes: Mapping[str, str] = {}


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


class ChatFormat(Protocol):
    """What one chat API's JSON means."""

    name: ClassVar[str]
    provider: ClassVar[str]  # when nothing better is known

    def asked(self, request: dict[str, Any], shapes: Shapes) -> Asked: ...

    def answer(self, request: dict[str, Any], shapes: Shapes) -> Answer: ...


class _Response(Struct):
    """What came back, as far as it was fed to the answer."""

    stream: bool
    complete: bool = False
    failure: dict[str, Any] | None = None  # the body or event that says what went wrong
    times: tuple[int, ...] = ()


def decode_chat(capture: Capture, chat: ChatFormat) -> Exchange:
    """The exchange of a chat call; what cannot be read is named in `decode_error`."""
    shapes = Shapes()
    request = _request(capture, shapes)
    asked = chat.asked(request, shapes)
    answer = chat.answer(request, shapes)
    response = _response(capture, answer, shapes)
    answered = answer.answered()
    if response.complete and response.failure is None and not answered.output_messages:
        shapes.odd()
    bare = bare_exchange(capture)
    never_came = capture.status is None
    return msgspec.structs.replace(
        bare,
        timing=_timing(bare.timing, response.times),
        wire=chat.name,
        operation="chat",
        provider=bare.provider or chat.provider,
        request_model=shapes.text(request.get("model")),
        response_model=answered.response_model,
        response_id=answered.response_id,
        system_instructions=asked.system_instructions,
        input_messages=asked.input_messages,
        output_messages=answered.output_messages,
        tool_definitions=asked.tool_definitions,
        parameters=asked.parameters,
        output_type=asked.output_type,
        output_schema=asked.output_schema,
        usage=answered.usage,
        stream=request.get("stream") is True if never_came else response.stream,
        complete=response.complete,
        error_type=_error_type(bare.error_type, capture, response.failure),
        error_message=_error_message(response.failure),
        decode_error=shapes.problem,
        attributes={**asked.attributes, **answered.attributes},
    )


def _request(capture: Capture, shapes: Shapes) -> dict[str, Any]:
    body = expand(capture.request_body, capture.request_headers)
    shapes.note("request_cut" if capture.request_cut else body.problem)
    value, sound = loads_or_salvage(body.data)
    if not sound:
        shapes.note("request_not_json")
    return shapes.record(value)


def _response(capture: Capture, answer: Answer, shapes: Shapes) -> _Response:
    body = expand(capture.response_body, capture.response_headers, capture.arrivals)
    shapes.note("response_cut" if capture.response_cut else body.problem)
    if _is_stream(body.data, capture):
        return _read_stream(body, answer, shapes)
    return _read_whole(body, capture, answer, shapes)


def _is_stream(data: bytes, capture: Capture) -> bool:
    """By what the bytes look like, since servers answer with either whatever was asked; else by what they say it is."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"{", b"[")):
        return False
    return start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")) or is_event_stream(capture.response_headers)


def _read_whole(body: Body, capture: Capture, answer: Answer, shapes: Shapes) -> _Response:
    failed = capture.status is not None and capture.status >= 400
    arrived = capture.status is not None and capture.error_type is None and not capture.response_cut
    if not capture.response_body or body.problem == "content_encoding_unsupported":
        return _Response(stream=False, complete=arrived and failed)
    value, sound = loads_or_salvage(body.data)
    if not sound:
        shapes.note("response_not_json")
    whole = shapes.record(value)
    if not failed:
        answer.add(whole)
    return _Response(
        stream=False,
        complete=arrived and (sound or failed),
        failure=whole if failed or _is_failure(whole) else None,
    )


def _read_stream(body: Body, answer: Answer, shapes: Shapes) -> _Response:
    response = _Response(stream=True)
    offsets = []
    for offset, event in _events(body.data, response, shapes):
        if answer.add(event):
            offsets.append(offset)
        elif response.failure is None and _is_failure(event):
            response.failure = event
    response.complete = response.failure is None and (response.complete or answer.ended)
    response.times = _times(offsets, body.arrivals)
    return response


def _events(data: bytes, response: _Response, shapes: Shapes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every event's offset and JSON; `[DONE]` completes the response."""
    parser = SseParser()
    events = parser.feed(data)
    leftover = parser.leftover()
    if leftover:
        events.append(leftover)
    for event in events:
        try:
            value = orjson.loads(event.data)
        except ValueError:
            said = event.data.strip()
            if said in (b"[DONE]", b""):  # an empty one only keeps the connection alive
                response.complete = response.complete or bool(said)
                continue
            value = _mend(event, shapes, "event_cut" if event is leftover else "event_not_json")
        if type(value) is dict:
            yield event.offset, value
        else:
            shapes.odd(value)


def _mend(event: Event, shapes: Shapes, problem: str) -> Json:
    """The event as the rules for streams read it: what is not UTF-8 becomes U+FFFD."""
    shapes.note(problem)
    try:
        return loads(event.data.decode("utf-8", "replace").encode())
    except ValueError:
        return None


def _times(offsets: list[int], arrivals: Arrivals) -> tuple[int, ...]:
    """When the bytes at these offsets came."""
    if not arrivals:
        return ()
    starts = [offset for offset, _ in arrivals]
    return tuple([arrivals[max(0, bisect_right(starts, offset) - 1)][1] for offset in offsets])


def _timing(timing: Timing, times: tuple[int, ...]) -> Timing:
    return msgspec.structs.replace(timing, first_chunk_at=times[0], chunk_times=times) if times else timing


def _is_failure(body: dict[str, Any]) -> bool:
    return bool(body.get("error")) or body.get("type") == "error" or body.get("object") == "error"


def _error_type(http: str | None, capture: Capture, failure: dict[str, Any] | None) -> str | None:
    """The HTTP status, or what the provider called it inside an answer that began well, or what broke the exchange."""
    if failure is None or (capture.status is not None and capture.status >= 400):
        return http
    error = failure.get("error")
    details = error if type(error) is dict else failure
    for kind in (details.get("type"), details.get("code")):
        if type(kind) in (str, int) and kind != "error" and 0 < len(str(kind)) <= MAX_ERROR_TYPE:
            return str(kind)
    return http or "_OTHER"


def _error_message(failure: dict[str, Any] | None) -> str | None:
    """What the body says went wrong, in the places where servers say it."""
    if failure is None:
        return None
    error = failure.get("error")
    details = error if type(error) is dict else {}
    for message in (details.get("message"), error, failure.get("message"), failure.get("detail")):
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

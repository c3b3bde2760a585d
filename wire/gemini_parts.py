"""Gemini's contents as messages; a request may spell their members in camel case or as protocol buffers do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from pipeline.records import Json, Message, Part
from wire.media import blob, uri
from wire.reading import arguments_of, given
from wire.shapes import Shapes

ROLES = {"model": "assistant", "function": "tool"}
ASIDES = re.compile("thought|metadata$|resolution$|processing$", re.IGNORECASE)  # members that say how, not what


@lru_cache(maxsize=256)
def snake_case(name: str) -> str:
    """googleSearch → google_search."""
    return re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name)


def member(record: Mapping[str, Any], name: str) -> Json:
    """By its name in camel case, under either spelling."""
    value = record.get(name)
    return record.get(snake_case(name)) if value is None else value


def one_or_many(value: Json, shapes: Shapes) -> list[dict[str, Any]]:
    """An array of objects, or the only one in its place."""
    return [value] if type(value) is dict else shapes.records(value)


def messages_of(contents: Json, shapes: Shapes) -> tuple[Message, ...]:
    return tuple([message_of(content, shapes) for content in one_or_many(contents, shapes)])


def message_of(content: dict[str, Any], shapes: Shapes) -> Message:
    """Results of functions come as the user's parts; a message that begins with one is the tool's."""
    parts = parts_of(content.get("parts"), shapes)
    role = shapes.text(content.get("role")) or "user"
    if parts and parts[0].type == "tool_call_response":
        role = "tool"
    return Message(ROLES.get(role, role), parts)


def parts_of(parts: Json, shapes: Shapes) -> tuple[Part, ...]:
    return tuple([read for part in one_or_many(parts, shapes) for read in read_part(part, shapes)])


def read_part(part: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """One part; what a function gave besides its response follows it, and empty text is none."""
    text = shapes.text(part.get("text"))
    if text:
        return (Part("reasoning" if part.get("thought") is True else "text", content=text),)
    for name, read in READS.items():
        if (value := member(part, name)) is not None:
            return read(shapes.record(value), shapes)
    unknown = next((name for name in part if name != "text" and not ASIDES.search(name)), None)
    return (Part("generic", name=unknown),) if unknown else ()


def _inline_data(data: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    mime_type = shapes.text(member(data, "mimeType"))
    return (blob(modality_of(mime_type), mime_type, shapes.text(data.get("data")) or ""),)


def _file_data(data: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    mime_type = shapes.text(member(data, "mimeType"))
    part = uri(modality_of(mime_type), shapes.text(member(data, "fileUri")) or "")
    return (msgspec.structs.replace(part, mime_type=part.mime_type or mime_type),)


def modality_of(mime_type: str | None) -> str:
    """What kind of thing a media type is; what is neither seen nor heard is a document."""
    kind = (mime_type or "").partition("/")[0].lower()
    return kind if kind in ("image", "audio", "video") else "document"


def _function_call(call: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    arguments = arguments_of(call.get("args"))
    return (Part("tool_call", id=shapes.text(call.get("id")), name=shapes.text(call.get("name")), arguments=arguments),)


def _function_response(answer: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    response = shapes.record(answer.get("response"))
    part = Part(
        "tool_call_response",
        id=shapes.text(answer.get("id")),
        name=shapes.text(answer.get("name")),
        response=arguments_of(response),
        is_error=bool(response.get("error")),
    )
    return (part, *parts_of(answer.get("parts"), shapes))


def _executable_code(code: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    asked = {"language": shapes.text(code.get("language")), "code": shapes.text(code.get("code"))}
    return (_server_call("code_execution", code, asked, shapes),)


def _code_execution_result(result: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    outcome = shapes.text(result.get("outcome"))
    said = {"type": "code_execution", "outcome": outcome, "output": shapes.text(result.get("output"))}
    part = Part(
        "server_tool_call_response",
        id=shapes.text(result.get("id")),
        server_tool_call_response=given(said),
        is_error=outcome in ("OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"),
    )
    return (part,)


def _tool_call(call: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return (_server_call(_tool_type(call, shapes), call, {"args": arguments_of(call.get("args"))}, shapes),)


def _server_call(kind: str, call: dict[str, Any], asked: dict[str, Json], shapes: Shapes) -> Part:
    details = {"type": kind, **given(asked)}
    return Part("server_tool_call", id=shapes.text(call.get("id")), name=kind, server_tool_call=details)


def _tool_response(answer: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """Its response is left out: of any shape, and found images are in it."""
    said = {"type": _tool_type(answer, shapes)}
    return (Part("server_tool_call_response", id=shapes.text(answer.get("id")), server_tool_call_response=said),)


def _tool_type(call: dict[str, Any], shapes: Shapes) -> str:
    return (shapes.text(member(call, "toolType")) or "tool").lower()


READS: Mapping[str, Callable[[dict[str, Any], Shapes], tuple[Part, ...]]] = {
    "inlineData": _inline_data,
    "fileData": _file_data,
    "functionCall": _function_call,
    "functionResponse": _function_response,
    "executableCode": _executable_code,
    "codeExecutionResult": _code_execution_result,
    "toolCall": _tool_call,
    "toolResponse": _tool_response,
}

"""Cohere's chat, version 2: with documents to answer from, and citations of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import may_have, path_of, provider_of
from wire.media import uri
from wire.reading import (
    Answered,
    Asked,
    Call,
    JsonApi,
    arguments_of,
    decode_call,
    finish_reason,
    given,
    tool_definition,
)
from wire.shapes import Shapes, first_given
from wire.transcript import Transcript

FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_call",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
    "TIMEOUT": "error",
}
OUTPUT_TYPES = {"json_object": "json", "text": "text"}


class CohereChat(JsonApi):
    """POST …/v2/chat, one JSON body or server-sent events."""

    name: ClassVar[str] = "cohere_chat"
    provider: ClassVar[str] = "cohere"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        ours = capture.method == "POST" and path_of(capture).rstrip("/").endswith("/v2/chat")
        return ours and (provider_of(capture) == self.provider or may_have(capture, "model", "messages"))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        wanted = shapes.record(request.get("response_format"))
        schema = first_given(wanted.get("json_schema"), wanted.get("schema"))
        messages = [_input_message(message, shapes) for message in shapes.records(request.get("messages"))]
        return Asked(
            input_messages=(*messages, *documents_of(request.get("documents"), shapes)),
            tool_definitions=tuple([_tool(tool, shapes) for tool in shapes.records(request.get("tools"))]),
            parameters=parameters_of(request, shapes),
            output_type=OUTPUT_TYPES.get(shapes.text(wanted.get("type")) or ""),
            output_schema=shapes.record(schema) or None,
        )

    def answer(self, call: Call, shapes: Shapes) -> ChatAnswer:
        return ChatAnswer(shapes)


def _input_message(message: dict[str, Any], shapes: Shapes) -> Message:
    role = shapes.text(message.get("role")) or "user"
    content = _content(message.get("content"), shapes)
    if role == "tool":
        return Message(role, _results(shapes.text(message.get("tool_call_id")), content, shapes))
    return Message(role, tuple(_message_parts(message, content, shapes)))


def _message_parts(message: dict[str, Any], content: list[dict[str, Any]], shapes: Shapes) -> Iterator[Part]:
    """The plan comes before the content, the calls after it."""
    if plan := shapes.text(message.get("tool_plan")):
        yield Part("reasoning", content=plan)
    for block in content:
        yield from _block_parts(block, shapes)
    for call in shapes.records(message.get("tool_calls")):
        yield _call_part(call, shapes)


def _content(content: Json, shapes: Shapes) -> list[dict[str, Any]]:
    """Content is an array of blocks, or text in place of the only one."""
    return [{"type": "text", "text": content}] if type(content) is str else shapes.records(content)


def _block_parts(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    kind = shapes.text(block.get("type"))
    match kind:
        case "text":
            text = shapes.text(block.get("text"))
            return (Part("text", content=text),) if text else ()
        case "thinking":
            thinking = shapes.text(block.get("thinking"))
            return (Part("reasoning", content=thinking),) if thinking else ()
        case "image_url":
            address = shapes.text(shapes.record(block.get("image_url")).get("url"))
            return (uri("image", address or ""),)
        case "document":
            return (_document(block.get("document"), None, shapes),)
        case _:
            return (Part("generic", name=kind),)


def _results(call_id: str | None, content: list[dict[str, Any]], shapes: Shapes) -> tuple[Part, ...]:
    """What a tool said: every block a response of its own, for documents are cited one by one."""
    return tuple(
        [
            _document(block.get("document"), call_id, shapes)
            if block.get("type") == "document"
            else Part("tool_call_response", id=call_id, response=shapes.text(block.get("text")))
            for block in content
        ]
    )


def documents_of(documents: Json, shapes: Shapes) -> tuple[Message, ...]:
    """What the answer is to lean on, as if a tool had found it."""
    parts = tuple([_document(document, None, shapes) for document in shapes.items(documents)])
    return (Message("tool", parts),) if parts else ()


def _document(document: Json, call_id: str | None, shapes: Shapes) -> Part:
    """Text, or an object with an id; what it says is under `data`."""
    if type(document) is str:
        return Part("tool_call_response", id=call_id, response=document)
    fields = shapes.record(document)
    found = first_given(fields.get("data"), fields)
    return Part("tool_call_response", id=call_id or shapes.text(fields.get("id")), response=found)


def _call_part(call: dict[str, Any], shapes: Shapes) -> Part:
    function = shapes.record(call.get("function"))
    arguments = arguments_of(function.get("arguments"))
    return Part(
        "tool_call", id=shapes.text(call.get("id")), name=shapes.text(function.get("name")), arguments=arguments
    )


def _tool(tool: dict[str, Any], shapes: Shapes) -> Json:
    function = shapes.record(tool.get("function"))
    return tool_definition(shapes.text(tool.get("type")), function, function.get("parameters"), shapes)


def parameters_of(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    stop = [shapes.text(text) for text in shapes.items(request.get("stop_sequences"))]
    return given(
        {
            "temperature": shapes.number(request.get("temperature")),
            "top_p": shapes.number(request.get("p")),
            "top_k": shapes.integer(request.get("k")),
            "max_tokens": shapes.integer(request.get("max_tokens")),
            "frequency_penalty": shapes.number(request.get("frequency_penalty")),
            "presence_penalty": shapes.number(request.get("presence_penalty")),
            "seed": shapes.integer(request.get("seed")),
            "stop_sequences": [text for text in stop if text is not None] or None,
        }
    )


class ChatAnswer:
    """The message as it comes together, from events or from one whole answer."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._transcript = Transcript()
        self._index: Json = None  # of the content block that grew last
        self._calls: list[ToolCall] = []
        self._known_calls: dict[int, ToolCall] = {}  # by index
        self._citations: list[dict[str, Any]] = []
        self._id: Json = None
        self._begun = False
        self._end: dict[str, Any] = {}  # how it ended: finish_reason, usage, error

    def add(self, event: dict[str, Any]) -> bool:
        """One event of the stream, or a whole answer, which has no type."""
        kind, index = event.get("type"), event.get("index")
        self._id = event.get("id") or self._id
        delta = event if kind is None else self._shapes.record(event.get("delta"))
        message = self._shapes.record(delta.get("message"))
        self._begun = self._begun or bool(message)
        match kind:
            case "content-delta" | "content-start":
                return self._add_content(index, self._shapes.record(message.get("content")))
            case "tool-plan-delta":
                return self._transcript.say("reasoning", self._shapes.text(message.get("tool_plan")))
            case "tool-call-start" | "tool-call-delta":
                return self._add_call(index, self._shapes.record(message.get("tool_calls")), kind == "tool-call-start")
            case "citation-start":
                self._citations.append(self._shapes.record(message.get("citations")))
            case "message-end":
                self._end, self.ended = delta, True
            case None:
                return self._add_whole(event, message)
        return False

    def _add_content(self, index: Json, content: dict[str, Any]) -> bool:
        begin = index != self._index
        thought = self._transcript.say("reasoning", self._shapes.text(content.get("thinking")), begin)
        came = self._transcript.say("text", self._shapes.text(content.get("text")), begin) or thought
        self._index = index if came else self._index
        return came

    def _add_call(self, index: Json, piece: dict[str, Any], begin: bool) -> bool:
        """A piece of the call of that index; without an index, of the last."""
        if type(index) is int:
            call = None if begin else self._known_calls.get(index)
        else:
            self._shapes.odd()
            call = self._calls[-1] if self._calls and not begin else None
        if call is None:
            call = ToolCall()
            self._calls.append(call)
        if type(index) is int:
            self._known_calls[index] = call
        call.add(piece, self._shapes)
        return True

    def _add_whole(self, answer: dict[str, Any], message: dict[str, Any]) -> bool:
        self._end = answer
        parts = list(_message_parts(message, _content(message.get("content"), self._shapes), self._shapes))
        for part in parts:
            self._transcript.add(part)
        self._citations += self._shapes.records(message.get("citations"))
        return bool(parts)

    def answered(self) -> Answered:
        reason = finish_reason(self._end.get("finish_reason"), FINISH_REASONS, self._shapes)
        return Answered(
            response_id=self._shapes.text(self._id),
            output_messages=(self._message(reason),) if self._begun or reason else (),
            usage=usage_of(self._shapes.record(self._end.get("usage")), self._shapes),
            failure=self._failure(reason),
        )

    def _message(self, reason: str | None) -> Message:
        parts = self._transcript.parts(cited(self._citations, self._shapes))
        calls = [call.part() for call in self._calls]
        return Message("assistant", (*parts, *calls), finish_reason=reason)

    def _failure(self, reason: str | None) -> dict[str, Any] | None:
        """What went wrong while it was generated: said in the last event, or only that it did."""
        error = self._shapes.text(self._end.get("error"))
        return {"code": self._end.get("finish_reason"), "message": error} if error or reason == "error" else None


class ToolCall:
    """One call of a tool, its arguments piece by piece."""

    __slots__ = ("_arguments", "_id", "_name")

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: str | None = None
        self._arguments: list[str] = []

    def add(self, piece: dict[str, Any], shapes: Shapes) -> None:
        function = shapes.record(piece.get("function"))
        self._id = self._id or shapes.text(piece.get("id"))
        self._name = self._name or shapes.text(function.get("name"))
        self._arguments.append(shapes.text(function.get("arguments")) or "")

    def part(self) -> Part:
        arguments = arguments_of("".join(self._arguments))
        return Part("tool_call", id=self._id, name=self._name, arguments=arguments)


def cited(citations: list[dict[str, Any]], shapes: Shapes) -> Iterator[dict[str, str]]:
    """The words of the answer with each source they lean on."""
    for citation in citations:
        words = given({"text": shapes.text(citation.get("text"))})
        sources = shapes.records(citation.get("sources"))
        for source in sources:
            yield words | _source(source, shapes)
        if not sources:
            yield words


def _source(source: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    """A document that was given, or what a tool said: its fields are the user's own."""
    found = first_given(source.get("document"), source.get("tool_output"))
    fields = found if type(found) is dict else {}
    named = {"title": fields.get("title"), "uri": fields.get("url"), "file_id": source.get("id")}
    return {name: value for name, value in named.items() if type(value) is str}


def usage_of(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """What was billed, before what went through the model; that alone is what the cached tokens are a part of."""
    billed, used = shapes.record(usage.get("billed_units")), shapes.record(usage.get("tokens"))
    input_tokens = shapes.count(first_given(billed.get("input_tokens"), used.get("input_tokens")))
    cached = shapes.count(usage.get("cached_tokens"))
    fits = cached is None or input_tokens is None or cached <= input_tokens
    return Usage(
        input_tokens=input_tokens,
        output_tokens=shapes.count(first_given(billed.get("output_tokens"), used.get("output_tokens"))),
        cache_read_input_tokens=cached if fits else None,
        details=given({"rerank_searches": shapes.count(billed.get("search_units"))}),
    )

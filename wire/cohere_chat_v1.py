"""Cohere's chat, version 1: a message and its history, one JSON body, lines of JSON or server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part
from wire.cohere_chat import FINISH_REASONS, OUTPUT_TYPES, documents_of, parameters_of, usage_of
from wire.http import header, may_have, path_of, provider_of
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
from wire.shapes import Shapes
from wire.streams import Streaming
from wire.transcript import Transcript

ROLES = {"CHATBOT": "assistant"}
LINES = "application/stream+json"


class CohereChatV1(JsonApi):
    """POST …/v1/chat."""

    name: ClassVar[str] = "cohere_chat_v1"
    provider: ClassVar[str] = "cohere"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        ours = capture.method == "POST" and path_of(capture).rstrip("/").endswith("/v1/chat")
        return ours and (provider_of(capture) == self.provider or may_have(capture, "message"))

    def decode(self, capture: Capture) -> Exchange:
        """Lines have a content type of their own."""
        said = header(capture.response_headers, "content-type") or ""
        return decode_call(capture, CohereChatV1Lines() if said.startswith(LINES) else self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        preamble = shapes.text(request.get("preamble"))
        wanted = shapes.record(request.get("response_format"))
        return Asked(
            input_messages=_messages(request, shapes),
            system_instructions=(Part("text", content=preamble),) if preamble else (),
            tool_definitions=tuple([_tool(tool, shapes) for tool in shapes.records(request.get("tools"))]),
            parameters=parameters_of(request, shapes),
            output_type=OUTPUT_TYPES.get(shapes.text(wanted.get("type")) or ""),
            output_schema=shapes.record(wanted.get("schema")) or None,
            conversation=shapes.text(request.get("conversation_id")),
        )

    def answer(self, call: Call, shapes: Shapes) -> ChatAnswer:
        return ChatAnswer(shapes)


class CohereChatV1Lines(CohereChatV1):
    """The same, streamed as lines."""

    streaming: ClassVar[Streaming] = "lines"


def _messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    """What was said before, what is said now, what the tools said, and what to lean on."""
    history = [_turn(turn, shapes) for turn in shapes.records(request.get("chat_history"))]
    message = shapes.text(request.get("message"))
    results = _results(request.get("tool_results"), shapes)
    return (
        *history,
        *([Message("user", (Part("text", content=message),))] if message else []),
        *([Message("tool", results)] if results else []),
        *documents_of(request.get("documents"), shapes),
    )


def _turn(turn: dict[str, Any], shapes: Shapes) -> Message:
    role = shapes.text(turn.get("role")) or "USER"
    text = shapes.text(turn.get("message"))
    said = (Part("text", content=text),) if text else ()
    calls = tuple([_call(call, shapes) for call in shapes.records(turn.get("tool_calls"))])
    return Message(ROLES.get(role, role.lower()), (*said, *calls, *_results(turn.get("tool_results"), shapes)))


def _results(results: Json, shapes: Shapes) -> tuple[Part, ...]:
    """What each tool said, known by its name: calls have no ids."""
    return tuple(
        [
            Part(
                "tool_call_response",
                name=shapes.text(shapes.record(result.get("call")).get("name")),
                response=shapes.items(result.get("outputs")),
            )
            for result in shapes.records(results)
        ]
    )


def _call(call: dict[str, Any], shapes: Shapes) -> Part:
    return Part("tool_call", name=shapes.text(call.get("name")), arguments=arguments_of(call.get("parameters")))


def _tool(tool: dict[str, Any], shapes: Shapes) -> Json:
    """Its parameters are told in a language of Cohere's own, which is no JSON Schema."""
    return tool_definition("function", tool, None, shapes)


class ChatAnswer:
    """The message as it comes together: a stream's last event repeats the whole answer."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._transcript = Transcript()
        self._said = False
        self._begun = False
        self._whole: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        match event.get("event_type"):
            case "text-generation":
                self._begun = self._said = True
                return self._transcript.say("text", self._shapes.text(event.get("text")))
            case "stream-end":
                self.ended = True
                self._whole = self._shapes.record(event.get("response")) | given(
                    {"finish_reason": event.get("finish_reason")}
                )
                self._begun = True
            case None:
                self._whole = event
                self._begun = "text" in event
                return self._begun
        return False

    def answered(self) -> Answered:
        meta = self._shapes.record(self._whole.get("meta"))
        reason = finish_reason(self._whole.get("finish_reason"), FINISH_REASONS, self._shapes)
        return Answered(
            response_id=self._shapes.text(self._whole.get("response_id")),
            output_messages=(self._message(reason),) if self._begun else (),
            usage=usage_of(meta, self._shapes),
            failure={"code": self._whole.get("finish_reason")} if reason == "error" else None,
        )

    def _message(self, reason: str | None) -> Message:
        if not self._said:
            self._transcript.say("text", self._shapes.text(self._whole.get("text")))
        calls = [_call(call, self._shapes) for call in self._shapes.records(self._whole.get("tool_calls"))]
        parts = (*self._transcript.parts(self._citations()), *calls)
        return Message("assistant", parts, finish_reason="tool_call" if calls and reason == "stop" else reason)

    def _citations(self) -> Iterator[dict[str, str]]:
        """The words of the answer with each document they lean on."""
        documents = {
            str(document.get("id")): document for document in self._shapes.records(self._whole.get("documents"))
        }
        for citation in self._shapes.records(self._whole.get("citations")):
            words = given({"text": self._shapes.text(citation.get("text"))})
            for cited in filter(None, map(self._shapes.text, self._shapes.items(citation.get("document_ids")))):
                yield words | _source(cited, documents.get(cited, {}))


def _source(document_id: str, document: dict[str, Any]) -> dict[str, str]:
    named = {"title": document.get("title"), "uri": document.get("url"), "file_id": document_id}
    return {name: value for name, value in named.items() if type(value) is str}

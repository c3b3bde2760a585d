"""Ollama's own API: chat and generate, one JSON body or a line of JSON for every piece."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import header, may_have, path_of
from wire.media import blob
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

PATHS = ("/api/chat", "/api/generate")
NO_ANSWERS = ("load", "unload")  # reasons for being done when nothing was asked
DURATIONS = ("load_duration", "prompt_eval_duration", "eval_duration")  # nanoseconds


class Ollama(JsonApi):
    """POST /api/chat and /api/generate."""

    name: ClassVar[str] = "ollama"
    provider: ClassVar[str] = "ollama"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        return is_ollama(capture, PATHS)

    def decode(self, capture: Capture) -> Exchange:
        """One line that is not said to be one of several is a whole body."""
        return decode_call(capture, OllamaLines() if b"\n{" in capture.response_body else self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        generates = call.path.endswith("/api/generate")
        output_type, output_schema = _output(request, shapes)
        system = shapes.text(request.get("system"))
        return Asked(
            input_messages=_prompt(request, shapes) if generates else _messages(request, shapes),
            system_instructions=(Part("text", content=system),) if system else (),
            tool_definitions=tuple([_tool(tool, shapes) for tool in shapes.records(request.get("tools"))]),
            parameters=_parameters(request, shapes),
            output_type=output_type,
            output_schema=output_schema,
            operation="text_completion" if generates else None,
            stream=request.get("stream") is not False,
        )

    def answer(self, call: Call, shapes: Shapes) -> OllamaAnswer:
        return OllamaAnswer(shapes)


class OllamaLines(Ollama):
    """The same, whatever its content type says."""

    streaming: ClassVar[Streaming] = "lines"


def is_ollama(capture: Capture, paths: tuple[str, ...]) -> bool:
    """Applications have paths like these too: Ollama is asked for a model, and answers in JSON unless it fails."""
    ours = capture.method == "POST" and path_of(capture).rstrip("/").endswith(paths)
    return ours and may_have(capture, "model") and _is_answered_in_json(capture)


def _is_answered_in_json(capture: Capture) -> bool:
    failed = capture.status is not None and capture.status >= 400
    hidden = failed or header(capture.response_headers, "content-encoding")
    return bool(hidden) or capture.response_body[:64].lstrip()[:1] in (b"", b"{")


def _messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    return tuple([_message(message, shapes) for message in shapes.records(request.get("messages"))])


def _message(message: dict[str, Any], shapes: Shapes) -> Message:
    role = shapes.text(message.get("role")) or "user"
    if role != "tool":
        transcript = Transcript()
        take_message(transcript, message, shapes)
        return Message(role, transcript.parts())
    result = Part(
        "tool_call_response",
        id=shapes.text(message.get("tool_call_id")),
        name=shapes.text(message.get("tool_name")),
        response=shapes.text(message.get("content")),
    )
    return Message(role, (result, *_images(message, shapes)))


def take_message(transcript: Transcript, message: dict[str, Any], shapes: Shapes) -> bool:
    """Add a message or a piece of one; was there anything in it?"""
    came = transcript.say("reasoning", shapes.text(message.get("thinking")))
    came = transcript.say("text", shapes.text(message.get("content"))) or came
    parts = [*_images(message, shapes), *_calls(message, shapes)]
    for part in parts:
        transcript.add(part)
    return came or bool(parts)


def _images(message: dict[str, Any], shapes: Shapes) -> list[Part]:
    return [blob("image", None, shapes.text(image) or "") for image in shapes.items(message.get("images"))]


def _calls(message: dict[str, Any], shapes: Shapes) -> list[Part]:
    return [_call(call, shapes) for call in shapes.records(message.get("tool_calls"))]


def _call(call: dict[str, Any], shapes: Shapes) -> Part:
    function = shapes.record(call.get("function"))
    arguments = arguments_of(function.get("arguments"))
    return Part(
        "tool_call", id=shapes.text(call.get("id")), name=shapes.text(function.get("name")), arguments=arguments
    )


def _prompt(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    """The one message of generate; without a prompt it only loads the model."""
    text = shapes.text(request.get("prompt"))
    parts = ([Part("text", content=text)] if text else []) + _images(request, shapes)
    return (Message("user", tuple(parts)),) if parts else ()


def _tool(tool: dict[str, Any], shapes: Shapes) -> Json:
    function = shapes.record(tool.get("function"))
    return tool_definition(shapes.text(tool.get("type")), function, function.get("parameters"), shapes)


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    options = shapes.record(request.get("options"))
    think = request.get("think")
    return given(
        {
            "temperature": shapes.number(options.get("temperature")),
            "top_p": shapes.number(options.get("top_p")),
            "top_k": shapes.integer(options.get("top_k")),
            "max_tokens": shapes.integer(options.get("num_predict")),
            "frequency_penalty": shapes.number(options.get("frequency_penalty")),
            "presence_penalty": shapes.number(options.get("presence_penalty")),
            "seed": shapes.integer(options.get("seed")),
            "stop_sequences": _stop_sequences(options.get("stop"), shapes),
            "reasoning.level": think if type(think) is str else None,
        }
    )


def _stop_sequences(stop: Json, shapes: Shapes) -> list[str] | None:
    if type(stop) is str:
        return [stop]
    return [sequence for sequence in map(shapes.text, shapes.items(stop)) if sequence is not None] or None


def _output(request: dict[str, Any], shapes: Shapes) -> tuple[str | None, Json]:
    """`format` is "json", or the JSON Schema itself."""
    wanted = request.get("format")
    if type(wanted) is dict:
        return "json", wanted
    return ("json" if shapes.text(wanted) == "json" else None), None


class OllamaAnswer:
    """The message as it comes together, from lines or from one body."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._transcript = Transcript()
        self._begun = False
        self._last: dict[str, Any] = {}  # the line that ends it, or the latest

    def add(self, event: dict[str, Any]) -> bool:
        if event.get("error"):
            return False
        self._last = event
        self.ended = self.ended or event.get("done") is True
        self._begun = self._begun or "message" in event or "response" in event or "image" in event
        return self._take(event)

    def _take(self, event: dict[str, Any]) -> bool:
        """A piece of the message, or of what was generated: that says the same by other names."""
        message = event.get("message")
        if message is not None:
            return take_message(self._transcript, self._shapes.record(message), self._shapes)
        came = take_message(
            self._transcript, {"thinking": event.get("thinking"), "content": event.get("response")}, self._shapes
        )
        if image := self._shapes.text(event.get("image")):
            self._transcript.add(blob("image", None, image))
        return came or bool(image)

    def answered(self) -> Answered:
        last, text = self._last, self._shapes.text
        reason = text(last.get("done_reason"))
        return Answered(
            response_model=text(last.get("model")),
            output_messages=() if reason in NO_ANSWERS or not self._begun else (self._message(),),
            usage=usage_of(last, self._shapes),
            attributes=durations_of(last, self._shapes),
            unfinished=reason in NO_ANSWERS,
        )

    def _message(self) -> Message:
        parts = self._transcript.parts()
        reason = finish_reason(self._last.get("done_reason"), {}, self._shapes)
        calls = any(part.type == "tool_call" for part in parts)
        return Message("assistant", parts, finish_reason="tool_call" if calls and reason == "stop" else reason)


def usage_of(last: dict[str, Any], shapes: Shapes) -> Usage:
    """Some versions leave out the prompt's count when the prompt was cached."""
    return Usage(
        input_tokens=shapes.count(last.get("prompt_eval_count")),
        output_tokens=shapes.count(last.get("eval_count")),
    )


def durations_of(last: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    """Where the time went, in nanoseconds, as attributes."""
    counts = {f"sidelight.ollama.{name}": shapes.count(last.get(name)) for name in DURATIONS}
    return {name: str(count) for name, count in counts.items() if count is not None}

"""OpenAI's chat completions, and the many servers that speak them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import path_of
from wire.media import blob, uri
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

FINISH_REASONS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
}
OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}
AUDIO_TYPES = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}


class OpenAIChat(JsonApi):
    """POST …/chat/completions, one JSON body or server-sent events."""

    name: ClassVar[str] = "openai_chat"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and path_of(capture).rstrip("/").endswith("/chat/completions")

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        output_type, output_schema = _output(request, shapes)
        return Asked(
            input_messages=_input_messages(request, shapes),
            tool_definitions=_tools(request, shapes),
            parameters=_parameters(request, shapes),
            output_type=output_type,
            output_schema=output_schema,
            attributes=_request_attributes(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> ChatAnswer:
        return ChatAnswer(expected=shapes.count(call.body.get("n")) or 1, shapes=shapes)


def _input_messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    return tuple([_input_message(message, shapes) for message in shapes.records(request.get("messages"))])


def _input_message(message: dict[str, Any], shapes: Shapes) -> Message:
    role = shapes.text(message.get("role")) or "user"
    name = shapes.text(message.get("name"))
    if role in ("tool", "function"):
        return Message("tool", _tool_result(message, shapes), name=name)
    draft = Draft(shapes)
    draft.add(message)
    return Message(role, draft.parts(), name=name)


def _tool_result(message: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """What the tool said as text; anything else it gave follows as parts."""
    draft = Draft(shapes)
    draft.take_content(message.get("content"))
    parts = draft.parts()
    text = "\n".join(part.content or "" for part in parts if part.type == "text")
    media = [part for part in parts if part.type != "text"]
    return (Part("tool_call_response", id=shapes.text(message.get("tool_call_id")), response=text), *media)


def _tools(request: dict[str, Any], shapes: Shapes) -> tuple[Json, ...]:
    tools = []
    for tool in shapes.records(request.get("tools")):
        kind = shapes.text(tool.get("type"))
        details = shapes.record(tool.get(kind or "function")) if kind in (None, "function", "custom") else tool
        tools.append(tool_definition(kind, details, details.get("parameters"), shapes))
    for function in shapes.records(request.get("functions")):
        tools.append(tool_definition("function", function, function.get("parameters"), shapes))
    return tuple(tools)


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    choices = shapes.integer(request.get("n"))
    return given(
        {
            "temperature": shapes.number(request.get("temperature")),
            "top_p": shapes.number(request.get("top_p")),
            "top_k": shapes.integer(request.get("top_k")),
            "max_tokens": shapes.integer(first_given(request.get("max_completion_tokens"), request.get("max_tokens"))),
            "frequency_penalty": shapes.number(request.get("frequency_penalty")),
            "presence_penalty": shapes.number(request.get("presence_penalty")),
            "seed": shapes.integer(request.get("seed")),
            "stop_sequences": _stop_sequences(request.get("stop"), shapes),
            "choice.count": choices if choices != 1 else None,
            "reasoning.level": _reasoning_level(request, shapes),
        }
    )


def _stop_sequences(stop: Json, shapes: Shapes) -> list[str] | None:
    if stop is None or type(stop) is str:
        return [stop] if stop else None
    return [sequence for sequence in map(shapes.text, shapes.items(stop)) if sequence is not None]


def _reasoning_level(request: dict[str, Any], shapes: Shapes) -> str | None:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning.effort`."""
    nested = shapes.record(request.get("reasoning")).get("effort")
    return shapes.text(first_given(request.get("reasoning_effort"), nested))


def _output(request: dict[str, Any], shapes: Shapes) -> tuple[str | None, Json]:
    """The format the answer is to have, and its JSON Schema."""
    modalities = request.get("modalities")
    if type(modalities) is list and "audio" in modalities:
        return "speech", None
    wanted = shapes.record(request.get("response_format"))
    kind = shapes.text(wanted.get("type"))
    schema = shapes.record(wanted.get("json_schema")).get("schema") if kind == "json_schema" else None
    return OUTPUT_TYPES.get(kind or ""), schema


def _request_attributes(request: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    attributes = {"openai.api.type": "chat_completions"}
    tier = shapes.text(request.get("service_tier"))
    if tier and tier != "auto":
        attributes["openai.request.service_tier"] = tier
    return attributes


class ChatAnswer:
    """The choices as they come together, from chunks or from one whole completion."""

    def __init__(self, expected: int, shapes: Shapes) -> None:
        self._expected = expected  # choices asked for
        self._shapes = shapes
        self._choices: dict[int, Choice] = {}
        self._heard: dict[str, Any] = {}  # the last that was said of what the choices share
        self._usage: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Every choice has said why it ended."""
        choices = self._choices.values()
        return len(choices) >= self._expected and all(choice.finish_reason for choice in choices)

    def add(self, event: dict[str, Any]) -> bool:
        """A `chat.completion.chunk`, or a whole `chat.completion`."""
        came = False
        for position, choice in enumerate(self._shapes.records(event.get("choices"))):
            if self._choice(choice.get("index"), position).add(choice):
                came = True
            elif "usage" in choice:  # Moonshot
                self._add_usage(choice["usage"])
        if event.get("usage") is not None:
            self._add_usage(event["usage"])
        if not came or not self._heard:  # what the choices share need not be heard again with every word
            self._hear(event)
        return came

    def _hear(self, event: dict[str, Any]) -> None:
        for name in ("id", "model", "system_fingerprint", "service_tier"):
            if value := event.get(name):
                self._heard[name] = value
        if "x_groq" in event:
            self._add_usage(self._shapes.record(event["x_groq"]).get("usage"))

    def _choice(self, index: Json, position: int) -> Choice:
        if type(index) is not int:
            self._shapes.odd(index)
            index = position
        if index not in self._choices:
            self._choices[index] = Choice(self._shapes)
        return self._choices[index]

    def _add_usage(self, usage: Json) -> None:
        if usage is not None:
            self._usage = self._shapes.record(usage)

    def answered(self) -> Answered:
        text, heard = self._shapes.text, self._heard
        return Answered(
            response_id=text(heard.get("id")),
            response_model=text(heard.get("model")),
            output_messages=tuple([choice.message() for _, choice in sorted(self._choices.items())]),
            usage=_usage(self._usage, self._shapes),
            attributes=given(
                {
                    "openai.response.service_tier": text(heard.get("service_tier")),
                    "openai.response.system_fingerprint": text(heard.get("system_fingerprint")),
                }
            ),
        )


def _usage(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """Tokens by the conventions; a cache hit is told by DeepSeek's own name where OpenAI's is missing.

    xAI alone counts reasoning beside the completion, which the total betrays.
    """
    if not usage:
        return Usage()
    count, prompt = shapes.count, shapes.record(usage.get("prompt_tokens_details"))
    given_in, given_out = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    reasoning = count(shapes.record(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if given_out is not None and reasoning and usage.get("total_tokens") == (given_in or 0) + given_out + reasoning:
        given_out += reasoning
    return Usage(
        input_tokens=given_in,
        output_tokens=given_out,
        cache_read_input_tokens=count(first_given(prompt.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"))),
        cache_write_input_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_output_tokens=reasoning,
    )


class Choice:
    """One of the answers asked for."""

    __slots__ = ("_draft", "_role", "_shapes", "finish_reason")

    def __init__(self, shapes: Shapes) -> None:
        self.finish_reason: str | None = None
        self._draft = Draft(shapes)
        self._role: str | None = None
        self._shapes = shapes

    def add(self, choice: dict[str, Any]) -> bool:
        """A chunk's choice, which has a delta, or a whole one, which has a message."""
        if reason := choice.get("finish_reason"):
            self.finish_reason = finish_reason(reason, FINISH_REASONS, self._shapes)
        delta = choice.get("delta")
        message = self._shapes.record(choice.get("message") if delta is None else delta)
        if self._role is None:
            self._role = self._shapes.text(message.get("role"))
        return self._draft.add(message, whole=delta is None)

    def message(self) -> Message:
        return Message(self._role or "assistant", self._draft.parts(), finish_reason=self.finish_reason)


class Draft:
    """A message as it comes together: a whole one at once, a streamed one delta by delta."""

    __slots__ = ("_audio", "_calls", "_content", "_known_calls", "_reasoning", "_refusal", "_shapes", "_text", "_whole")

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._whole = True
        self._content: list[Part] = []
        self._text: list[str] = []  # the part of the content that is still growing
        self._reasoning: dict[str, list[str]] = {}
        self._refusal: list[str] = []
        self._calls: list[ToolCall] = []
        self._known_calls: dict[int | str, ToolCall] = {}  # by index, by id
        self._audio: dict[str, list[str]] = {}

    def add(self, message: dict[str, Any], whole: bool = True) -> bool:
        """Take a message or a delta; did it bring anything?"""
        self._whole = whole
        came = False
        for key, value in message.items():
            if value and (take := TAKES.get(key)):
                take(self, value)
                came = True
        return came

    def parts(self) -> tuple[Part, ...]:
        """Reasoning, content, refusal, sound, tool calls: the order they are made in."""
        reasoning = next(("".join(pieces) for pieces in self._reasoning.values()), None)
        refusal = "".join(self._refusal)
        parts = [Part("reasoning", content=reasoning)] if reasoning else []
        self._end_text()
        parts += self._content
        if refusal:
            parts.append(Part("refusal", content=refusal))
        if self._audio:
            parts += _audio_parts({key: "".join(pieces) for key, pieces in self._audio.items()})
        parts += [call.part() for call in self._calls]
        return tuple(parts)

    def take_content(self, content: Json) -> None:
        """Text, or an array of parts."""
        if type(content) is str:
            self._text.append(content)
            return
        self._end_text()
        for part in self._shapes.records(content):
            if part.get("type") == "thinking":  # Mistral
                self._take_thinking(part.get("thinking"))
            else:
                self._content.append(_content_part(part, self._shapes))

    def _end_text(self) -> None:
        if self._text:
            self._content.append(Part("text", content="".join(self._text)))
            self._text = []

    def _take_thinking(self, thinking: Json) -> None:
        pieces = [thinking] if type(thinking) is str else [part.get("text") for part in self._shapes.records(thinking)]
        self._reasoning.setdefault("thinking", []).extend(filter(None, map(self._shapes.text, pieces)))

    def _take_reasoning_content(self, reasoning: Json) -> None:
        self._reasoning.setdefault("reasoning_content", []).append(self._shapes.text(reasoning) or "")

    def _take_reasoning(self, reasoning: Json) -> None:
        self._reasoning.setdefault("reasoning", []).append(self._shapes.text(reasoning) or "")

    def _take_refusal(self, refusal: Json) -> None:
        self._refusal.append(self._shapes.text(refusal) or "")

    def _take_audio(self, audio: Json) -> None:
        for key, value in self._shapes.record(audio).items():
            if type(value) is str:
                self._audio.setdefault(key, []).append(value)

    def _take_function_call(self, function: Json) -> None:
        """The tool call of old: one, and without an id."""
        self._take_calls([{"index": -1, "function": function}])

    def _take_calls(self, calls: Json) -> None:
        for piece in self._shapes.records(calls):
            call = None if self._whole else self._known_call(piece)
            (call or self._new_call(piece)).add(piece, self._shapes)

    def _known_call(self, piece: dict[str, Any]) -> ToolCall | None:
        """The call this is a piece of. Where servers leave out the index, or always say 0, the id or a name tells."""
        index, call_id = piece.get("index"), piece.get("id")
        if type(index) is int:
            known = self._known_calls.get(index)
            return None if known and known.id and call_id and known.id != call_id else known
        if type(call_id) is str and call_id:
            return self._known_calls.get(call_id)
        named = self._shapes.record(piece.get("function")).get("name")
        return self._calls[-1] if self._calls and not named else None

    def _new_call(self, piece: dict[str, Any]) -> ToolCall:
        call = ToolCall()
        self._calls.append(call)
        for key in (piece.get("index"), piece.get("id")):
            if type(key) is int or type(key) is str:
                self._known_calls[key] = call
        return call


TAKES: dict[str, Callable[[Draft, Json], None]] = {
    "content": Draft.take_content,
    "reasoning_content": Draft._take_reasoning_content,
    "reasoning": Draft._take_reasoning,
    "refusal": Draft._take_refusal,
    "audio": Draft._take_audio,
    "function_call": Draft._take_function_call,
    "tool_calls": Draft._take_calls,
}


class ToolCall:
    """One call of a tool, its arguments piece by piece."""

    __slots__ = ("_arguments", "_name", "_object", "id")

    def __init__(self) -> None:
        self.id: str | None = None
        self._name: str | None = None
        self._arguments: list[str] = []
        self._object: Json = None  # where a server sends arguments as an object

    def add(self, piece: dict[str, Any], shapes: Shapes) -> None:
        self.id = self.id or shapes.text(piece.get("id"))
        called = shapes.record(piece.get("custom" if "custom" in piece else "function"))
        name = shapes.text(called.get("name"))
        if name and name != self._name:  # some servers repeat it with every piece
            self._name = (self._name or "") + name
        arguments = called.get("input" if "custom" in piece else "arguments")
        if type(arguments) is str:
            self._arguments.append(arguments)
        elif arguments is not None:
            self._object = shapes.record(arguments)

    def part(self) -> Part:
        arguments = arguments_of(self._object or "".join(self._arguments))
        return Part("tool_call", id=self.id, name=self._name, arguments=arguments)


def _content_part(part: dict[str, Any], shapes: Shapes) -> Part:
    """One member of a content array."""
    kind = shapes.text(part.get("type")) or ""
    read = CONTENT_PARTS.get(kind)
    return read(part.get(kind), shapes) if read else Part("generic", name=kind)


def _uri_part(modality: str) -> Callable[[Json, Shapes], Part]:
    def read(value: Json, shapes: Shapes) -> Part:
        address = value if type(value) is str else shapes.text(shapes.record(value).get("url"))
        return uri(modality, address or "")

    return read


def _input_audio(value: Json, shapes: Shapes) -> Part:
    audio = shapes.record(value)
    return blob("audio", _audio_type(shapes.text(audio.get("format"))), shapes.text(audio.get("data")) or "")


def _audio_type(audio_format: str | None) -> str | None:
    return AUDIO_TYPES.get(audio_format, f"audio/{audio_format}") if audio_format else None


def _file(value: Json, shapes: Shapes) -> Part:
    """An upload by its id, or the file itself: as a data URI, or bare base64."""
    file = shapes.record(value)
    if file_id := shapes.text(file.get("file_id")):
        return Part("file", modality="document", file_id=file_id)
    data = shapes.text(file.get("file_data")) or ""
    return uri("document", data) if data.startswith("data:") else blob("document", None, data)


CONTENT_PARTS: dict[str, Callable[[Json, Shapes], Part]] = {
    "text": lambda value, shapes: Part("text", content=shapes.text(value)),
    "refusal": lambda value, shapes: Part("refusal", content=shapes.text(value)),
    "image_url": _uri_part("image"),
    "video_url": _uri_part("video"),
    "audio_url": _uri_part("audio"),
    "input_audio": _input_audio,
    "file": _file,
}


def _audio_parts(audio: dict[str, str]) -> list[Part]:
    """A spoken answer: what it says as text, and the sound; in later requests only the id of the sound."""
    parts = []
    if transcript := audio.get("transcript"):
        parts.append(Part("text", content=transcript))
    if data := audio.get("data"):
        parts.append(blob("audio", None, data))
    elif not transcript and "id" in audio:
        parts.append(Part("file", modality="audio", file_id=audio["id"]))
    return parts

"""OpenAI's chat completions, and the many servers that speak them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part
from wire.http import path_of
from wire.media import blob, uri
from wire.openai_dialect import (
    OUTPUT_TYPES,
    citation,
    claims_of,
    input_audio,
    model_of,
    service_tier,
    timed,
    token_usage,
    usage_attributes,
    with_blocked,
)
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

PATHS = {
    "POST": re.compile(r"/(?:chat|agents)/completions$"),  # Mistral's agents are asked the same
    "GET": re.compile(r"/chat/(?:completions|deferred-completion)/[^/]+$"),
}
MAX_NAME = 256  # characters of a tool's name, beyond which no piece of it is looked for
FINISH_REASONS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
}


class OpenAIChat(JsonApi):
    """POST …/chat/completions, one JSON body or server-sent events; GET of one that was stored or deferred."""

    name: ClassVar[str] = "openai_chat"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        pattern = PATHS.get(capture.method)
        return pattern is not None and pattern.search(path_of(capture).rstrip("/")) is not None

    def decode(self, capture: Capture) -> Exchange:
        if capture.status == 202 and not capture.response_body:
            capture = msgspec.structs.replace(capture, response_body=b"{}")  # xAI: not yet
        return with_blocked(decode_call(capture, self), capture)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        if call.method == "GET":
            return Asked(operation="fetch_response", attributes={"openai.api.type": "chat_completions"})
        request = call.body
        output_type, output_schema = _output(request, shapes)
        tier = service_tier(request, shapes)
        return Asked(
            model=model_of(call, shapes),
            input_messages=_input_messages(request, shapes),
            tool_definitions=_tools(request, shapes),
            parameters=parameters_of(request, shapes),
            output_type=output_type,
            output_schema=output_schema,
            attributes=given({"openai.api.type": "chat_completions", "openai.request.service_tier": tier}),
            claims=claims_of(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> ChatAnswer:
        return ChatAnswer(expected=shapes.count(call.body.get("n")) or 1, shapes=shapes)


def _input_messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    return tuple([input_message(message, shapes) for message in shapes.records(request.get("messages"))])


def input_message(message: dict[str, Any], shapes: Shapes) -> Message:
    role = shapes.text(message.get("role")) or "user"
    name = shapes.text(message.get("name"))
    if role in ("tool", "function"):
        return Message("tool", _tool_result(message, shapes), name=name)
    draft = Draft(shapes)
    draft.add(message)
    parts = draft.parts()
    return Message(role, without_thinking(parts) if role == "assistant" else parts, name=name)


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
    if request.get("web_search_options") is not None:
        tools.append(tool_definition("web_search", {}, None, shapes))
    return tuple(tools)


def parameters_of(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
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


HEARD = (
    "id",
    "model",
    "system_fingerprint",
    "service_tier",
    "request_id",  # xAI: instead of everything else, when deferred
    "provider",  # OpenRouter
    "citations",  # Perplexity
    "search_results",
)


class ChatAnswer:
    """The choices as they come together, from chunks or from one whole completion."""

    def __init__(self, expected: int, shapes: Shapes) -> None:
        self._expected = expected  # choices asked for
        self._shapes = shapes
        self._choices: dict[int, Choice] = {}
        self._heard: dict[str, Any] = {}  # the last that was said of what the choices share
        self._usage: dict[str, Any] = {}
        self._timings: dict[str, Any] = {}
        self._failure: Json = None

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
            self._failure = self._failure or choice.get("error")  # OpenRouter
        if event.get("usage") is not None:
            self._add_usage(event["usage"])
        if not came or not self._heard:  # what the choices share need not be heard again with every word
            self._hear(event)
        return came

    def _hear(self, event: dict[str, Any]) -> None:
        for name in HEARD:
            if value := event.get(name):
                self._heard[name] = value
        if "timings" in event:
            self._timings = self._shapes.record(event["timings"])
        if "x_groq" in event:
            groq = self._shapes.record(event["x_groq"])
            self._add_usage(groq.get("usage"))
            self._failure = self._failure or groq.get("error")

    def _choice(self, index: Json, position: int) -> Choice:
        if type(index) is not int:
            self._shapes.odd(index)
            index = position
        if index not in self._choices:
            self._choices[index] = Choice(self._shapes)
        return self._choices[index]

    def _add_usage(self, usage: Json) -> None:
        """Counts so far, each time anew; an empty object takes nothing back."""
        self._usage = self._shapes.record(usage) or self._usage

    def answered(self) -> Answered:
        text, heard = self._shapes.text, self._heard
        deferred = "request_id" in heard and not self._choices
        usage = token_usage(self._usage, ("prompt", "completion"), self._shapes)
        return Answered(
            response_id=text(heard.get("id")),
            response_model=text(heard.get("model")),
            output_messages=self._messages(),
            usage=timed(usage, self._timings, self._shapes),
            attributes=given(
                {
                    "openai.response.service_tier": text(heard.get("service_tier")),
                    "openai.response.system_fingerprint": text(heard.get("system_fingerprint")),
                    "sidelight.openrouter.provider": text(heard.get("provider")),
                    "gen_ai.response.status": "queued" if deferred else None,
                    **usage_attributes(self._usage),
                }
            ),
            failure={"error": self._failure} if self._failure else None,
            unfinished=deferred,
        )

    def _messages(self) -> tuple[Message, ...]:
        """What the answer leans on is told once, and goes to the first choice."""
        citations = _search_results(self._heard, self._shapes)
        choices = [choice for _, choice in sorted(self._choices.items())]
        return tuple([choice.message([] if n else citations) for n, choice in enumerate(choices)])


def _search_results(heard: dict[str, Any], shapes: Shapes) -> list[Json]:
    """What Perplexity found, or at least where."""
    if results := shapes.records(heard.get("search_results")):
        members = {"title": "title", "url": "uri", "snippet": "text"}
        return [
            given({name: shapes.text(result.get(member)) for member, name in members.items()}) for result in results
        ]
    return [{"uri": address} for address in map(shapes.text, shapes.items(heard.get("citations"))) if address]


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

    def message(self, citations: list[Json]) -> Message:
        """With what the whole answer leans on as its text's citations."""
        parts = without_thinking(_cited(self._draft.parts(), citations))
        return Message(self._role or "assistant", parts, finish_reason=self.finish_reason)


THINKING = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL)


def without_thinking(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """An answer that begins by thinking aloud, as servers give it that do not know the model: the thought apart."""
    if not parts or parts[0].type != "text" or not (match := THINKING.match(parts[0].content or "")):
        return parts
    text = msgspec.structs.replace(parts[0], content=(parts[0].content or "")[match.end() :])
    split = (Part("reasoning", content=match[1]), text, *parts[1:])
    return tuple([part for part in split if part.content or part.type not in ("reasoning", "text")])


def _cited(parts: tuple[Part, ...], citations: list[Json]) -> tuple[Part, ...]:
    """With the citations at the last text."""
    last = max((n for n, part in enumerate(parts) if part.type == "text"), default=None)
    if last is None or not citations:
        return parts
    text = msgspec.structs.replace(parts[last], citations=(*parts[last].citations, *citations))
    return (*parts[:last], text, *parts[last + 1 :])


class Draft:
    """A message as it comes together: a whole one at once, a streamed one delta by delta."""

    __slots__ = (
        "_audio",
        "_calls",
        "_citations",
        "_content",
        "_known_calls",
        "_reasoning",
        "_refusal",
        "_shapes",
        "_text",
        "_whole",
    )

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
        self._citations: list[Json] = []

    def add(self, message: dict[str, Any], whole: bool = True) -> bool:
        """Take a message or a delta; did it bring anything?"""
        self._whole = whole
        came = False
        for key, value in message.items():
            if value and (take := TAKES.get(key)):
                take(self, value)
                came = came or key != "annotations"
        return came

    def parts(self) -> tuple[Part, ...]:
        """Reasoning, content, refusal, sound, tool calls: the order they are made in."""
        reasoning = max(("".join(pieces) for pieces in self._reasoning.values()), key=len, default=None)
        refusal = "".join(self._refusal)
        parts = [Part("reasoning", content=reasoning)] if reasoning else []
        self._end_text()
        parts += self._content
        if refusal:
            parts.append(Part("refusal", content=refusal))
        if self._audio:
            parts += _audio_parts({key: "".join(pieces) for key, pieces in self._audio.items()})
        parts += [call.part() for call in self._calls]
        return _cited(tuple(parts), self._citations)

    def take_content(self, content: Json) -> None:
        """Text, or an array of parts; Mistral's references stand within a text."""
        if type(content) is str:
            self._text.append(content)
            return
        within = not self._whole
        for part in self._shapes.records(content):
            kind = part.get("type")
            if kind == "thinking":  # Mistral
                self._take_thinking(part.get("thinking"))
            elif kind == "reference":
                self._take_reference(part)
            else:
                self._take_part(part, within)
            within = not self._whole or kind == "reference"

    def _take_part(self, part: dict[str, Any], within: bool) -> None:
        """A part of its own, unless it is text that goes on."""
        if not within or part.get("type") != "text":
            self._end_text()
        if part.get("type") == "text":
            self._text.append(self._shapes.text(part.get("text")) or "")
        else:
            self._content.append(content_part(part, self._shapes))

    def _end_text(self) -> None:
        if text := "".join(self._text):
            self._content.append(Part("text", content=text))
        self._text = []

    def _take_reference(self, part: dict[str, Any]) -> None:
        places = [place for place in self._shapes.items(part.get("reference_ids")) if type(place) in (int, str)]
        self._citations += [{"file_id": str(place)} for place in places]

    def _take_annotations(self, annotations: Json) -> None:
        told = [citation(each, self._shapes) for each in self._shapes.records(annotations)]
        self._citations += filter(None, told)

    def _take_thinking(self, thinking: Json) -> None:
        pieces = [thinking] if type(thinking) is str else [part.get("text") for part in self._shapes.records(thinking)]
        self._reasoning.setdefault("thinking", []).extend(filter(None, map(self._shapes.text, pieces)))

    def _take_reasoning_content(self, reasoning: Json) -> None:
        self._reasoning.setdefault("reasoning_content", []).append(self._shapes.text(reasoning) or "")

    def _take_reasoning(self, reasoning: Json) -> None:
        self._reasoning.setdefault("reasoning", []).append(self._shapes.text(reasoning) or "")

    def _take_reasoning_details(self, details: Json) -> None:
        """OpenRouter's, which repeat its `reasoning`."""
        for detail in self._shapes.records(details):
            told = first_given(detail.get("text"), detail.get("summary"))
            self._reasoning.setdefault("reasoning_details", []).append(self._shapes.text(told) or "")

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
    "reasoning_details": Draft._take_reasoning_details,
    "refusal": Draft._take_refusal,
    "annotations": Draft._take_annotations,
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
        known = self._name or ""
        if name and name != known and len(known) < MAX_NAME:  # some servers repeat it with every piece
            self._name = known + name
        arguments = called.get("input" if "custom" in piece else "arguments")
        if type(arguments) is str:
            self._arguments.append(arguments)
        elif arguments is not None:
            self._object = shapes.record(arguments)

    def part(self) -> Part:
        arguments = arguments_of(self._object or "".join(self._arguments))
        return Part("tool_call", id=self.id, name=self._name, arguments=arguments)


def content_part(part: dict[str, Any], shapes: Shapes) -> Part:
    """One member of a content array."""
    kind = shapes.text(part.get("type")) or ""
    read = CONTENT_PARTS.get(kind)
    return read(part.get(kind), shapes) if read else Part("generic", name=kind)


def _uri_part(modality: str) -> Callable[[Json, Shapes], Part]:
    def read(value: Json, shapes: Shapes) -> Part:
        address = value if type(value) is str else shapes.text(shapes.record(value).get("url"))
        return uri(modality, address or "")

    return read


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
    "input_audio": input_audio,
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

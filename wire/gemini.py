"""Gemini's generateContent, as Google serves it on its own and on Vertex AI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from pipeline.records import DETAILS, Capture, Exchange, Json, Message, Usage
from wire.gemini_parts import member, messages_of, one_or_many, parts_of, read_part, snake_case
from wire.gemini_pieces import CallPieces, SoundPieces
from wire.gemini_schema import json_schema
from wire.http import path_of
from wire.reading import (
    Answered,
    Asked,
    Call,
    JsonApi,
    decode_call,
    finish_reason,
    given,
    metadata_claims,
    tool_definition,
)
from wire.shapes import Shapes, first_given
from wire.streams import Streaming
from wire.transcript import Transcript

PATH = re.compile("/(models|tunedModels|endpoints)/([^/:]+):(generateContent|streamGenerateContent|countTokens)/?$")
FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "LANGUAGE": "error",
    "OTHER": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
}
OUTPUT_TYPES = {"application/json": "json", "text/plain": "text", "text/x.enum": "text"}


class Gemini(JsonApi):
    """POST …/models/{model}:generateContent, one JSON body; …:streamGenerateContent, a JSON array or events."""

    name: ClassVar[str] = "gemini"
    provider: ClassVar[str] = "gcp.gemini"
    operation: ClassVar[str] = "generate_content"
    streaming: ClassVar[Streaming] = "array"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and PATH.search(unquote(path_of(capture))) is not None

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        model, verb = model_and_verb(call.path, PATH)
        request = call.body
        if verb == "countTokens" and (wrapped := member(request, "generateContentRequest")):
            request = shapes.record(wrapped)
        config = shapes.record(member(request, "generationConfig"))
        output_type, output_schema = _output(config, shapes)
        return Asked(
            input_messages=messages_of(request.get("contents"), shapes),
            system_instructions=parts_of(shapes.record(member(request, "systemInstruction")).get("parts"), shapes),
            tool_definitions=_tools(request, shapes),
            parameters=_parameters(config, shapes),
            output_type=output_type,
            output_schema=output_schema,
            model=model,
            operation="count_tokens" if verb == "countTokens" else None,
            stream=verb == "streamGenerateContent",
            claims=_claims(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> ContentAnswer:
        config = shapes.record(member(call.body, "generationConfig"))
        return ContentAnswer(expected=shapes.count(member(config, "candidateCount")) or 1, shapes=shapes)


def model_and_verb(path: str, pattern: re.Pattern[str]) -> tuple[str | None, str | None]:
    """The model by its name, a tuned one or an endpoint by what it is as well; and what is asked of it."""
    match = pattern.search(path)
    if match is None:
        return None, None
    kind, name, verb = match.groups()
    return name if kind == "models" else f"{kind}/{name}", verb


def _claims(request: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    """Vertex AI's labels are the user's own metadata."""
    return metadata_claims(request.get("labels"), shapes)


def _tools(request: dict[str, Any], shapes: Shapes) -> tuple[Json, ...]:
    """The client's functions by their schema, Google's tools by their name."""
    tools: list[Json] = []
    for tool in one_or_many(request.get("tools"), shapes):
        for function in one_or_many(member(tool, "functionDeclarations"), shapes):
            schema = first_given(member(function, "parametersJsonSchema"), json_schema(function.get("parameters")))
            tools.append(tool_definition("function", function, schema, shapes))
        names = [snake_case(name) for name in tool]
        tools += [{"type": name, "name": name} for name in names if name != "function_declarations"]
    return tuple(tools)


def _parameters(config: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    choices = shapes.integer(member(config, "candidateCount"))
    stop = [shapes.text(text) for text in shapes.items(member(config, "stopSequences"))]
    thinking = shapes.record(member(config, "thinkingConfig"))
    level = shapes.text(member(thinking, "thinkingLevel"))
    return given(
        {
            "temperature": shapes.number(config.get("temperature")),
            "top_p": shapes.number(member(config, "topP")),
            "top_k": shapes.integer(member(config, "topK")),
            "max_tokens": shapes.integer(member(config, "maxOutputTokens")),
            "frequency_penalty": shapes.number(member(config, "frequencyPenalty")),
            "presence_penalty": shapes.number(member(config, "presencePenalty")),
            "seed": shapes.integer(config.get("seed")),
            "stop_sequences": [text for text in stop if text is not None] or None,
            "choice.count": choices if choices != 1 else None,
            "reasoning.level": level.lower() if level else None,
        }
    )


def _output(config: dict[str, Any], shapes: Shapes) -> tuple[str | None, Json]:
    """The format the answer is to have, and its JSON Schema; Vertex AI has `responseFormat` for both as well."""
    formats = {
        name: each for wanted in one_or_many(member(config, "responseFormat"), shapes) for name, each in wanted.items()
    }
    modalities = [shapes.text(each) for each in shapes.items(member(config, "responseModalities"))]
    for modality, kind in (("audio", "speech"), ("image", "image")):
        if modality in formats or modality.upper() in modalities:
            return kind, None
    text = shapes.record(formats.get("text"))
    mime_type = shapes.text(first_given(member(config, "responseMimeType"), member(text, "mimeType")))
    openapi = first_given(member(config, "responseSchema"), text.get("schema"))
    schema = shapes.record(first_given(member(config, "responseJsonSchema"), json_schema(openapi))) or None
    return OUTPUT_TYPES.get(mime_type or "", "json" if schema else None), schema


class ContentAnswer:
    """The candidates as they come together, from chunks or from one whole answer; or how many tokens were counted."""

    def __init__(self, expected: int, shapes: Shapes) -> None:
        self._expected = expected  # candidates asked for
        self._shapes = shapes
        self._candidates: dict[int, Candidate] = {}
        self._heard: dict[str, Any] = {}  # the last that was said of what the candidates share

    @property
    def ended(self) -> bool:
        """Every candidate has said why it ended, or there will be none."""
        candidates = self._candidates.values()
        whole = len(candidates) >= self._expected and all(candidate.finish_reason for candidate in candidates)
        return whole or self._blocked()

    def add(self, event: dict[str, Any]) -> bool:
        came = False
        for position, candidate in enumerate(self._shapes.records(event.get("candidates"))):
            came = self._candidate(candidate.get("index"), position).add(candidate) or came
        for name in ("responseId", "modelVersion", "usageMetadata", "promptFeedback", "totalTokens"):
            if (value := event.get(name)) is not None:
                self._heard[name] = value
        return came

    def _candidate(self, index: Json, position: int) -> Candidate:
        if type(index) is not int:
            self._shapes.odd(index)
            index = position
        if index not in self._candidates:
            self._candidates[index] = Candidate(self._shapes)
        return self._candidates[index]

    def _blocked(self) -> bool:
        """The prompt itself was refused."""
        return bool(self._shapes.record(self._heard.get("promptFeedback")).get("blockReason"))

    def answered(self) -> Answered:
        candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        if self._blocked():
            candidates = candidates or [Candidate(self._shapes)]
            for candidate in candidates:
                candidate.finish_reason = candidate.finish_reason or "content_filter"
        return Answered(
            response_id=self._shapes.text(self._heard.get("responseId")),
            response_model=self._shapes.text(self._heard.get("modelVersion")),
            output_messages=tuple([candidate.message() for candidate in candidates]),
            usage=self._usage(),
            attributes=self._counted(),
        )

    def _counted(self) -> dict[str, str]:
        """What countTokens says: how many it would be, but none were used."""
        total = self._shapes.count(self._heard.get("totalTokens"))
        return {} if total is None else {"sidelight.count_tokens.input_tokens": str(total)}

    def _usage(self) -> Usage:
        searches = sum(candidate.searches for candidate in self._candidates.values())
        return usage_of(self._shapes.record(self._heard.get("usageMetadata")), searches, self._shapes)


class Candidate:
    """One of the answers asked for."""

    __slots__ = ("_grounding", "_growing", "_shapes", "_sources", "_transcript", "finish_reason")

    def __init__(self, shapes: Shapes) -> None:
        self.finish_reason: str | None = None
        self._shapes = shapes
        self._transcript = Transcript()
        self._growing: CallPieces | SoundPieces | None = None
        self._grounding: dict[str, Any] = {}
        self._sources: list[dict[str, Any]] = []

    def add(self, candidate: dict[str, Any]) -> bool:
        """A whole candidate, or a piece of one: its first part goes on where the last piece ended."""
        if reason := finish_reason(candidate.get("finishReason"), FINISH_REASONS, self._shapes):
            self.finish_reason = reason
        self._grounding.update(given(self._shapes.record(candidate.get("groundingMetadata"))))
        cited = self._shapes.record(candidate.get("citationMetadata"))
        self._sources += self._shapes.records(first_given(cited.get("citations"), cited.get("citationSources")))
        content = self._shapes.record(candidate.get("content"))
        came = False
        for position, part in enumerate(self._shapes.records(content.get("parts"))):
            came = self._add_part(part, begin=position > 0) or came
        return came

    def _add_part(self, part: dict[str, Any], begin: bool) -> bool:
        if self._growing and not self._growing.takes(part):
            self._end()
        if self._growing is None:
            kind = next((kind for kind in (CallPieces, SoundPieces) if kind.begins(part)), None)
            self._growing = kind(self._shapes) if kind else None
        if self._growing:
            self._growing.add(part)
            return True
        parts = read_part(part, self._shapes)
        for each in parts:
            if each.type in ("text", "reasoning"):
                self._transcript.say(each.type, each.content, begin)
            else:
                self._transcript.add(each)
        return bool(parts)

    def _end(self) -> None:
        """What came in pieces is whole."""
        if self._growing:
            self._transcript.add(self._growing.part())
            self._growing = None

    @property
    def searches(self) -> int:
        return len(self._shapes.items(self._grounding.get("webSearchQueries")))

    def _citations(self) -> Iterator[dict[str, str]]:
        """What the answer was grounded in, and what it quotes at length."""
        yield from _grounded(self._grounding, self._shapes)
        yield from (_titled(source, self._shapes) for source in self._sources)

    def message(self) -> Message:
        self._end()
        parts = self._transcript.parts(self._citations())
        calls = any(part.type == "tool_call" for part in parts)
        reason = "tool_call" if calls and self.finish_reason == "stop" else self.finish_reason
        return Message("assistant", parts, finish_reason=reason)


def _grounded(grounding: dict[str, Any], shapes: Shapes) -> Iterator[dict[str, str]]:
    """What was found: with the words it supports, else as such."""
    chunks = [_source(chunk, shapes) for chunk in shapes.items(grounding.get("groundingChunks"))]
    supports = shapes.records(grounding.get("groundingSupports"))
    for support in supports:
        words = given({"text": shapes.text(shapes.record(support.get("segment")).get("text"))})
        for index in shapes.items(support.get("groundingChunkIndices")):
            if type(index) is int and 0 <= index < len(chunks):
                yield {**words, **chunks[index]}
    if not supports:
        yield from chunks


def _source(chunk: Json, shapes: Shapes) -> dict[str, str]:
    """A page, a document or a place: whatever kind the chunk is of."""
    kind = next((kind for kind in shapes.record(chunk).values() if type(kind) is dict), {})
    return _titled(kind, shapes)


def _titled(source: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    return given({"title": shapes.text(source.get("title")), "uri": shapes.text(source.get("uri"))})


def usage_of(usage: Mapping[str, Any], searches: int, shapes: Shapes) -> Usage:
    """The prompt's tokens hold the cached ones, but not what tools gave; the candidates' leave out the thoughts."""
    count = shapes.count
    prompt, tools = count(usage.get("promptTokenCount")), count(usage.get("toolUsePromptTokenCount"))
    answer, thoughts = count(usage.get("candidatesTokenCount")), count(usage.get("thoughtsTokenCount"))
    details: Counter[str] = Counter()
    for name, kind in MODALITIES.items():
        details.update(_by_modality(usage.get(name), kind, shapes))
    if tools is not None:
        details["tool_use.input_tokens"] = tools
    if searches:
        details["web_searches"] = searches
    return Usage(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=thoughts if answer is None else answer + (thoughts or 0),
        cache_read_input_tokens=count(usage.get("cachedContentTokenCount")),
        reasoning_output_tokens=thoughts,
        details=dict(details),
    )


MODALITIES = {
    "promptTokensDetails": "input_tokens",
    "toolUsePromptTokensDetails": "input_tokens",
    "cacheTokensDetails": "cache_read.input_tokens",
    "candidatesTokensDetails": "output_tokens",
}


def _by_modality(counts: Json, kind: str, shapes: Shapes) -> dict[str, int]:
    """Tokens by the name of their detail; a modality that has none is left out."""
    details = {}
    for entry in shapes.records(counts):
        name = f"{(shapes.text(entry.get('modality')) or '').lower()}.{kind}"
        if name in DETAILS and (tokens := shapes.count(entry.get("tokenCount"))) is not None:
            details[name] = tokens
    return details

"""The models on Amazon Bedrock that take a prompt and go on with it, each in its vendor's own words.

Llama, Mistral, Titan, DeepSeek R1, Claude 2 and Cohere's Command differ in what they call things, not in what they say.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records import Json, Message, Part, Usage
from wire.media import blob
from wire.reading import Answered, Asked, Call, JsonApi, finish_reason, given
from wire.shapes import Shapes, first_given

FINISH_REASONS = {
    "FINISH": "stop",
    "FINISHED": "stop",
    "COMPLETE": "stop",
    "STOP_CRITERIA_MET": "stop",
    "stop_sequence": "stop",
    "LENGTH": "length",
    "MAX_TOKENS": "length",
    "max_tokens": "length",
    "CONTENT_FILTERED": "content_filter",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
}
# Titan, Mistral, Cohere and DeepSeek answer with a list, the others with its only member.
LISTS = ("results", "outputs", "generations", "choices")
TEXTS = ("generation", "outputText", "completion", "text")
REASONS = ("stop_reason", "completionReason", "finish_reason")
INPUT_COUNTS = ("prompt_token_count", "inputTextTokenCount")
OUTPUT_COUNTS = ("generation_token_count", "totalOutputTextTokenCount")


class BedrockPrompt(JsonApi):
    """The body of an invocation: `prompt` or `inputText`, and how to go on with it."""

    name: ClassVar[str] = "bedrock_prompt"
    provider: ClassVar[str] = "aws.bedrock"
    operation: ClassVar[str] = "text_completion"

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        text = shapes.text(first_given(request.get("prompt"), request.get("inputText")))
        images = [
            blob("image", None, image) for image in map(shapes.text, shapes.items(request.get("images"))) if image
        ]
        parts = (*([Part("text", content=text)] if text else []), *images)
        return Asked(input_messages=(Message("user", parts),) if parts else (), parameters=_parameters(request, shapes))

    def answer(self, call: Call, shapes: Shapes) -> PromptAnswer:
        return PromptAnswer(shapes)


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    config = shapes.record(request.get("textGenerationConfig")) or request
    stop = _first(config, ("stopSequences", "stop_sequences", "stop"))
    sequences = [stop] if type(stop) is str else shapes.items(stop)
    limits = ("max_gen_len", "maxTokenCount", "max_tokens_to_sample", "max_tokens")
    return given(
        {
            "temperature": shapes.number(config.get("temperature")),
            "top_p": shapes.number(_first(config, ("top_p", "topP", "p"))),
            "top_k": shapes.integer(_first(config, ("top_k", "k"))),
            "max_tokens": shapes.integer(_first(config, limits)),
            "stop_sequences": [text for text in map(shapes.text, sequences) if text is not None] or None,
        }
    )


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Json:
    """The value under whichever of these names it has."""
    return first_given(*[values.get(name) for name in names])


class PromptAnswer:
    """The continuations as they come together, from chunks or from one whole answer."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._texts: list[list[str]] = []
        self._reasons: list[str | None] = []
        self._counts: dict[str, Json] = {}

    @property
    def ended(self) -> bool:
        return bool(self._reasons) and all(self._reasons)

    def add(self, event: dict[str, Any]) -> bool:
        pieces = _first(event, LISTS)
        self._counts |= given({name: event.get(name) for name in INPUT_COUNTS + OUTPUT_COUNTS})
        if pieces is None:
            return self._add_piece(0, event)
        results = self._shapes.records(pieces)
        counted = self._shapes.total(result.get("tokenCount") for result in results)
        self._counts |= given({OUTPUT_COUNTS[0]: counted})
        return any([self._add_piece(position, result) for position, result in enumerate(results)])

    def _add_piece(self, position: int, piece: dict[str, Any]) -> bool:
        if position == len(self._texts):
            self._texts.append([])
            self._reasons.append(None)
        text = self._shapes.text(_first(piece, TEXTS))
        if text:
            self._texts[position].append(text)
        if reason := finish_reason(_first(piece, REASONS), FINISH_REASONS, self._shapes):
            self._reasons[position] = reason
        return bool(text)

    def answered(self) -> Answered:
        usage = Usage(
            input_tokens=self._shapes.count(_first(self._counts, INPUT_COUNTS)),
            output_tokens=self._shapes.count(_first(self._counts, OUTPUT_COUNTS)),
        )
        said = zip(map("".join, self._texts), self._reasons, strict=True)
        return Answered(output_messages=tuple([_message(text, reason) for text, reason in said]), usage=usage)


def _message(text: str, reason: str | None) -> Message:
    return Message("assistant", (Part("text", content=text),) if text else (), finish_reason=reason)

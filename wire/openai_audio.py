"""OpenAI's sound: spoken from text, and written down or translated from speech; never the sound itself."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import header, path_of
from wire.media import BlobPieces, blob_of_bytes
from wire.openai_dialect import claims_of, model_of, token_usage
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes, first_given

OPERATIONS = {"speech": "speech", "transcriptions": "transcription", "translations": "translation"}
PATHS = tuple(f"/audio/{name}" for name in OPERATIONS)
AUDIO_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg"}
TEXT_TYPES = ("text/", "application/x-subrip")  # subtitles and bare text
RAW = "raw"  # member of an event made of a body that is sound


class OpenAIAudio(JsonApi):
    """POST …/audio/…: JSON in and sound out, or a form in and JSON, text or subtitles out; or server-sent events."""

    name: ClassVar[str] = "openai_audio"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "speech"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and path_of(capture).rstrip("/").endswith(PATHS)

    def decode(self, capture: Capture) -> Exchange:
        exchange = decode_call(capture, self)
        return _cut(exchange, capture) if capture.response_cut else exchange

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        operation = _operation(call)
        spoken = operation == "speech"
        return Asked(
            operation=operation,
            input_messages=_input_messages(call, shapes),
            system_instructions=_instructions(call, shapes),
            parameters=given({"temperature": _number(call.body.get("temperature"), shapes)}),
            output_type="speech" if spoken else "text",
            model=model_of(call, shapes),
            stream=call.body.get("stream_format") == "sse" if spoken else call.body.get("stream") in (True, "true"),
            claims=claims_of(call.body, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> SpeechAnswer | TranscriptAnswer:
        return SpeechAnswer(call, shapes) if _operation(call) == "speech" else TranscriptAnswer(shapes)

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        """Sound, or text that is a transcript."""
        if content_type.startswith(("audio/", "application/octet-stream")):
            return {RAW: data, "content_type": content_type.partition(";")[0].strip()}
        if content_type.startswith(TEXT_TYPES) and not data.lstrip().startswith(b"{"):
            return {"text": data.decode("utf-8", "replace")}
        return None


def _operation(call: Call) -> str:
    return OPERATIONS.get(call.path.rpartition("/")[2], "speech")


def _input_messages(call: Call, shapes: Shapes) -> tuple[Message, ...]:
    """What is to be said, or the sound to be written down after what it should be like."""
    texts = [shapes.text(call.body.get(name)) for name in ("input", "prompt")]
    parts = [Part("text", content=text) for text in texts if text]
    file = call.body.get("file")
    if type(file) is Part:
        parts.append(msgspec.structs.replace(file, modality="audio"))
    return (Message("user", tuple(parts)),) if parts else ()


def _instructions(call: Call, shapes: Shapes) -> tuple[Part, ...]:
    """How to speak."""
    text = shapes.text(call.body.get("instructions"))
    return (Part("text", content=text),) if text else ()


def _number(value: Json, shapes: Shapes) -> float | None:
    """A number, or what a form says in its place."""
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            value = math.nan
    number = shapes.number(value)
    if number is None or math.isfinite(number):
        return number
    shapes.odd()
    return None


def _cut(exchange: Exchange, capture: Capture) -> Exchange:
    """Of a copy shorter than the sound the digest is not true; the size is what passed, if that was sound alone."""
    encoded = header(capture.response_headers, "content-encoding")
    size = None if exchange.stream or encoded else capture.response_size
    parts = [
        msgspec.structs.replace(part, size=size, digest=None) if part.type == "blob" else part
        for message in exchange.output_messages
        for part in message.parts
    ]
    return msgspec.structs.replace(exchange, output_messages=(Message("assistant", tuple(parts)),) if parts else ())


class SpeechAnswer:
    """Sound as it comes: a whole body, or events with pieces of it."""

    def __init__(self, call: Call, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._text = shapes.text(call.body.get("input"))
        asked = shapes.text(call.body.get("response_format")) or "mp3"
        self._type = AUDIO_TYPES.get(asked, f"audio/{asked}")
        self._pieces = BlobPieces()
        self._sound: Part | None = None  # that came whole
        self._usage: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """`speech.audio.delta`, `speech.audio.done`, or a body as OpenAIAudio.body_of gives it."""
        if RAW in event:
            told = event["content_type"]
            self._sound = blob_of_bytes("audio", told if told.startswith("audio/") else self._type, event[RAW])
            return True
        kind = event.get("type")
        if kind == "speech.audio.done":
            self.ended = True
            self._usage = self._shapes.record(event.get("usage"))
        piece = self._shapes.text(event.get("audio")) if kind == "speech.audio.delta" else None
        self._pieces.add(piece or "")
        return bool(piece)

    def answered(self) -> Answered:
        sound = self._sound or (self._pieces.part("audio", self._type) if self._pieces.size else None)
        if sound is None:
            return Answered(usage=transcript_usage(self._usage, self._shapes))
        usage = transcript_usage(self._usage, self._shapes)
        details = given({"input_characters": len(self._text) if self._text else None})
        return Answered(
            output_messages=(
                Message("assistant", (sound,), finish_reason="stop" if self._sound or self.ended else None),
            ),
            usage=msgspec.structs.replace(usage, details={**usage.details, **details}),
        )


class TranscriptAnswer:
    """Text as it comes: whole, in deltas, or in segments with their speakers."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._whole: str | None = None
        self._deltas: list[str] = []
        self._segments: list[str] = []
        self._heard: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """`transcript.text.delta`, `….segment`, `….done`, or a whole body."""
        kind = event.get("type")
        text = self._shapes.text(event.get("delta" if kind == "transcript.text.delta" else "text"))
        if kind == "transcript.text.delta":
            self._deltas.append(text or "")
        elif kind == "transcript.text.segment":
            self._segments.append(text or "")
        else:
            self.ended = self.ended or kind == "transcript.text.done"
            self._whole = text if self._whole is None else self._whole
            self._heard = {**self._heard, **event}
            return kind is None and bool(text)
        return bool(text)

    def answered(self) -> Answered:
        text = first_given(self._whole, "".join(self._deltas) or None, " ".join(self._segments) or None)
        usage = transcript_usage(self._shapes.record(self._heard.get("usage")), self._shapes)
        if usage == Usage():
            usage = _seconds(_number(self._heard.get("duration"), self._shapes))
        reason = "stop" if self._whole is not None else None
        return Answered(
            response_id=self._shapes.text(self._shapes.record(self._heard.get("x_groq")).get("id")),
            output_messages=(Message("assistant", (Part("text", content=text),), finish_reason=reason),)
            if text
            else (),
            usage=usage,
        )


def transcript_usage(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """Tokens, or the seconds of sound that are paid for."""
    if usage.get("type") == "duration":
        return _seconds(shapes.number(usage.get("seconds")))
    return token_usage({**usage, "input_tokens_details": usage.get("input_token_details")}, ("input", "output"), shapes)


def _seconds(seconds: float | None) -> Usage:
    return Usage() if seconds is None else Usage(details={"input_audio_seconds": seconds})

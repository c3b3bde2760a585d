"""OpenAI's images: generated, edited and varied; of the images themselves only size and digest are kept."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import path_of
from wire.media import blob, uri
from wire.openai_dialect import claims_of, model_of, token_usage
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes

PATHS = ("/images/generations", "/images/edits", "/images/variations")
IMAGE_TYPES = {"svg": "image/svg+xml", "jpg": "image/jpeg"}
SHOWN = ("image", "images", "mask", "markup")  # members of an edit that are images


class OpenAIImages(JsonApi):
    """POST …/images/…, JSON or a form; one JSON body or server-sent events."""

    name: ClassVar[str] = "openai_images"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "image_generation"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and path_of(capture).rstrip("/").endswith(PATHS)

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        prompt = shapes.text(call.body.get("prompt"))
        parts = [Part("text", content=prompt)] if prompt else []
        parts += [part for name in SHOWN for part in _images(call.body.get(name), shapes)]
        choices = _choices(call, shapes)
        return Asked(
            input_messages=(Message("user", tuple(parts)),) if parts else (),
            parameters=given({"choice.count": choices if choices != 1 else None}),
            output_type="image",
            model=model_of(call, shapes),
            stream=call.body.get("stream") in (True, "true"),
            claims=claims_of(call.body, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> ImagesAnswer:
        return ImagesAnswer(_choices(call, shapes), shapes)


def _choices(call: Call, shapes: Shapes) -> int:
    """How many images are asked for; a form says it as text."""
    number = call.body.get("n")
    return shapes.count(int(number) if type(number) is str and number.isdecimal() else number) or 1


def _images(value: Json, shapes: Shapes) -> list[Part]:
    """Images to work on: files of a form, or {image_url} and {file_id} in JSON."""
    images = value if type(value) is list else [] if value is None else [value]
    return [
        msgspec.structs.replace(each, modality="image") if type(each) is Part else _told(each, shapes)
        for each in images
    ]


def _told(image: Json, shapes: Shapes) -> Part:
    told = {"image_url": image} if type(image) is str else shapes.record(image)
    address = shapes.text(told.get("image_url"))
    return (
        uri("image", address) if address else Part("file", modality="image", file_id=shapes.text(told.get("file_id")))
    )


class ImagesAnswer:
    """The images as they come, all in one body or each with an event of its own; drafts of them are left out."""

    def __init__(self, expected: int, shapes: Shapes) -> None:
        self._expected = expected
        self._shapes = shapes
        self._messages: list[Message] = []
        self._usage: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        return len(self._messages) >= self._expected

    def add(self, event: dict[str, Any]) -> bool:
        """`….partial_image`, `….completed`, or a whole body with its `data`."""
        kind = self._shapes.text(event.get("type")) or ""
        if kind.endswith(".partial_image"):
            return True
        images = [event] if kind.endswith(".completed") else self._shapes.records(event.get("data"))
        mime_type = _image_type(self._shapes.text(event.get("output_format")))
        for image in images:
            if parts := _image(image, mime_type, self._shapes):
                self._messages.append(Message("assistant", parts, finish_reason="stop"))
        if event.get("usage") is not None:
            self._usage = self._shapes.record(event["usage"])
        return bool(images)

    def answered(self) -> Answered:
        return Answered(output_messages=tuple(self._messages), usage=self._counts())

    def _counts(self) -> Usage:
        """Without details all output is images, so the API says."""
        usage = token_usage(self._usage, ("input", "output"), self._shapes)
        images = sum(part.type in ("blob", "uri") for message in self._messages for part in message.parts)
        details = given({"output_images": images or None})
        if usage.output_tokens and self._usage.get("output_tokens_details") is None:
            details["image.output_tokens"] = usage.output_tokens
        return msgspec.structs.replace(usage, details={**usage.details, **details})


def _image_type(image_format: str | None) -> str | None:
    return IMAGE_TYPES.get(image_format, f"image/{image_format}") if image_format else None


def _image(image: dict[str, Any], mime_type: str | None, shapes: Shapes) -> tuple[Part, ...]:
    """What was drawn, after what the prompt was made into."""
    revised, encoded = shapes.text(image.get("revised_prompt")), shapes.text(image.get("b64_json"))
    address = shapes.text(image.get("url"))
    parts = [Part("text", content=revised)] if revised else []
    parts += [blob("image", mime_type, encoded)] if encoded else []
    parts += [uri("image", address)] if address else []
    return tuple(parts)

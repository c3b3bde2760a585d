"""Cohere's embeddings, of both versions."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import path_of
from wire.media import uri
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes, first_given
from wire.whole_answer import WholeAnswer


class CohereEmbed(JsonApi):
    """POST …/v2/embed and …/v1/embed; every text, image or mixture of them a message."""

    name: ClassVar[str] = "cohere_embed"
    provider: ClassVar[str] = "cohere"
    operation: ClassVar[str] = "embeddings"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and path_of(capture).rstrip("/").endswith(("/v1/embed", "/v2/embed"))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        dimensions = shapes.count(call.body.get("output_dimension"))
        encodings = [shapes.text(kind) for kind in shapes.items(call.body.get("embedding_types"))]
        return Asked(
            input_messages=tuple([Message("user", parts) for parts in _inputs(call.body, shapes) if parts]),
            parameters=given({"encoding_formats": [kind for kind in encodings if kind] or None}),
            attributes={} if dimensions is None else {"gen_ai.embeddings.dimension.count": str(dimensions)},
        )

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: _answered(body, shapes))


def _inputs(request: dict[str, Any], shapes: Shapes) -> list[tuple[Part, ...]]:
    """What each embedding is of."""
    texts = [_text(text, shapes) for text in shapes.items(request.get("texts"))]
    images = [_image(image, shapes) for image in shapes.items(request.get("images"))]
    mixed = [content_parts(each.get("content"), shapes) for each in shapes.records(request.get("inputs"))]
    return texts + images + mixed


def _text(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    text = shapes.text(value)
    return (Part("text", content=text),) if text else ()


def _image(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    address = shapes.text(value)
    return (uri("image", address),) if address else ()


def content_parts(content: Json, shapes: Shapes) -> tuple[Part, ...]:
    """Blocks of text and images."""
    parts: list[Part] = []
    for block in shapes.records(content):
        image = block.get("image_url")
        address = image if type(image) is str else shapes.record(image).get("url")
        parts += _text(block.get("text"), shapes) + _image(address, shapes)
    return tuple(parts)


def _answered(body: dict[str, Any], shapes: Shapes) -> Answered:
    meta = shapes.record(body.get("meta"))
    return Answered(
        response_id=shapes.text(body.get("id")),
        usage=_usage(shapes.record(meta.get("billed_units")), shapes),
    )


def _usage(billed: dict[str, Any], shapes: Shapes) -> Usage:
    """An image's tokens are billed beside the text's; some models bill images by their number instead."""
    text = shapes.count(first_given(billed.get("text_tokens"), billed.get("input_tokens")))
    image = shapes.count(billed.get("image_tokens"))
    details = {"image.input_tokens": image, "input_images": shapes.count(billed.get("images"))}
    return Usage(input_tokens=shapes.total((text, image)), details=given(details))

"""Gemini's embeddings: embedContent and batchEmbedContents, and Vertex AI's predict of its embedding models."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import unquote

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.gemini import model_and_verb, usage_of
from wire.gemini_parts import member, message_of
from wire.http import path_of
from wire.media import blob
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes, first_given
from wire.whole_answer import WholeAnswer

PATH = re.compile("/(models|tunedModels|endpoints)/([^/:]+):(embedContent|batchEmbedContents|predict)/?$")


class GeminiEmbeddings(JsonApi):
    """POST …/models/{model}:embedContent, :batchEmbedContents, :predict; every content a message."""

    name: ClassVar[str] = "gemini_embeddings"
    provider: ClassVar[str] = "gcp.gemini"
    operation: ClassVar[str] = "embeddings"

    def matches(self, capture: Capture) -> bool:
        model, verb = model_and_verb(unquote(path_of(capture)), PATH)
        return capture.method == "POST" and verb is not None and (verb != "predict" or "embedding" in (model or ""))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        model, _ = model_and_verb(call.path, PATH)
        requests = [call.body, *shapes.records(call.body.get("requests"))]
        contents = [content for request in requests if (content := request.get("content")) is not None]
        return Asked(
            input_messages=(
                *[message_of(shapes.record(content), shapes) for content in contents],
                *[_instance(instance, shapes) for instance in shapes.records(call.body.get("instances"))],
            ),
            attributes=_dimensions([*requests, shapes.record(call.body.get("parameters"))], shapes),
            model=model,
        )

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: Answered(usage=_usage(body, shapes)))


def _instance(instance: dict[str, Any], shapes: Shapes) -> Message:
    """What Vertex AI is to predict the embedding of: text, and to some models an image."""
    text = shapes.text(first_given(instance.get("content"), instance.get("text")))
    parts = [Part("text", content=text)] if text else []
    image = shapes.record(instance.get("image"))
    mime_type = shapes.text(member(image, "mimeType"))
    if encoded := shapes.text(image.get("bytesBase64Encoded")):
        parts.append(blob("image", mime_type, encoded))
    elif address := shapes.text(image.get("gcsUri")):
        parts.append(Part("uri", modality="image", mime_type=mime_type, uri=address))
    return Message("user", tuple(parts))


def _dimensions(requests: list[dict[str, Any]], shapes: Shapes) -> dict[str, str]:
    """How long the vectors are to be; the same for all that are asked for at once."""
    for request in requests:
        config = shapes.record(member(request, "embedContentConfig"))
        wanted = first_given(member(request, "outputDimensionality"), member(config, "outputDimensionality"))
        if (dimensions := shapes.count(wanted)) is not None:
            return {"gen_ai.embeddings.dimension.count": str(dimensions)}
    return {}


def _usage(body: dict[str, Any], shapes: Shapes) -> Usage:
    """Vertex AI counts the tokens of each text, and the characters it bills."""
    usage = usage_of(shapes.record(body.get("usageMetadata")), 0, shapes)
    characters = shapes.count(shapes.record(body.get("metadata")).get("billableCharacterCount"))
    predicted = shapes.total(_tokens(prediction, shapes) for prediction in shapes.records(body.get("predictions")))
    return msgspec.structs.replace(
        usage,
        input_tokens=first_given(predicted, usage.input_tokens),
        details={**usage.details, **given({"input_characters": characters})},
    )


def _tokens(prediction: dict[str, Any], shapes: Shapes) -> Json:
    embeddings = shapes.record(prediction.get("embeddings"))
    return shapes.record(embeddings.get("statistics")).get("token_count")

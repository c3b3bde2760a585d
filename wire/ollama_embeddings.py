"""Ollama's embeddings: /api/embed, and /api/embeddings before it."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part
from wire.http import may_have, path_of
from wire.ollama import durations_of, is_ollama, usage_of
from wire.reading import Answered, Asked, Call, JsonApi, decode_call
from wire.shapes import Shapes, first_given
from wire.whole_answer import WholeAnswer

PATHS = ("/api/embed", "/api/embeddings")


class OllamaEmbeddings(JsonApi):
    """POST /api/embed and /api/embeddings; every text a message."""

    name: ClassVar[str] = "ollama_embeddings"
    provider: ClassVar[str] = "ollama"
    operation: ClassVar[str] = "embeddings"

    def matches(self, capture: Capture) -> bool:
        """Servers of OpenAI's dialect are mounted at /api as well, and call `input` what is a prompt here."""
        old = path_of(capture).rstrip("/").endswith("/embeddings")
        return is_ollama(capture, PATHS) and (not old or may_have(capture, "prompt"))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        dimensions = shapes.count(call.body.get("dimensions"))
        wanted = {} if dimensions is None else {"gen_ai.embeddings.dimension.count": str(dimensions)}
        texts = _texts(first_given(call.body.get("input"), call.body.get("prompt")), shapes)
        return Asked(
            input_messages=tuple([Message("user", (Part("text", content=text),)) for text in texts if text]),
            attributes=wanted,
            stream=False,
        )

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: _answered(body, shapes))


def _texts(value: Json, shapes: Shapes) -> list[str | None]:
    return [value] if type(value) is str else [shapes.text(text) for text in shapes.items(value)]


def _answered(body: dict[str, Any], shapes: Shapes) -> Answered:
    return Answered(
        response_model=shapes.text(body.get("model")),
        usage=usage_of(body, shapes),
        attributes=durations_of(body, shapes),
    )

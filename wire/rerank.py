"""Rerankers: Cohere's, and those that took after it: Jina, Voyage, vLLM, Text Embeddings Inference."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.bodies import loads
from wire.cohere_embed import content_parts
from wire.http import is_versioned, may_have, path_of
from wire.media import uri
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes, first_given
from wire.whole_answer import WholeAnswer


class Rerank(JsonApi):
    """POST …/rerank: the query is the user's, the documents are as a tool found them."""

    name: ClassVar[str] = "rerank"
    provider: ClassVar[str] = "cohere"
    operation: ClassVar[str] = "rerank"

    def matches(self, capture: Capture) -> bool:
        ours = capture.method == "POST" and path_of(capture).rstrip("/").endswith("/rerank")
        found = may_have(capture, "documents") or may_have(capture, "texts")
        return ours and (is_versioned(capture) or (found and may_have(capture, "query")))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        found = first_given(call.body.get("documents"), call.body.get("texts"))
        documents = found if type(found) is list else [found]
        messages = (
            Message("user", _parts(call.body.get("query"), shapes)),
            Message("tool", tuple([part for document in documents for part in _document(document, shapes)])),
        )
        return Asked(input_messages=tuple([message for message in messages if message.parts]), stream=False)

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: _answered(body, shapes))

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        """Text Embeddings Inference answers with the array of results alone."""
        try:
            results = loads(data)
        except ValueError:
            return None
        return {"results": results} if type(results) is list else None


def _parts(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    """Text; to models that see also an image, by its address or in base64, or blocks of both."""
    if type(value) is str:
        return (Part("text", content=value),)
    fields = shapes.record(value)
    if type(blocks := fields.get("content")) is list:
        return content_parts(blocks, shapes)
    if image := shapes.text(fields.get("image")):
        known = image.startswith(("http:", "https:", "data:"))
        return (uri("image", image if known else f"data:;base64,{image}"),)
    text = shapes.text(fields.get("text"))
    return (Part("text", content=text),) if text else ()


def _document(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    """What a tool might have said; an object of neither text nor images is ranked by fields of the user's own."""
    parts = _parts(value, shapes)
    if not parts and value:
        return (Part("tool_call_response", response=value),)
    return tuple([Part("tool_call_response", response=part.content) if part.type == "text" else part for part in parts])


def _answered(body: dict[str, Any], shapes: Shapes) -> Answered:
    return Answered(
        response_id=shapes.text(body.get("id")),
        response_model=shapes.text(body.get("model")),
        usage=_usage(body, shapes),
    )


def _usage(body: dict[str, Any], shapes: Shapes) -> Usage:
    """Cohere bills searches, the others tokens; those of the answer are none."""
    usage, meta = shapes.record(body.get("usage")), shapes.record(body.get("meta"))
    billed = shapes.record(meta.get("billed_units"))
    tokens = first_given(usage.get("prompt_tokens"), usage.get("total_tokens"), billed.get("input_tokens"))
    searches = shapes.count(billed.get("search_units"))
    return Usage(input_tokens=shapes.count(tokens), details=given({"rerank_searches": searches}))

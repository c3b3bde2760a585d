"""OpenAI's embeddings, and those of the servers that speak them: Mistral, Voyage, Jina, llama.cpp."""

from __future__ import annotations

import binascii
import re
from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import is_versioned, may_have, path_of
from wire.media import blob, uri
from wire.openai_chat import content_part
from wire.openai_dialect import array_of, claims_of, model_of, prompts_of, token_usage, usage_attributes
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes, first_given

PATH = re.compile(r"/(?:multimodal|contextualized)?embeddings?$")
INPUTS = ("input", "inputs", "content")
PACKED = ("binary", "ubinary")  # eight dimensions to a number
FLOAT_SIZE = 4  # bytes of a number in base64


class OpenAIEmbeddings(JsonApi):
    """POST …/embeddings, JSON both ways. The vectors are not kept, only how long they are."""

    name: ClassVar[str] = "openai_embeddings"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "embeddings"

    def matches(self, capture: Capture) -> bool:
        """What is asked for by a `prompt` at …/api/embeddings is Ollama's."""
        path = path_of(capture).rstrip("/")
        if capture.method != "POST" or PATH.search(path) is None:
            return False
        if path.endswith("/api/embeddings") and may_have(capture, "prompt"):
            return False
        return is_versioned(capture) or any(may_have(capture, name) for name in INPUTS)

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        told = first_given(*[request.get(name) for name in INPUTS])
        parts = [part for each in prompts_of(told) for part in _parts(each, shapes)]
        formats = [request.get(name) for name in ("encoding_format", "embedding_type", "output_dtype")]
        return Asked(
            model=model_of(call, shapes),
            input_messages=(Message("user", tuple(parts)),) if parts else (),
            parameters=given({"encoding_formats": _formats(formats, shapes)}),
            attributes=_dimensions(
                shapes.count(first_given(request.get("dimensions"), request.get("output_dimension")))
            ),
            claims=claims_of(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> EmbeddingsAnswer:
        packed = any(call.body.get(name) in PACKED for name in ("embedding_type", "output_dtype"))
        return EmbeddingsAnswer(packed, shapes)

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        """llama.cpp's own answer is a bare array."""
        return array_of("data", data)


def _dimensions(count: int | None) -> dict[str, str]:
    return {} if count is None else {"gen_ai.embeddings.dimension.count": str(count)}


def _formats(values: list[Json], shapes: Shapes) -> list[str] | None:
    """What the vectors are to be made of: one name or several, under any of its names."""
    named = [each for value in values for each in (value if type(value) is list else [value])]
    return [text for text in map(shapes.text, named) if text] or None


def _parts(each: Json, shapes: Shapes) -> list[Part]:
    """One input: text, tokens, chunks of a document (Voyage), or an object."""
    if type(each) is str:
        return [uri("image", each) if each[:5].lower() == "data:" else Part("text", content=each)]
    if type(each) is list:
        texts = [Part("text", content=text) for text in each if type(text) is str]
        return texts or [Part("generic", name="tokens")]
    told = shapes.record(each)
    if "content" in told:  # Voyage
        return [_content_part(part, shapes) for part in shapes.records(told["content"])]
    return [
        _member(name, value, shapes)
        for name, value in told.items()
        if name in ("text", "image", "audio", "video", "pdf")
    ]


def _content_part(part: dict[str, Any], shapes: Shapes) -> Part:
    kind = shapes.text(part.get("type")) or ""
    modality, _, encoding = kind.partition("_")
    if encoding == "base64":
        return uri(modality, shapes.text(part.get(kind)) or "")
    return content_part(part, shapes)


def _member(name: str, value: Json, shapes: Shapes) -> Part:
    """Jina's: text, or something else at an address or in base64."""
    text = shapes.text(value)
    if name == "text":
        return Part("text", content=text)
    modality = "document" if name == "pdf" else name
    addressed = (text or "").startswith(("http://", "https://", "data:"))
    return uri(modality, text or "") if addressed else blob(modality, None, text or "")


class EmbeddingsAnswer:
    """What an answer says of its vectors."""

    ended = True

    def __init__(self, packed: bool, shapes: Shapes) -> None:
        self._packed = packed
        self._shapes = shapes
        self._answer: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        self._answer = event
        return False

    def answered(self) -> Answered:
        answer, usage = self._answer, self._shapes.record(self._answer.get("usage"))
        return Answered(
            response_id=self._shapes.text(answer.get("id")),
            response_model=self._shapes.text(answer.get("model")),
            usage=_usage(usage, self._shapes),
            attributes=_dimensions(self._length()) | usage_attributes(usage),
        )

    def _length(self) -> int | None:
        """Of the first vector; in base64 only where it holds floats."""
        first = next(iter(self._shapes.records(self._answer.get("data"))), {})
        if "data" in first:  # Voyage's chunks of a document
            first = next(iter(self._shapes.records(first["data"])), {})
        vector = first.get("embedding")
        while type(vector) is list and vector and type(vector[0]) is list:  # llama.cpp: one for each token
            vector = vector[0]
        if type(vector) is list:
            return len(vector) * (8 if self._packed else 1)
        return None if self._packed else _floats(vector)


def _floats(vector: Json) -> int | None:
    try:
        size = len(binascii.a2b_base64(vector)) if type(vector) is str else 0
    except ValueError:
        return None
    return size // FLOAT_SIZE if size and size % FLOAT_SIZE == 0 else None


def _usage(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """There is nothing but input; some servers tell only the total."""
    counts = token_usage(usage, ("prompt", "completion"), shapes)
    read = first_given(counts.input_tokens, shapes.count(usage.get("total_tokens")))
    return msgspec.structs.replace(counts, input_tokens=read, output_tokens=None, reasoning_output_tokens=None)

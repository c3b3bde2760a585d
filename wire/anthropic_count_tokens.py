"""Anthropic's counting of tokens: what a message would cost, asked before it is sent."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import unquote

import msgspec

from pipeline.records import Capture, Exchange
from wire.anthropic_messages import AnthropicMessages
from wire.http import path_of
from wire.reading import Answered, Asked, Call, JsonApi, decode_call
from wire.shapes import Shapes

VERTEX_PATH = "/publishers/anthropic/models/count-tokens:rawPredict"


class AnthropicCountTokens(JsonApi):
    """POST …/messages/count_tokens, and Vertex's count-tokens; the request is that of a message."""

    name: ClassVar[str] = "anthropic_count_tokens"
    provider: ClassVar[str] = "anthropic"
    operation: ClassVar[str] = "count_tokens"

    def matches(self, capture: Capture) -> bool:
        path = unquote(path_of(capture)).rstrip("/")
        return capture.method == "POST" and path.endswith(("/messages/count_tokens", VERTEX_PATH))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        return msgspec.structs.replace(AnthropicMessages().asked(call, shapes), stream=False)

    def answer(self, call: Call, shapes: Shapes) -> CountAnswer:
        return CountAnswer(shapes)


class CountAnswer:
    """A count that is no usage: nothing was generated, and nothing is billed."""

    ended = False

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._count: int | None = None

    def add(self, event: dict[str, Any]) -> bool:
        self._count = self._shapes.count(event.get("input_tokens"))
        return False

    def answered(self) -> Answered:
        if self._count is None:
            return Answered()
        return Answered(attributes={"sidelight.count_tokens.input_tokens": str(self._count)})

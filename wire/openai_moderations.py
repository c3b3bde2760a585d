"""OpenAI's moderations, and Mistral's."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part
from wire.http import is_versioned, may_have, path_of
from wire.openai_chat import content_part, input_message
from wire.openai_dialect import token_usage
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes

PATH = re.compile(r"/moderations$")


class OpenAIModerations(JsonApi):
    """POST …/moderations, JSON both ways; of the judgement only the categories that were flagged are kept."""

    name: ClassVar[str] = "openai_moderations"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "moderation"

    def matches(self, capture: Capture) -> bool:
        ours = capture.method == "POST" and PATH.search(path_of(capture).rstrip("/")) is not None
        return ours and (is_versioned(capture) or may_have(capture, "input"))

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        return Asked(input_messages=_input_messages(call.body.get("input"), shapes))

    def answer(self, call: Call, shapes: Shapes) -> ModerationAnswer:
        return ModerationAnswer(shapes)


def _input_messages(told: Json, shapes: Shapes) -> tuple[Message, ...]:
    """Texts and images are one message; Mistral's chats are several."""
    each = told if type(told) is list else [] if told is None else [told]
    flat = [inner for one in each for inner in (one if type(one) is list else [one])]
    parts = [_part(one, shapes) for one in flat if not _is_message(one)]
    messages = [input_message(one, shapes) for one in flat if _is_message(one)]
    return (Message("user", tuple(parts)), *messages) if parts else tuple(messages)


def _is_message(one: Json) -> bool:
    return type(one) is dict and "role" in one


def _part(one: Json, shapes: Shapes) -> Part:
    return Part("text", content=one) if type(one) is str else content_part(shapes.record(one), shapes)


class ModerationAnswer:
    """What was found."""

    ended = True

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._answer: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        self._answer = event
        return False

    def answered(self) -> Answered:
        answer, record = self._answer, self._shapes.record
        results = [record(result.get("categories")) for result in self._shapes.records(answer.get("results"))]
        flagged = sorted({name for result in results for name, is_flagged in result.items() if is_flagged is True})
        return Answered(
            response_id=self._shapes.text(answer.get("id")),
            response_model=self._shapes.text(answer.get("model")),
            usage=token_usage(record(answer.get("usage")), ("prompt", "completion"), self._shapes),
            attributes=given({"sidelight.moderation.flagged": ",".join(flagged) or None}),
        )

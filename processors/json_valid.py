"""Does the answer parse as JSON, and match the schema the request or the configuration gives?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from pipeline.records import Evaluation, Exchange, Json, Message, text_of
from processors.json_schema import UnusableSchema, check_schema, violation
from processors.options import check_share

FENCE = re.compile(r"\A\s*```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)
DECLINED = {"refusal", "content_filter"}


@dataclass(frozen=True, slots=True)
class JsonValid:
    """Checks that an answer asked for as JSON is JSON and follows its schema."""

    schema: Mapping[str, Any] | None = None  # JSON Schema of every answer; None: the request's own, if it has one
    always: bool = False  # check answers that nobody asked to be JSON, too
    allow_fence: bool = False  # accept JSON inside one Markdown code fence
    threshold: float = 1.0  # fails when a smaller share of the choices is valid

    requires: ClassVar[tuple[str, ...]] = ("response_text", "whole_response")
    scale: ClassVar[str] = "share of choices that are valid"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)
        try:
            check_schema(True if self.schema is None else self.schema)
        except UnusableSchema as error:
            raise ValueError(f"schema is {error}; give a self-contained JSON Schema") from error

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answers = [text_of((message,)) for message in exchange.output_messages if not _declined(message)]
        answers = [answer for answer in answers if answer]
        if not answers or not self._applies(exchange):
            return ()
        problems = [self._problem(answer, exchange.output_schema) for answer in answers]
        share = problems.count(None) / len(problems)
        label = "fail" if share < self.threshold else "pass"
        return (Evaluation("json_valid", share, label, next(filter(None, problems), None)),)

    def _applies(self, exchange: Exchange) -> bool:
        asked = exchange.output_type == "json" or exchange.output_schema is not None
        return asked or self.always or self.schema is not None

    def _problem(self, answer: str, requested: Json) -> str | None:
        try:
            value = orjson.loads(self._unfenced(answer))
        except orjson.JSONDecodeError as error:
            return f"not JSON: line {error.lineno}, column {error.colno}"
        return _mismatch(requested if self.schema is None else self.schema, value)

    def _unfenced(self, answer: str) -> str:
        fenced = FENCE.match(answer) if self.allow_fence else None
        return fenced[1] if fenced else answer


def _declined(message: Message) -> bool:
    return message.finish_reason in DECLINED or any(part.type == "refusal" for part in message.parts)


def _mismatch(schema: Json, value: Json) -> str | None:
    if schema is None:
        return None
    try:
        return violation(schema, value)
    except UnusableSchema:  # only the request's can be: nothing is learned about the answer
        return None

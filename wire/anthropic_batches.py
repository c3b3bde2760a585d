"""Anthropic's message batches: many requests at once, made in their own time and fetched when they are done.

Their tokens are never counted here. They belong to no live call: whoever fetches the results twice has not paid twice,
and the batch that was paid may be fetched by nobody.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange
from wire.anthropic_messages import is_anthropic
from wire.http import path_of
from wire.reading import Answer, Answered, Asked, Call, JsonApi, decode_call, given
from wire.shapes import Shapes
from wire.streams import Streaming

PATH = re.compile(r"(?P<version>/v1)?/messages/batches(?:/(?P<id>[^/]+)(?:/(?P<verb>cancel|results))?)?$")
STATUSES = {"in_progress": "in_progress", "canceling": "in_progress", "ended": "completed"}
OUTCOMES = ("processing", "succeeded", "errored", "canceled", "expired")


class AnthropicBatches(JsonApi):
    """POST …/messages/batches creates; GET one, its list or its results, and POST …/{id}/cancel tell how it stands."""

    name: ClassVar[str] = "anthropic_batches"
    provider: ClassVar[str] = "anthropic"
    operation: ClassVar[str] = "fetch_response"

    def matches(self, capture: Capture) -> bool:
        path = PATH.search(path_of(capture).rstrip("/"))
        if path is None or not (path["version"] or is_anthropic(capture)):
            return False
        creates_or_cancels = path["id"] is None or path["verb"] == "cancel"
        return capture.method == "GET" or (capture.method == "POST" and creates_or_cancels)

    def decode(self, capture: Capture) -> Exchange:
        if not path_of(capture).rstrip("/").endswith("/results"):
            return decode_call(capture, self)
        exchange = decode_call(capture, BatchResults())
        broken_off = capture.error_type is not None or exchange.decode_error in ("response_cut", "event_cut")
        return msgspec.structs.replace(exchange, complete=exchange.complete and not broken_off)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        if call.method != "POST" or not call.path.endswith("/batches"):
            return Asked()
        requests = shapes.items(call.body.get("requests"))
        return Asked(operation="create_batch", attributes={"sidelight.batch.requests": str(len(requests))})

    def answer(self, call: Call, shapes: Shapes) -> Answer:
        return BatchAnswer(shapes)


class BatchResults(AnthropicBatches):
    """The results, line by line."""

    streaming: ClassVar[Streaming] = "lines"

    def answer(self, call: Call, shapes: Shapes) -> Answer:
        path = PATH.search(call.path)
        return ResultsAnswer(path["id"] if path else None, shapes)


class BatchAnswer:
    """How a batch stands."""

    ended = False

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._batch: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        self._batch = event
        return False

    def answered(self) -> Answered:
        counts = self._shapes.record(self._batch.get("request_counts"))
        status = self._shapes.text(self._batch.get("processing_status"))
        told = {name: self._shapes.count(counts.get(name)) for name in OUTCOMES}
        return Answered(
            response_id=self._shapes.text(self._batch.get("id")),
            attributes=given({"gen_ai.response.status": STATUSES.get(status or "")}) | _counted(told),
        )


class ResultsAnswer:
    """How the requests of a batch came out, counted; a file of results has no mark at its end."""

    ended = True

    def __init__(self, batch: str | None, shapes: Shapes) -> None:
        self._batch = batch
        self._shapes = shapes
        self._outcomes: Counter[str] = Counter()

    def add(self, event: dict[str, Any]) -> bool:
        outcome = self._shapes.text(self._shapes.record(event.get("result")).get("type"))
        if outcome in OUTCOMES:
            self._outcomes[outcome] += 1
        return False

    def answered(self) -> Answered:
        return Answered(response_id=self._batch, attributes=_counted(self._outcomes))


def _counted(outcomes: dict[str, int | None] | Counter[str]) -> dict[str, str]:
    return {f"sidelight.batch.{name}": str(count) for name, count in outcomes.items() if count is not None}

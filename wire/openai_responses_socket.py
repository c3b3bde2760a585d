"""OpenAI's responses over a WebSocket: requests and the events of their answers, in lanes."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pipeline.records import Capture, Exchange, Json
from wire.http import path_of
from wire.openai_responses import ResponseAnswer, asked_of
from wire.shapes import Shapes
from wire.turns import Said, Turn, turns_of


class OpenAIResponsesSocket:
    """…/responses, upgraded to a WebSocket; each `response.create` is a turn, and so is what follows unasked."""

    name: ClassVar[str] = "openai_responses_socket"

    def matches(self, capture: Capture) -> bool:
        return path_of(capture).rstrip("/").endswith("/responses")

    def turns(self, capture: Capture) -> tuple[Exchange, ...]:
        return turns_of(capture, self.name, "openai", Requests())


class Asking:
    """One request, and its answer as it comes together."""

    def __init__(self, request: dict[str, Any], began: int, at: int) -> None:
        self._shapes = Shapes()
        self._answer = ResponseAnswer(self._shapes)
        self._request = request
        self._began = began
        self._came = self._ended = at
        self._times: list[int] = []
        self._failure: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        return self._answer.ended or self._failure is not None

    def add(self, event: dict[str, Any], at: int) -> None:
        """One event of the answer, or the error in its place."""
        self._ended = at
        if event.get("type") == "error":
            self._failure = event
        elif self._answer.add(event):
            self._times.append(at)

    def turn(self) -> Turn:
        asked = asked_of(self._request, self._shapes)
        return Turn(
            msgspec.structs.replace(asked, model=self._shapes.text(self._request.get("model"))),
            self._answer.answered(),
            "chat",
            self._shapes,
            self._began,
            self._came,
            self._ended,
            tuple(self._times),
            self.ended,
            self._failure,
        )


class Lane:
    """Requests that are answered one after the other."""

    def __init__(self) -> None:
        self.wanted: list[tuple[int, dict[str, Any]]] = []  # when it was asked, what
        self.open: Asking | None = None
        self.request: dict[str, Any] = {}  # the last
        self.response_id: str | None = None  # the last


class Requests:
    """What is asked and answered on one connection."""

    def __init__(self) -> None:
        self._shapes = Shapes()
        self._lanes: dict[str, Lane] = {}
        self._steered: dict[str, list[Json]] = {}  # input for what follows a response, by its id
        self._turns: list[Turn] = []

    def hear(self, said: Said) -> None:
        event = said.event
        kind = self._shapes.text(event.get("type")) or ""
        if said.by_client:
            self._ask(event, kind, said.at)
        elif kind == "error" or (kind.startswith("response.") and not kind.startswith("response.steer.")):
            self._answer(event, kind, said.at)

    def turns(self, unfinished: bool) -> list[Turn]:
        left = [lane.open.turn() for lane in self._lanes.values() if lane.open] if unfinished else []
        return self._turns + left

    def _lane(self, event: dict[str, Any]) -> Lane:
        return self._lanes.setdefault(self._shapes.text(event.get("stream_id")) or "", Lane())

    def _ask(self, event: dict[str, Any], kind: str, at: int) -> None:
        if kind == "response.create":
            self._lane(event).wanted.append((at, event))
        elif kind == "response.steer":
            name = self._shapes.text(event.get("previous_response_id")) or ""
            self._steered.setdefault(name, []).extend(_items(event.get("input")))

    def _answer(self, event: dict[str, Any], kind: str, at: int) -> None:
        lane = self._lane(event)
        if kind == "error" and not lane.open and not lane.wanted:
            return
        if lane.open is None or kind == "response.created":
            self._begin(lane, at)
        assert lane.open
        lane.open.add(event, at)
        told = self._shapes.record(event.get("response")).get("id")
        lane.response_id = self._shapes.text(told) or lane.response_id
        if lane.open.ended:
            self._turns.append(lane.open.turn())
            lane.open = None

    def _begin(self, lane: Lane, at: int) -> None:
        """What nobody asked for goes on with the last request, and what was said since."""
        if lane.open:
            self._turns.append(lane.open.turn())
        began, request = lane.wanted.pop(0) if lane.wanted else (at, {**lane.request, "input": None})
        previous = self._shapes.text(request.get("previous_response_id")) or lane.response_id or ""
        if steered := self._steered.pop(previous, None):
            request = {**request, "input": steered + _items(request.get("input"))}
        lane.open, lane.request = Asking(request, began, at), request


def _items(value: Json) -> list[Json]:
    """Input as items, also where it is no more than text."""
    if type(value) is str:
        return [{"type": "message", "role": "user", "content": value}]
    return value if type(value) is list else []

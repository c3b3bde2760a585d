"""OpenAI's Realtime API: a conversation over a WebSocket, in which every response is a turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import path_of
from wire.media import BlobPieces
from wire.openai_audio import transcript_usage
from wire.openai_items import item_parts
from wire.openai_responses import ResponseAnswer, asked_of
from wire.reading import Answered, Asked, given
from wire.shapes import Shapes
from wire.turns import Said, Turn, turns_of

MAX_WANTED: Final = 64  # responses asked for and neither begun nor refused
SOUND: Final = ("response.audio", "response.output_audio")  # events about the sound itself
RENAMED: Final = {  # what the events of a response are called in the Responses API
    "response.text": "response.output_text",
    "response.audio_transcript": "response.audio.transcript",
    "response.output_audio_transcript": "response.audio.transcript",
}
CONTENT: Final = {"text": "output_text", "audio": "output_audio", "input_audio": "output_audio"}
AUDIO_TYPES: Final = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
CACHED: Final = {f"{kind}_tokens": f"{kind}.cache_read.input_tokens" for kind in ("text", "image", "audio")}


class OpenAIRealtime:
    """…/realtime, upgraded to a WebSocket; the events of the beta and those of today."""

    name: ClassVar[str] = "openai_realtime"

    def matches(self, capture: Capture) -> bool:
        return path_of(capture).rstrip("/").endswith("/realtime")

    def turns(self, capture: Capture) -> tuple[Exchange, ...]:
        return turns_of(capture, self.name, "openai", Conversation(capture))


class Item:
    """One item of the conversation that is not the model's."""

    __slots__ = ("at", "said", "size", "times", "transcript")

    def __init__(self, said: dict[str, Any], at: int, size: int = 0) -> None:
        self.said = said
        self.at = at
        self.size = size  # bytes of sound that came beside it
        self.times: list[int] = []  # of what was written down of it
        self.transcript: str | None = None

    def is_like(self, said: dict[str, Any]) -> bool:
        """Can this be what the server says of it?"""
        return all(said.get(name) == self.said.get(name) for name in ("type", "role"))

    def message(self, mime_type: str | None, shapes: Shapes) -> Message:
        kind = shapes.text(self.said.get("type")) or "message"
        role = shapes.text(self.said.get("role")) or "user" if kind == "message" else ROLES.get(kind, "assistant")
        parts = [Part("text", content=self.transcript)] if self.transcript else []
        parts += [_typed(part, mime_type) for part in item_parts(_item(self.said, shapes), shapes)]
        if self.size:
            parts.append(Part("blob", modality="audio", mime_type=mime_type, size=self.size))
        return Message(role, tuple(parts))


def _typed(part: Part, mime_type: str | None) -> Part:
    """Sound is of the session's type."""
    return msgspec.structs.replace(part, mime_type=mime_type) if part.modality == "audio" else part


ROLES: Final = {"function_call_output": "tool", "mcp_approval_response": "user"}


class Response:
    """One answer of the model's as it comes together, and what it had to go on."""

    def __init__(
        self, at: int, session: dict[str, Any], items: list[Item], models: tuple[str | None, str | None]
    ) -> None:
        self._shapes = Shapes()
        self._answer = ResponseAnswer(self._shapes)
        self._session = session
        self._items = items
        self._models = models  # asked for, said to answer
        self._began = self._ended = at
        self._times: list[int] = []
        self._sound = BlobPieces()
        self._last: dict[str, Any] = {}  # what was last said of it as a whole

    @property
    def ended(self) -> bool:
        return self._answer.ended

    def add(self, event: dict[str, Any], at: int) -> None:
        """One of its events."""
        self._ended = at
        name, _, verb = (self._shapes.text(event.get("type")) or "").rpartition(".")
        if name in SOUND:
            piece = self._shapes.text(event.get("delta")) if verb == "delta" else None
            self._sound.add(piece or "")
            came = bool(piece)
        else:
            if "response" in event:
                self._last = self._shapes.record(event["response"])
            came = self._answer.add(_event(event, name, verb, self._shapes))
        if came:
            self._times.append(at)

    def turn(self) -> Turn:
        return Turn(
            self._asked(),
            self._answered(),
            "chat",
            self._shapes,
            self._began,
            self._began,
            self._ended,
            tuple(self._times),
            self.ended,
        )

    def _asked(self) -> Asked:
        """The session says what a request says elsewhere."""
        shapes, session = self._shapes, self._session
        most = [session.get(name) for name in ("max_output_tokens", "max_response_output_tokens")]
        limit = next((each for each in most if each is not None and each != "inf"), None)
        asked = asked_of({**session, "max_output_tokens": limit, "input": None, "conversation": None}, shapes)
        mime_type = audio_type(session, "input", shapes)
        return msgspec.structs.replace(
            asked,
            input_messages=tuple([item.message(mime_type, shapes) for item in self._items]),
            output_type=_output_type(session, shapes),
            attributes={},
            model=self._models[0],
        )

    def _answered(self) -> Answered:
        answered = self._answer.answered()
        return msgspec.structs.replace(
            answered,
            response_model=self._models[1],
            output_messages=self._output_messages(answered),
            usage=_with_cached(answered.usage, self._last, self._shapes),
        )

    def _output_messages(self, answered: Answered) -> tuple[Message, ...]:
        """One message, its sound behind its words."""
        parts = [part for message in answered.output_messages for part in message.parts]
        reason = next((message.finish_reason for message in answered.output_messages), None)
        if self._sound.size:
            parts.append(self._sound.part("audio", audio_type(self._session, "output", self._shapes)))
        if self._last.get("status") == "cancelled":
            reason = "cancelled"
        return (Message("assistant", tuple(parts), finish_reason=reason),) if parts or reason else ()


class Conversation:
    """What is known of the connection, event by event."""

    def __init__(self, capture: Capture) -> None:
        query = parse_qs(capture.target.partition("?")[2])
        self._model = next(iter(query.get("model") or query.get("deployment") or []), None)
        self._served: str | None = None
        self._shapes = Shapes()
        self._session: dict[str, Any] = {}
        self._wanted: deque[tuple[int, dict[str, Any]]] = deque(maxlen=MAX_WANTED)  # each response.create not answered
        self._pending: list[Item] = []  # what was added since the last response
        self._named: dict[str, Item] = {}
        self._unnamed: deque[Item] = deque()  # whose ids the server will tell
        self._buffered = 0  # bytes of sound not yet made an item
        self._responses: dict[str, Response] = {}
        self._speaking = 0  # responses that have not ended
        self._done: list[Callable[[], Turn]] = []

    def hear(self, said: Said) -> None:
        kind = self._shapes.text(said.event.get("type")) or ""
        if take := (CLIENT if said.by_client else SERVER).get(kind):
            take(self, said.event, said.at)
        elif kind.startswith("response.") and not said.by_client:
            self._answer(said.event, said.at)

    def turns(self, unfinished: bool) -> list[Turn]:
        open_ones = [response.turn for response in self._responses.values() if not response.ended]
        return [turn() for turn in self._done + (open_ones if unfinished else [])]

    def _update(self, event: dict[str, Any], at: int) -> None:
        session = self._shapes.record(event.get("session"))
        self._session = {**self._session, **given(session)}
        self._model = self._model or self._shapes.text(session.get("model"))

    def _updated(self, event: dict[str, Any], at: int) -> None:
        self._update(event, at)
        self._served = self._shapes.text(self._shapes.record(event.get("session")).get("model")) or self._served

    def _add_item(self, event: dict[str, Any], at: int) -> None:
        item = Item(self._shapes.record(event.get("item")), at)
        self._pending.append(item)
        if name := self._shapes.text(item.said.get("id")):
            self._named[name] = item
        else:
            self._unnamed.append(item)

    def _name_item(self, event: dict[str, Any], at: int) -> None:
        """The server tells the id of what the client added without one."""
        said = self._shapes.record(event.get("item"))
        name = self._shapes.text(said.get("id")) or ""
        if name not in self._named and self._unnamed and self._unnamed[0].is_like(said):
            self._named[name] = self._unnamed.popleft()

    def _append(self, event: dict[str, Any], at: int) -> None:
        encoded = (self._shapes.text(event.get("audio")) or "").rstrip("=")
        self._buffered += len(encoded) * 3 // 4

    def _commit(self, event: dict[str, Any], at: int) -> None:
        """The sound that was sent becomes an item; where the server hears the pauses, silence is part of the count."""
        item = Item({"type": "message", "role": "user"}, at, self._buffered)
        self._buffered = 0
        self._pending.append(item)
        self._named[self._shapes.text(event.get("item_id")) or ""] = item

    def _clear(self, event: dict[str, Any], at: int) -> None:
        self._buffered = 0

    def _write_down(self, event: dict[str, Any], at: int) -> None:
        if event.get("delta"):
            self._item(event, at).times.append(at)

    def _written(self, event: dict[str, Any], at: int) -> None:
        """The transcript of what the client said; where it was paid for, a turn of its own."""
        item = self._item(event, at)
        item.transcript = self._shapes.text(event.get("transcript"))
        if event.get("usage") is not None:
            self._done.append(partial(_transcription, item, event, at, self._session))

    def _not_written(self, event: dict[str, Any], at: int) -> None:
        self._done.append(partial(_transcription, self._item(event, at), event, at, self._session))

    def _item(self, event: dict[str, Any], at: int) -> Item:
        name = self._shapes.text(event.get("item_id")) or ""
        return self._named.setdefault(name, Item({"type": "message", "role": "user"}, at))

    def _want(self, event: dict[str, Any], at: int) -> None:
        self._wanted.append((at, event))

    def _begin(self, event: dict[str, Any], at: int) -> None:
        _, wanted = self._wanted.popleft() if self._wanted else (at, {})
        own = self._shapes.record(wanted.get("response"))
        items = self._pending
        if own.get("input") is not None:
            items = [Item(item, at) for item in self._shapes.records(own["input"])]
        elif own.get("conversation") != "none":
            self._pending = []
        name = self._shapes.text(self._shapes.record(event.get("response")).get("id")) or ""
        self._open(name, at, {**self._session, **given(own)}, items)
        self._answer(event, at)

    def _open(self, name: str, at: int, session: dict[str, Any], items: list[Item]) -> Response:
        response = Response(at, session, list(items), (self._model or self._served, self._served))
        known = self._responses.get(name)
        self._speaking += known is None or known.ended
        self._responses[name] = response
        return response

    def _answer(self, event: dict[str, Any], at: int) -> None:
        """An event of a response, which may have begun in an earlier part."""
        told = event.get("response_id") or self._shapes.record(event.get("response")).get("id")
        name = self._shapes.text(told) or ""
        response = self._responses.get(name) or self._open(name, at, self._session, [])
        ended = response.ended
        response.add(event, at)
        if response.ended and not ended:
            self._speaking -= 1
            self._done.append(response.turn)

    def _fail(self, event: dict[str, Any], at: int) -> None:
        """An error is a turn's only where it stands in place of the response that was asked for."""
        cause = self._shapes.record(event.get("error")).get("event_id")
        place = self._place_of(cause)
        if place is None:
            return
        began, _ = self._wanted[place]
        del self._wanted[place]
        asked = Asked(model=self._model or self._served)
        turn = Turn(asked, Answered(), "chat", Shapes(), began, at, at, finished=True, failure=event)
        self._done.append(lambda: turn)

    def _place_of(self, cause: Json) -> int | None:
        """Which of the wanted responses will not come: the one so named; else the next, if none is under way."""
        if cause is None:
            return 0 if self._wanted and not self._speaking else None
        return next((n for n, (_, wanted) in enumerate(self._wanted) if wanted.get("event_id") == cause), None)


Take = Callable[[Conversation, dict[str, Any], int], None]
_WRITTEN = "conversation.item.input_audio_transcription"
CLIENT: Final[Mapping[str, Take]] = {
    "session.update": Conversation._update,
    "transcription_session.update": Conversation._update,
    "conversation.item.create": Conversation._add_item,
    "input_audio_buffer.append": Conversation._append,
    "input_audio_buffer.clear": Conversation._clear,
    "response.create": Conversation._want,
}
SERVER: Final[Mapping[str, Take]] = {
    "session.created": Conversation._updated,
    "session.updated": Conversation._updated,
    "transcription_session.created": Conversation._updated,
    "transcription_session.updated": Conversation._updated,
    "conversation.item.created": Conversation._name_item,
    "conversation.item.added": Conversation._name_item,
    "input_audio_buffer.committed": Conversation._commit,
    f"{_WRITTEN}.delta": Conversation._write_down,
    f"{_WRITTEN}.completed": Conversation._written,
    f"{_WRITTEN}.failed": Conversation._not_written,
    "response.created": Conversation._begin,
    "error": Conversation._fail,
}


def _transcription(item: Item, event: dict[str, Any], at: int, session: dict[str, Any]) -> Turn:
    """What the client said, written down by a model of its own."""
    shapes = Shapes()
    failure = event if event.get("error") is not None else None
    text = shapes.text(event.get("transcript"))
    parts = (Part("text", content=text),) if text else ()
    mime_type = audio_type(session, "input", shapes)
    sound = Part("blob", modality="audio", mime_type=mime_type, size=item.size or None)
    asked = Asked(
        input_messages=(Message("user", (sound,)),), output_type="text", model=_transcription_model(session, shapes)
    )
    answered = Answered(
        output_messages=(Message("assistant", parts, finish_reason="stop"),) if parts else (),
        usage=transcript_usage(shapes.record(event.get("usage")), shapes),
    )
    began = min(item.at, at)
    times = tuple(item.times)
    return Turn(
        asked, answered, "transcription", shapes, began, times[0] if times else at, at, times, failure is None, failure
    )


def _transcription_model(session: dict[str, Any], shapes: Shapes) -> str | None:
    nested = shapes.record(shapes.record(session.get("audio")).get("input")).get("transcription")
    told = shapes.record(session.get("input_audio_transcription") if nested is None else nested)
    return shapes.text(told.get("model"))


def audio_type(session: dict[str, Any], side: str, shapes: Shapes) -> str | None:
    """The media type of a side's sound: `audio.input.format.type`, in the beta `input_audio_format`."""
    told = shapes.record(shapes.record(session.get("audio")).get(side)).get("format")
    if told is None:
        told = session.get(f"{side}_audio_format")
    kind = shapes.text(told if type(told) is str else shapes.record(told).get("type"))
    return AUDIO_TYPES.get(kind, kind) if kind else None


def _output_type(session: dict[str, Any], shapes: Shapes) -> str | None:
    told = session.get("output_modalities")
    modalities = shapes.items(session.get("modalities") if told is None else told)
    return "speech" if "audio" in modalities else "text" if modalities else None


def _event(event: dict[str, Any], name: str, verb: str, shapes: Shapes) -> dict[str, Any]:
    """The event as the Responses API would have it."""
    other = {**event, "type": f"{RENAMED.get(name, name)}.{verb}"}
    if "item" in event:
        other["item"] = _item(shapes.record(event["item"]), shapes)
    if "part" in event:
        other["part"] = _content(shapes.record(event["part"]), shapes)
    if "response" in event:
        other["response"] = _response(shapes.record(event["response"]), shapes)
    return other


def _item(item: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    if "content" not in item:
        return item
    return {**item, "content": [_content(part, shapes) for part in shapes.records(item["content"])]}


def _content(part: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    kind = shapes.text(part.get("type")) or ""
    return {**part, "type": CONTENT.get(kind, kind), "data": part.get("audio")}


def _response(response: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    details, usage = shapes.record(response.get("status_details")), shapes.record(response.get("usage"))
    named = {f"{side}_tokens_details": usage.get(f"{side}_token_details") for side in ("input", "output")}
    output = response.get("output")
    return {
        **response,
        "output": None if output is None else [_item(item, shapes) for item in shapes.records(output)],
        "usage": {**usage, **named} if usage else None,
        "error": details.get("error"),
        "incomplete_details": details,
        "conversation": response.get("conversation_id"),
    }


def _with_cached(usage: Usage, response: dict[str, Any], shapes: Shapes) -> Usage:
    """And of which modality the cached tokens are."""
    inputs = shapes.record(shapes.record(response.get("usage")).get("input_token_details"))
    cached = shapes.record(inputs.get("cached_tokens_details"))
    told = {name: shapes.count(cached.get(member)) for member, name in CACHED.items()}
    return msgspec.structs.replace(usage, details={**usage.details, **{k: v for k, v in told.items() if v}})

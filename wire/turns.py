"""What a spliced connection has in common with calls over HTTP: each answer on it is an exchange of its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from pipeline.records import Capture, Exchange, Timing, TraceContext
from wire.bodies import Arrivals, loads_or_salvage
from wire.http import bare_exchange
from wire.reading import Answered, Asked, checked, error_message_of, error_type_of, told
from wire.shapes import Shapes
from wire.streams import times_at
from wire.websocket import Deflate, agreed, messages

MAX_REPEATED = 2 * 2**20  # bytes of instructions and tools in all turns of one part


class Said(NamedTuple):
    """One JSON event of either side, and when it came: ns after the connection began."""

    at: int
    by_client: bool
    event: dict[str, Any]


class Turn(Struct, frozen=True):
    """One answer, and what it answers; times in ns after the connection began."""

    asked: Asked
    answered: Answered
    operation: str
    shapes: Shapes  # of what both were read with
    began: int
    came: int  # the first event of the answer
    ended: int
    times: tuple[int, ...] = ()  # of the events with content
    finished: bool = False  # the answer said that it is over
    failure: dict[str, Any] | None = None  # what was said in its place


class Listener(Protocol):
    """Follows one connection, event by event."""

    def hear(self, said: Said) -> None: ...

    def turns(self, unfinished: bool) -> list[Turn]:
        """The answers in the order they ended; with `unfinished` those that did not are the last."""
        ...


def turns_of(capture: Capture, wire: str, provider: str, listener: Listener) -> tuple[Exchange, ...]:
    """The exchange of every turn in this part of a connection.

    What is wrong with the copy is named in the last of them, or in one of its own where none could be read:
    websocket_cut, websocket_broken, websocket_continued (compressed with what an earlier part holds), expansion_limit,
    event_not_json.
    """
    shapes = Shapes()
    for said in dialogue(capture, shapes):
        listener.hear(said)
    turns = listener.turns(unfinished=capture.last or shapes.problem is not None)
    if shapes.problem and turns:
        turns[-1].shapes.note(shapes.problem)
    elif shapes.problem:
        turns = [Turn(Asked(), Answered(), "chat", shapes, 0, 0, capture.ended_at)]
    _without_repetitions(turns)
    return tuple([_exchange(capture, wire, provider, number, turn) for number, turn in enumerate(turns, 1)])


def _without_repetitions(turns: list[Turn]) -> None:
    """Every turn has the session's instructions and tools, but not beyond a bound for all of them together.

    Those that go without are named session_left_out.
    """
    room = MAX_REPEATED
    for number, turn in enumerate(turns):
        room -= len(msgspec.json.encode((turn.asked.system_instructions, turn.asked.tool_definitions)))
        if room < 0:
            asked = msgspec.structs.replace(turn.asked, system_instructions=(), tool_definitions=())
            turns[number] = msgspec.structs.replace(turn, asked=asked)
            turn.shapes.note("session_left_out")


def dialogue(capture: Capture, shapes: Shapes) -> list[Said]:
    """What both sides said in order of time; at the same time, the client first."""
    client, server = agreed(capture.response_headers)
    if capture.part and any(deflate and deflate.takeover for deflate in (client, server)):
        shapes.note("websocket_continued")
        return []
    answers = _events(capture.response_body, False, server, capture.arrivals, shapes)
    shapes.note("websocket_cut" if capture.response_cut else None)
    questions = _events(capture.request_body, True, client, capture.request_arrivals, shapes)
    shapes.note("websocket_cut" if capture.request_cut else None)
    return sorted(questions + answers, key=lambda said: said.at)


def _events(data: bytes, client: bool, deflate: Deflate | None, arrivals: Arrivals, shapes: Shapes) -> list[Said]:
    read, problem = messages(data, masked=client, deflate=deflate)
    texts = [message for message in read if message.kind in ("text", "binary")]
    times = times_at([message.offset for message in texts], arrivals) or (0,) * len(texts)
    events = [Said(at, client, _event(message.data, shapes)) for message, at in zip(texts, times, strict=True)]
    shapes.note(problem)
    return events


def _event(data: bytes, shapes: Shapes) -> dict[str, Any]:
    value, sound = loads_or_salvage(data)
    if not sound:
        shapes.note("event_not_json")
    return shapes.record(value)


def _exchange(capture: Capture, wire: str, provider: str, number: int, turn: Turn) -> Exchange:
    bare, asked, answered = bare_exchange(capture), turn.asked, turn.answered
    failure = turn.failure or answered.failure
    broken = None if turn.finished else bare.error_type
    usage = checked(answered.usage, turn.shapes)
    return msgspec.structs.replace(
        bare,
        id=f"{capture.started_at + turn.began:016x}{_derived(capture, 'exchange', number)}",
        trace=_trace(capture, number),
        timing=_timing(capture, turn),
        wire=wire,
        operation=turn.operation,
        provider=bare.provider or provider,
        usage=usage,
        stream=True,
        complete=turn.finished and failure is None,
        error_type=error_type_of(broken, capture, failure),
        error_message=error_message_of(failure),
        decode_error=turn.shapes.problem,
        turn=number,
        **told(asked, answered),
    )


def _timing(capture: Capture, turn: Turn) -> Timing:
    times = tuple([at - turn.began for at in turn.times])
    return Timing(
        started_at=capture.started_at + turn.began,
        sent_at=0,
        first_byte_at=turn.came - turn.began,
        ended_at=turn.ended - turn.began,
        first_chunk_at=times[0] if times else None,
        chunk_times=times,
    )


def _trace(capture: Capture, number: int) -> TraceContext:
    """A turn's span is the child of the connection's CLIENT span."""
    trace = capture.trace
    own = _derived(capture, "span", number)
    return msgspec.structs.replace(trace, server_span_id=trace.client_span_id, client_span_id=own)


def _derived(capture: Capture, what: str, number: int) -> str:
    """16 hex digits, the same whenever the same part is read."""
    name = f"{capture.id}/{capture.part}/{number}/{what}"
    return blake2b(name.encode(), digest_size=8).hexdigest()

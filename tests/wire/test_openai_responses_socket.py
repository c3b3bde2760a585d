"""Responses over a WebSocket: lanes, steering, errors, and the events as OpenAI's own library reads them."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponsesServerEvent
from pydantic import TypeAdapter

from pipeline.records import Exchange, text_of
from tests.wire.dialogues import DIALOGUES, Said, connection, dialogue_of, read_dialogue
from wire import exchanges_of

CASES = [case for case in DIALOGUES if case.startswith("openai_responses_socket/")]


def heard(*said: Said, **changes: Any) -> list[Exchange]:
    timed = [(at, by, event) for at, (_, by, event) in enumerate(said)]
    return [turn for turn in exchanges_of(connection(timed, "/v1/responses", **changes)) if turn.turn]


def ask(text: str = "Hi", **members: Any) -> Said:
    return 0, "client", {"type": "response.create", "model": "m", "input": text, **members}


def steer(text: str, response: str) -> Said:
    return 0, "client", {"type": "response.steer", "previous_response_id": response, "input": text}


def says(kind: str, response: dict[str, Any] | None = None, **members: Any) -> Said:
    return 0, "server", {"type": kind, **({"response": response} if response else {}), **members}


def answers(name: str, **members: Any) -> tuple[Said, Said]:
    return (
        says("response.created", {"id": name, "status": "in_progress"}, **members),
        says("response.completed", {"id": name, "status": "completed", "output": []}, **members),
    )


def inputs(turns: list[Exchange]) -> list[list[str]]:
    return [[text_of((message,)) for message in turn.input_messages] for turn in turns]


def test_requests_wait_for_their_turn() -> None:
    turns = heard(ask("One"), ask("Two"), *answers("a"), *answers("b"))
    assert ([turn.response_id for turn in turns], inputs(turns)) == (["a", "b"], [["One"], ["Two"]])


def test_lanes_are_kept_apart() -> None:
    a, b = answers("a", stream_id="1"), answers("b", stream_id="2")
    turns = heard(ask("One", stream_id="1"), ask("Two", stream_id="2"), b[0], a[0], b[1], a[1])
    assert ([turn.response_id for turn in turns], inputs(turns)) == (["b", "a"], [["Two"], ["One"]])


def test_what_follows_by_itself_has_the_input_it_was_steered_by() -> None:
    turns = heard(ask("One"), *answers("a"), steer("Two", "a"), *answers("b"))
    assert (inputs(turns), turns[1].request_model) == ([["One"], ["Two"]], "m")


def test_input_that_waited_goes_before_the_next() -> None:
    turns = heard(ask("One"), *answers("a"), steer("Two", "a"), ask("Three", previous_response_id="a"), *answers("b"))
    assert inputs(turns) == [["One"], ["Two", "Three"]]


def test_times_count_from_the_request() -> None:
    (turn,) = heard(ask(), *answers("a"))
    assert (turn.timing.first_byte_at, turn.timing.ended_at) == (1_000_000, 2_000_000)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"type": "invalid_request_error", "code": "c", "message": "No."}, "status": 400},
        {"code": "invalid_request_error", "message": "No.", "param": None},
    ],
)
def test_error_in_place_of_an_answer(error: dict[str, Any]) -> None:
    (turn,) = heard(ask(), says("error", **error))
    assert (turn.error_type, turn.error_message, turn.complete) == ("invalid_request_error", "No.", False)


def test_error_that_answers_nothing_is_no_turn() -> None:
    assert heard(says("error", code="websocket_connection_limit_reached", message="60 minutes")) == []


def test_the_next_answer_ends_the_one_before() -> None:
    first, _ = answers("a")
    turns = heard(ask("One"), ask("Two"), first, *answers("b"))
    assert [(turn.response_id, turn.complete) for turn in turns] == [("a", False), ("b", True)]


def test_a_failed_answer_is_complete_in_nothing() -> None:
    failure = {"id": "a", "status": "failed", "error": {"code": "server_error", "message": "Sorry"}, "output": []}
    (turn,) = heard(ask(), says("response.failed", failure))
    assert (turn.complete, turn.error_type, turn.error_message) == (False, "server_error", "Sorry")


@pytest.mark.parametrize("case", CASES)
def test_the_library_knows_the_events(case: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)
    events = [event for _, by, event in dialogue_of(case) if by == "server"]
    theirs = [adapter.validate_python(event) for event in events if event["type"] != "error" or "error" in event]
    ended = {each.response.id: each.response for each in theirs if each.type == "response.completed"}
    for turn in (turn for turn in exchanges_of(read_dialogue(case)) if turn.response_id in ended):
        response = ended[turn.response_id]
        assert text_of(turn.output_messages) == response.output_text
        assert (turn.usage.input_tokens, turn.usage.output_tokens) == (
            response.usage.input_tokens,
            response.usage.output_tokens,
        )

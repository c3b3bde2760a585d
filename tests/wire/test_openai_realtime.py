"""The Realtime API where it bends, and as OpenAI's own library reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from pipeline.records import Exchange, Message, Part, Usage, text_of
from tests.support.records import reported
from tests.wire.dialogues import DIALOGUES, Said, connection, dialogue_of, read_dialogue
from wire import exchanges_of

TODAYS = [case for case in DIALOGUES if case.startswith("openai_realtime/") and not case.endswith("_beta")]


def heard(*events: dict[str, Any], target: str = "/v1/realtime", **changes: Any) -> list[Exchange]:
    """The turns of a connection on which these were said, one a ms: what has `client` by the client."""
    said: list[Said] = [
        (at, "client" if event.get("client") else "server", {k: v for k, v in event.items() if k != "client"})
        for at, event in enumerate(events)
    ]
    return [turn for turn in exchanges_of(connection(said, target, **changes)) if turn.turn]


def client(kind: str, **members: Any) -> dict[str, Any]:
    return {"client": True, "type": kind, **members}


def server(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


def done(name: str = "r", status: str = "completed", **members: Any) -> dict[str, Any]:
    return server("response.done", response={"id": name, "status": status, "output": [], **members})


def created(name: str = "r") -> dict[str, Any]:
    return server("response.created", response={"id": name, "status": "in_progress", "output": []})


def user(text: str, **members: Any) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **members}
    return client("conversation.item.create", item=item)


def test_text_of_the_beta_is_read() -> None:
    names = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    item = {"id": "i", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    (turn,) = heard(
        created(),
        *[server("response.text.delta", delta=piece, **names) for piece in ("Hel", "lo")],
        server("response.text.done", text="Hello", **names),
        done(output=[item]),
    )
    assert turn.output_messages == (Message("assistant", (Part("text", content="Hello"),), finish_reason="stop"),)
    assert turn.timing.chunk_times == (1_000_000, 2_000_000)


def test_deltas_stand_in_for_what_the_end_leaves_out() -> None:
    names = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    (turn,) = heard(created(), server("response.output_audio_transcript.delta", delta="Hi", **names), done())
    assert text_of(turn.output_messages) == "Hi"


@pytest.mark.parametrize(
    ("status", "details", "reason", "complete"),
    [
        ("completed", {}, "stop", True),
        ("incomplete", {"reason": "max_output_tokens"}, "length", True),
        ("incomplete", {"reason": "content_filter"}, "content_filter", True),
        ("cancelled", {"reason": "client_cancelled"}, "cancelled", True),
        ("failed", {"error": {"type": "server_error"}}, None, False),
    ],
)
def test_status_is_the_finish_reason(status: str, details: object, reason: str | None, complete: bool) -> None:
    (turn,) = heard(created(), done(status=status, status_details=details))
    assert [message.finish_reason for message in turn.output_messages] == ([reason] if reason else [])
    assert turn.complete is complete


def test_without_its_end_there_is_no_finish_reason() -> None:
    (turn,) = heard(created(), last=True)
    assert (turn.complete, turn.output_messages, turn.usage) == (False, (), Usage())
    assert heard(created(), last=False) == []


def test_usage_tells_modalities_and_what_was_cached() -> None:
    cached = {"text_tokens": 20, "audio_tokens": 30, "image_tokens": 0}
    inputs = {"text_tokens": 40, "audio_tokens": 60, "cached_tokens": 50, "cached_tokens_details": cached}
    outputs = {"text_tokens": 5, "audio_tokens": 15}
    usage = {"input_tokens": 100, "output_tokens": 20, "input_token_details": inputs, "output_token_details": outputs}
    (turn,) = heard(created(), done(usage=usage))
    assert turn.usage == reported(
        100,
        20,
        cache_read=50,
        text__input_tokens=40,
        audio__input_tokens=60,
        text__output_tokens=5,
        audio__output_tokens=15,
        text__cache_read__input_tokens=20,
        audio__cache_read__input_tokens=30,
    )


def test_a_part_larger_than_its_whole_is_not_believed() -> None:
    (turn,) = heard(created(), done(usage={"input_tokens": 1, "input_token_details": {"audio_tokens": 9}}))
    assert (turn.usage, turn.decode_error) == (reported(1), "usage_inconsistent")


def test_each_turn_has_what_was_added_since_the_one_before() -> None:
    turns = heard(user("One"), user("Two"), created("a"), user("Three"), done("a"), created("b"), done("b"))
    assert [[text_of((message,)) for message in turn.input_messages] for turn in turns] == [["One", "Two"], ["Three"]]


def test_transcript_finds_the_item_the_server_named() -> None:
    sound = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}
    (turn,) = heard(
        client("conversation.item.create", item=sound),
        server("conversation.item.added", item={**sound, "id": "item_9"}),
        created(),
        done(),
        server("conversation.item.input_audio_transcription.completed", item_id="item_9", transcript="Hello."),
    )
    (message,) = turn.input_messages
    assert [part.type for part in message.parts] == ["text", "blob"]
    assert (message.parts[0].content, message.parts[1].size) == ("Hello.", 3)


def test_cleared_sound_is_not_counted() -> None:
    (turn,) = heard(
        client("input_audio_buffer.append", audio="AAAAAAAA"),
        client("input_audio_buffer.clear"),
        client("input_audio_buffer.append", audio="AAA="),
        server("input_audio_buffer.committed", item_id="i"),
        created(),
        done(),
    )
    assert [part.size for message in turn.input_messages for part in message.parts] == [2]


def test_models_asked_for_and_served() -> None:
    session = server("session.created", session={"model": "gpt-realtime-2025-08-28"})
    (turn,) = heard(session, created(), done(), target="/openai/realtime?deployment=mine")
    assert (turn.request_model, turn.response_model) == ("mine", "gpt-realtime-2025-08-28")
    (turn,) = heard(session, created(), done())
    assert turn.request_model == "gpt-realtime-2025-08-28"


@pytest.mark.parametrize(
    ("session", "parameters"),
    [
        ({"max_output_tokens": "inf", "temperature": 0.7}, {"temperature": 0.7}),
        ({"max_response_output_tokens": 9}, {"max_tokens": 9}),
        ({"max_output_tokens": 5, "max_response_output_tokens": "inf"}, {"max_tokens": 5}),
        ({"reasoning": {"effort": "low"}}, {"reasoning.level": "low"}),
    ],
)
def test_the_session_says_what_a_request_does_elsewhere(session: dict[str, Any], parameters: dict[str, Any]) -> None:
    (turn,) = heard(client("session.update", session=session), created(), done())
    assert turn.parameters == parameters


@pytest.mark.parametrize(
    ("session", "output_type"),
    [({"modalities": ["text", "audio"]}, "speech"), ({"output_modalities": ["text"]}, "text"), ({}, None)],
)
def test_output_type(session: dict[str, Any], output_type: str | None) -> None:
    (turn,) = heard(server("session.updated", session=session), created(), done())
    assert turn.output_type == output_type


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        ([client("response.create", event_id="e")], True),
        ([client("response.create", event_id="other")], False),
        ([client("conversation.item.delete", event_id="e")], False),
    ],
)
def test_an_error_is_a_turn_only_in_place_of_a_response(events: list[dict[str, Any]], failed: bool) -> None:
    error = {"type": "invalid_request_error", "code": "c", "message": "No.", "event_id": "e"}
    turns = heard(*events, server("error", error=error))
    assert [turn.error_type for turn in turns] == (["invalid_request_error"] if failed else [])


def test_an_error_during_an_answer_leaves_it_alone() -> None:
    error = server("error", error={"type": "invalid_request_error", "message": "Already active", "event_id": None})
    turns = heard(client("response.create"), created(), client("response.create"), error, done())
    assert [(turn.complete, turn.error_type) for turn in turns] == [(True, None)]


def test_transcription_that_is_paid_for_is_a_turn() -> None:
    session = {"input_audio_transcription": {"model": "whisper-1"}, "input_audio_format": "g711_ulaw"}
    completed = "conversation.item.input_audio_transcription.completed"
    (turn,) = heard(
        server("session.created", session=session),
        server("input_audio_buffer.committed", item_id="i"),
        server(completed, item_id="i", transcript="Hi", usage={"type": "duration", "seconds": 3}),
    )
    assert (turn.operation, turn.request_model, turn.usage) == (
        "transcription",
        "whisper-1",
        reported(input_audio_seconds=3),
    )
    assert turn.input_messages[0].parts[0].mime_type == "audio/pcmu"


@pytest.mark.parametrize("case", TODAYS)
def test_the_library_knows_the_events(case: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
    events = [event for _, by, event in dialogue_of(case) if by == "server"]
    theirs = [adapter.validate_python(json.loads(json.dumps(event))) for event in events]
    ended = {each.response.id: each.response for each in theirs if each.type == "response.done"}
    for turn in (turn for turn in exchanges_of(read_dialogue(case)) if turn.operation == "chat"):
        response = ended.get(turn.response_id or "")
        if response and response.usage:
            details = response.usage.input_token_details
            assert turn.usage.input_tokens == response.usage.input_tokens
            assert turn.usage.details.get("audio.input_tokens", 0) == details.audio_tokens


def test_the_models_own_items_take_no_name_from_the_clients() -> None:
    call = {"id": "item_f", "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    completed = "conversation.item.input_audio_transcription.completed"
    sound = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}
    (turn,) = heard(
        client("conversation.item.create", item=sound),
        server("conversation.item.added", item=call),
        server("conversation.item.added", item={**sound, "id": "item_u"}),
        created(),
        done(),
        server(completed, item_id="item_f", transcript="wrong"),
        server(completed, item_id="item_u", transcript="right"),
    )
    assert text_of(turn.input_messages) == "right"

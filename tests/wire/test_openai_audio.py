"""Sound both ways: bodies that are no JSON, forms, seconds instead of tokens."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import openai
import pytest
from openai.types.audio import Transcription, TranscriptionStreamEvent, TranscriptionVerbose
from pydantic import TypeAdapter

from pipeline.records import Exchange, Headers, Message, Part, Usage, text_of
from tests.support.records import a_capture, reported
from tests.wire.cases import read_case
from wire import decode
from wire.openai_audio import OpenAIAudio
from wire.shapes import Shapes
from wire.streams import read_events

MP3 = (("Content-Type", "audio/mpeg"),)


def spoken(body: bytes = b"sound", **changes: Any) -> Exchange:
    request = {"model": "tts-1", "input": "Hi", "response_format": "opus"}
    return decode(
        a_capture(
            **{
                "target": "/v1/audio/speech",
                "request_body": json.dumps(request).encode(),
                "response_body": body,
                "response_headers": MP3,
            }
            | changes
        )
    )


def written(body: object, content_type: str = "application/json", **form: str) -> Exchange:
    lines = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items()]
    return decode(
        a_capture(
            target="/v1/audio/transcriptions",
            request_headers=(("content-type", "multipart/form-data; boundary=b"),),
            request_body="".join([*lines, "--b--\r\n"]).encode(),
            response_headers=(("content-type", content_type),),
            response_body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        )
    )


def sound_of(exchange: Exchange) -> Part:
    (message,) = exchange.output_messages
    (part,) = message.parts
    return part


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/audio/speech", True),
        ("POST", "/openai/deployments/d/audio/translations?api-version=1", True),
        ("POST", "/v1/audio/transcriptions/", True),
        ("GET", "/v1/audio/speech", False),
        ("POST", "/v1/audio/voices", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert OpenAIAudio().matches(a_capture(method=method, target=target)) is matches


def test_sound_is_kept_as_type_size_and_digest() -> None:
    digest = hashlib.sha256(b"sound").hexdigest()
    assert sound_of(spoken()) == Part("blob", modality="audio", mime_type="audio/mpeg", size=5, digest=digest)


def test_what_is_said_to_be_bytes_is_of_the_type_asked_for() -> None:
    bare = (("content-type", "application/octet-stream"),)
    assert sound_of(spoken(response_headers=bare)).mime_type == "audio/ogg"


@pytest.mark.parametrize("body", [b":sound", b" id: 1\n\n", b"{", b"[1", b"data: x\n\n"])
def test_sound_that_looks_like_something_else_is_sound(body: bytes) -> None:
    exchange = spoken(body)
    assert (sound_of(exchange).size, exchange.decode_error, exchange.complete) == (len(body), None, True)


@pytest.mark.parametrize(("more", "size"), [((), 5000), ((("content-encoding", "identity"),), None)])
def test_cut_sound_has_no_digest_but_the_size_that_passed(more: Headers, size: int | None) -> None:
    exchange = spoken(response_cut=True, response_size=5000, response_headers=MP3 + more)
    assert (sound_of(exchange).size, sound_of(exchange).digest) == (size, None)
    assert (exchange.decode_error, exchange.complete) == ("response_cut", True)


def test_what_failed_spoke_no_characters() -> None:
    error = {"error": {"message": "No", "type": "invalid_request_error"}}
    exchange = spoken(json.dumps(error).encode(), status=400)
    assert (exchange.usage, exchange.output_messages, exchange.error_message) == (Usage(), (), "No")


def test_pieces_of_sound_are_each_base64_of_their_own() -> None:
    events = [{"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in (b"a", b"bcde")]
    events += [{"type": "speech.audio.delta", "audio": "\u00e9?"}, {"type": "speech.audio.done"}]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    exchange = spoken(body, response_headers=(("content-type", "text/event-stream"),))
    assert sound_of(exchange).digest == hashlib.sha256(b"abcde").hexdigest()
    assert (sound_of(exchange).size, exchange.stream, exchange.complete) == (5, True, True)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"text": "a", "usage": {"type": "duration", "seconds": 2.5}}, reported(input_audio_seconds=2.5)),
        ({"text": "a", "duration": 8.25}, reported(input_audio_seconds=8.25)),
        ({"text": "a", "duration": "8.25"}, reported(input_audio_seconds=8.25)),
        ({"text": "a", "duration": "long"}, Usage()),
        ({"text": "a", "duration": "nan"}, Usage()),
        (
            {"text": "a", "duration": 3, "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 1}},
            reported(5, 1),
        ),
        ({"text": "a"}, Usage()),
    ],
)
def test_usage_is_tokens_or_seconds(body: object, usage: Usage) -> None:
    assert written(body).usage == usage


@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "text/vtt", "application/x-subrip"])
def test_text_is_the_transcript(content_type: str) -> None:
    exchange = written(b"WEBVTT\n\nHello \xff", content_type)
    assert text_of(exchange.output_messages) == "WEBVTT\n\nHello \ufffd"
    assert (exchange.complete, exchange.decode_error) == (True, None)


def test_json_is_json_whatever_it_is_said_to_be() -> None:
    assert text_of(written(b' {"text": "Hello"}', "text/plain").output_messages) == "Hello"


def test_a_form_says_its_numbers_as_text() -> None:
    exchange = written({"text": "a"}, model="whisper-1", temperature="0.5", prompt="Names")
    assert (exchange.request_model, exchange.parameters, exchange.decode_error) == (
        "whisper-1",
        {"temperature": 0.5},
        None,
    )
    assert exchange.input_messages == (Message("user", (Part("text", content="Names"),)),)


def test_silence_is_an_answer_without_words() -> None:
    exchange = written({"text": ""})
    assert (exchange.output_messages, exchange.complete, exchange.decode_error) == ((), True, None)


def test_segments_stand_in_for_the_whole_text() -> None:
    events = [{"type": "transcript.text.segment", "text": text, "speaker": "A"} for text in ("One.", "Two.")]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    exchange = written(body, "text/event-stream", stream="true")
    assert (text_of(exchange.output_messages), exchange.complete) == ("One. Two.", False)


@pytest.mark.parametrize("name", ["transcription", "transcription_verbose"])
def test_the_library_reads_the_same_transcript(name: str) -> None:
    capture = read_case(f"openai_audio/{name}")
    kind = TranscriptionVerbose if name.endswith("verbose") else Transcription
    theirs, ours = kind.model_validate_json(capture.response_body), decode(capture)
    assert text_of(ours.output_messages) == theirs.text
    assert isinstance(theirs.usage, openai.BaseModel)
    seconds = getattr(theirs.usage, "seconds", None)
    assert ours.usage.details.get("input_audio_seconds") == seconds
    assert ours.usage.input_tokens == getattr(theirs.usage, "input_tokens", None)


@pytest.mark.parametrize("name", ["transcription_stream", "transcription_diarized_stream"])
def test_the_library_reads_the_same_stream(name: str) -> None:
    capture = read_case(f"openai_audio/{name}")
    adapter: TypeAdapter[Any] = TypeAdapter(TranscriptionStreamEvent)
    *_, done = [adapter.validate_json(piece.data) for piece in read_events(capture.response_body, Shapes())]
    exchange = decode(capture)
    assert text_of(exchange.output_messages) == done.text
    assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (
        done.usage.input_tokens,
        done.usage.output_tokens,
    )

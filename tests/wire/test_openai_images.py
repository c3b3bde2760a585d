"""Images: drafts are not kept, images are counted, forms say the same as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import ImageEditStreamEvent, ImageGenStreamEvent, ImagesResponse
from pydantic import TypeAdapter

from pipeline.records import Exchange, Part
from tests.support.records import a_capture, reported
from tests.wire.cases import read_case
from wire import decode
from wire.openai_images import OpenAIImages
from wire.shapes import Shapes
from wire.streams import read_events

SSE = (("content-type", "text/event-stream"),)


def drawn(response: object = None, events: list[dict[str, Any]] | None = None, **request: Any) -> Exchange:
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events or [])
    return decode(
        a_capture(
            target="/v1/images/generations",
            request_body=json.dumps({"model": "m", "prompt": "A cat"} | request).encode(),
            response_body=stream if events else json.dumps(response).encode(),
            response_headers=SSE if events else (("content-type", "application/json"),),
        )
    )


def completed(data: str = "aW1n") -> dict[str, Any]:
    return {"type": "image_generation.completed", "b64_json": data, "output_format": "png"}


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/images/generations", True),
        ("POST", "/openai/deployments/d/images/edits?api-version=1", True),
        ("POST", "/v1/images/variations/", True),
        ("GET", "/v1/images/generations", False),
        ("POST", "/v1/images", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert OpenAIImages().matches(a_capture(method=method, target=target)) is matches


def test_drafts_are_content_but_not_kept() -> None:
    draft = completed("ZHJhZnQ=") | {"type": "image_generation.partial_image"}
    exchange = drawn(events=[draft, completed()], stream=True)
    ((part,),) = [message.parts for message in exchange.output_messages]
    assert (part.size, part.mime_type, len(exchange.timing.chunk_times)) == (3, "image/png", 2)
    assert (exchange.stream, exchange.complete, exchange.usage) == (True, True, reported(output_images=1))


def test_stream_ends_with_the_last_image_asked_for() -> None:
    assert not drawn(events=[completed()], stream=True, n=2).complete
    assert drawn(events=[completed(), completed()], stream=True, n=2).complete


@pytest.mark.parametrize(
    ("usage", "image_tokens"),
    [
        ({"output_tokens": 9}, 9),
        ({"output_tokens": 9, "output_tokens_details": {"image_tokens": 7, "text_tokens": 2}}, 7),
        ({"input_tokens": 9}, None),
    ],
)
def test_output_is_images_unless_told_otherwise(usage: dict[str, Any], image_tokens: int | None) -> None:
    assert drawn({"data": [], "usage": usage}).usage.details.get("image.output_tokens") == image_tokens


@pytest.mark.parametrize(("said", "mime_type"), [("svg", "image/svg+xml"), ("webp", "image/webp"), (None, None)])
def test_type_is_the_one_the_answer_names(said: str | None, mime_type: str | None) -> None:
    exchange = drawn({"data": [{"b64_json": "aW1n"}], "output_format": said})
    assert exchange.output_messages[0].parts[0].mime_type == mime_type


def test_images_of_an_edit_are_parts_of_the_prompt() -> None:
    exchange = drawn({}, images=[{"file_id": "file-1"}, "https://host/a.png", 7], mask={"image_url": "data:,x"})
    (message,) = exchange.input_messages
    assert [part.type for part in message.parts] == ["text", "file", "uri", "file", "blob"]
    assert message.parts[1] == Part("file", modality="image", file_id="file-1")
    assert exchange.decode_error == "unexpected_shape"


@pytest.mark.parametrize("n", ["2", 2])
def test_how_many_is_a_number_in_json_and_text_in_a_form(n: object) -> None:
    assert drawn({}, n=n).parameters == {"choice.count": 2}


@pytest.mark.parametrize("name", ["generation", "generation_url", "edit"])
def test_the_library_reads_the_same_images(name: str) -> None:
    capture = read_case(f"openai_images/{name}")
    theirs, ours = ImagesResponse.model_validate_json(capture.response_body), decode(capture)
    assert len(ours.output_messages) == len(theirs.data or [])
    counts = theirs.usage and (theirs.usage.input_tokens, theirs.usage.output_tokens)
    assert (ours.usage.input_tokens, ours.usage.output_tokens) == (counts or (None, None))


@pytest.mark.parametrize(
    ("name", "kind"), [("generation_stream", ImageGenStreamEvent), ("edit_json_stream", ImageEditStreamEvent)]
)
def test_the_library_reads_the_same_stream(name: str, kind: Any) -> None:
    capture = read_case(f"openai_images/{name}")
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    *drafts, last = [adapter.validate_json(piece.data) for piece in read_events(capture.response_body, Shapes())]
    exchange = decode(capture)
    assert len(exchange.timing.chunk_times) == len(drafts) + 1
    assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (
        last.usage.input_tokens,
        last.usage.output_tokens,
    )

"""Cohere's embeddings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Exchange, Part, Usage
from tests.support.records import a_capture, reported
from wire import decode
from wire.cohere_embed import CohereEmbed


def embedded(billed: object = None, **request: Any) -> Exchange:
    bodies = {
        "request_body": json.dumps({"model": "embed-v4.0"} | request).encode(),
        "response_body": json.dumps({"id": "e", "embeddings": {}, "meta": {"billed_units": billed}}).encode(),
    }
    return decode(a_capture(target="/v2/embed", **bodies))


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v2/embed", True),
        ("POST", "/v1/embed/", True),
        ("GET", "/v2/embed", False),
        ("POST", "/api/embed", False),
        ("POST", "/v1/embed-jobs", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert CohereEmbed().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("billed", "usage"),
    [
        ({"input_tokens": 2.0}, reported(2)),
        ({"input_tokens": 4, "image_tokens": 258}, reported(262, image__input_tokens=258)),
        ({"input_tokens": 262, "text_tokens": 4, "image_tokens": 258}, reported(262, image__input_tokens=258)),
        ({"images": 2}, reported(input_images=2)),
        ({}, Usage()),
        (None, Usage()),
    ],
)
def test_usage(billed: object, usage: Usage) -> None:
    assert embedded(billed).usage == usage


@pytest.mark.parametrize("image", ["data:image/png;base64,iVBORw0KGgo=", {"url": "data:image/png;base64,iVBORw0KGgo="}])
def test_an_image_in_a_mixture_is_kept_by_its_digest(image: object) -> None:
    exchange = embedded(inputs=[{"content": [{"type": "image_url", "image_url": image}]}])
    (part,) = exchange.input_messages[0].parts
    assert (part.type, part.mime_type, part.size) == ("blob", "image/png", 8)


def test_each_thing_embedded_is_a_message() -> None:
    exchange = embedded(texts=["a", ""], images=["https://a.example/b.png"])
    assert [message.parts for message in exchange.input_messages] == [
        (Part("text", content="a"),),
        (Part("uri", modality="image", uri="https://a.example/b.png"),),
    ]


@pytest.mark.parametrize(
    "request_part",
    [{"texts": "a"}, {"texts": [1]}, {"images": [{}]}, {"inputs": ["a"]}, {"inputs": [{"content": "a"}]}],
)
def test_wrong_shape_is_named(request_part: dict[str, Any]) -> None:
    assert embedded(**request_part).decode_error == "unexpected_shape"

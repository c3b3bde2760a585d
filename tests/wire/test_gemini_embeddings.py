"""Embeddings by Gemini and Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Exchange, Usage
from tests.support.records import a_capture, reported
from wire import decode
from wire.gemini_embeddings import GeminiEmbeddings

VERTEX = "/v1/projects/p/locations/l/publishers/google/models/"


def embedded(verb: str, request: object, response: object) -> Exchange:
    target = f"/v1beta/models/gemini-embedding-001:{verb}"
    bodies = {"request_body": json.dumps(request).encode(), "response_body": json.dumps(response).encode()}
    return decode(a_capture(target=target, **bodies))


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1beta/models/gemini-embedding-001:embedContent", True),
        ("POST", "/v1/models/text-embedding-004:batchEmbedContents?key=x", True),
        ("POST", VERTEX + "text-embedding-005:predict", True),
        ("POST", VERTEX + "multimodalembedding%40001:predict", True),
        ("POST", VERTEX + "imagen-4.0-generate-001:predict", False),
        ("POST", "/v1/projects/p/locations/l/endpoints/123:predict", False),
        ("GET", "/v1beta/models/gemini-embedding-001:embedContent", False),
        ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert GeminiEmbeddings().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("request_body", "dimensions"),
    [
        ({"content": {}, "output_dimensionality": 5}, "5"),
        ({"content": {}, "embedContentConfig": {"outputDimensionality": 6}}, "6"),
        ({"requests": [{"content": {}}, {"content": {}, "outputDimensionality": 7}]}, "7"),
        ({"content": {}}, None),
    ],
)
def test_dimensions(request_body: dict[str, Any], dimensions: str | None) -> None:
    exchange = embedded("embedContent", request_body, {"embedding": {"values": [0.1]}})
    assert exchange.attributes.get("gen_ai.embeddings.dimension.count") == dimensions


@pytest.mark.parametrize(
    ("response", "usage"),
    [
        ({"embedding": {"values": []}}, Usage()),
        ({"usageMetadata": {"promptTokenCount": 3}}, reported(3)),
        ({"predictions": [{"embeddings": {"statistics": {"token_count": 2.0}}}, {"embeddings": {}}]}, reported(2)),
        ({"metadata": {"billableCharacterCount": 4}}, reported(input_characters=4)),
    ],
)
def test_usage(response: dict[str, Any], usage: Usage) -> None:
    assert embedded("embedContent", {"content": {}}, response).usage == usage


@pytest.mark.parametrize(
    ("request_body", "response"),
    [
        ({"content": "Hi"}, {}),
        ({"requests": {"content": {}}}, {}),
        ({"instances": ["Hi"]}, {}),
        ({"instances": [{"content": 1}]}, {}),
        ({}, {"predictions": {}}),
        ({}, {"predictions": [{"embeddings": [0.1]}]}),
        ({}, {"usageMetadata": 3}),
    ],
)
def test_wrong_shape_is_named(request_body: object, response: object) -> None:
    assert embedded("embedContent", request_body, response).decode_error == "unexpected_shape"

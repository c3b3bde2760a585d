"""Embeddings: what was embedded and how long the vectors are, never the vectors."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import openai
import pytest

from pipeline.records import Capture, Exchange, Part, Usage
from tests.support.records import a_capture, reported
from tests.wire.cases import read_case
from wire import decode
from wire.openai_embeddings import OpenAIEmbeddings

DIMENSIONS = "gen_ai.embeddings.dimension.count"


def a_call(**changes: Any) -> Capture:
    return a_capture(**{"target": "/v1/embeddings", "request_body": b'{"model": "m", "input": "Hi"}'} | changes)


def asked(**request: Any) -> Exchange:
    return decode(a_call(request_body=json.dumps(request).encode()))


def answered(embedding: object, usage: object = None, **request: Any) -> Exchange:
    body = {"data": [{"index": 0, "embedding": embedding}], "usage": usage}
    return decode(
        a_call(request_body=json.dumps({"input": "a"} | request).encode(), response_body=json.dumps(body).encode())
    )


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/embeddings", True),
        ("POST", "/embeddings/", True),
        ("POST", "/embedding", True),
        ("POST", "/api/v1/embeddings", True),
        ("POST", "/openai/deployments/d/embeddings?api-version=1", True),
        ("POST", "/v1/multimodalembeddings", True),
        ("POST", "/v1/contextualizedembeddings", True),
        ("POST", "/api/embeddings", False),
        ("POST", "/ollama/api/embeddings", False),
        ("GET", "/v1/embeddings", False),
        ("POST", "/v1/chat/completions", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    body = b'{"prompt":"a"}' if "/api/embeddings" in target else b'{"input":"a","content":"a"}'
    assert OpenAIEmbeddings().matches(a_capture(method=method, target=target, request_body=body)) is matches


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        ("a", (Part("text", content="a"),)),
        (["a", "b"], (Part("text", content="a"), Part("text", content="b"))),
        ([1, 2], (Part("generic", name="tokens"),)),
        ([[1], [2]], (Part("generic", name="tokens"),) * 2),
        ([["a", "b"], ["c"]], (Part("text", content="a"), Part("text", content="b"), Part("text", content="c"))),
        ([{"text": "a"}], (Part("text", content="a"),)),
        ([{"image": "https://e.com/a.png"}], (Part("uri", modality="image", uri="https://e.com/a.png"),)),
        (
            [{"content": [{"type": "image_base64", "image_base64": "data:image/png;base64,%%%a"}]}],
            (Part("blob", modality="image", mime_type="image/png"),),
        ),
    ],
)
def test_inputs(told: object, parts: tuple[Part, ...]) -> None:
    for name in ("input", "inputs"):
        assert asked(**{name: told}).input_messages[0].parts == parts


@pytest.mark.parametrize(
    ("request_part", "formats"),
    [
        ({"encoding_format": "base64"}, ["base64"]),
        ({"encoding_format": None, "output_dtype": "int8"}, ["int8"]),
        ({"embedding_type": ["float", "ubinary"]}, ["float", "ubinary"]),
        ({}, None),
    ],
)
def test_encoding_formats(request_part: dict[str, Any], formats: list[str] | None) -> None:
    assert asked(input="a", **request_part).parameters.get("encoding_formats") == formats


@pytest.mark.parametrize(
    ("embedding", "request_part", "dimensions"),
    [
        ([0.1, 0.2, 0.3], {}, "3"),
        ([0.1, 0.2, 0.3], {"dimensions": 2}, "3"),
        ([], {}, "0"),
        ([[0.1, 0.2]], {}, "2"),
        ([1, 2], {"output_dtype": "ubinary"}, "16"),
        ("AACAPwAAAEA=", {"encoding_format": "base64"}, "2"),
        ("AACA", {"encoding_format": "base64"}, None),
        ("%%%a", {}, None),
        ("AACAPw==", {"output_dtype": "binary", "output_dimension": 32}, "32"),
        (None, {"dimensions": 7}, "7"),
        ({"float": []}, {}, None),
    ],
)
def test_dimensions(embedding: object, request_part: dict[str, Any], dimensions: str | None) -> None:
    assert answered(embedding, **request_part).attributes.get(DIMENSIONS) == dimensions


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 5, "total_tokens": 5}, reported(5)),
        ({"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}, reported(5)),
        ({"total_tokens": 9}, reported(9)),
        (None, Usage()),
    ],
)
def test_usage_is_input_alone(usage: object, read: Usage) -> None:
    assert answered([0.1], usage).usage == read


def test_vectors_are_not_kept() -> None:
    assert b"0.1234" not in msgspec.json.encode(answered([0.1234, 0.5678]))


@pytest.mark.parametrize("body", [{"data": 5}, {"data": [7]}, {"data": [], "usage": 5}, [7], 5])
def test_wrong_type_in_the_response_is_named(body: object) -> None:
    assert decode(a_call(response_body=json.dumps(body).encode())).decode_error == "unexpected_shape"


@pytest.mark.parametrize("name", ["text", "base64", "tokens", "azure"])
def test_embeddings_are_read_as_the_library_reads_them(name: str) -> None:
    capture = read_case(f"openai_embeddings/{name}")

    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=dict(capture.response_headers), content=capture.response_body)

    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond))) as client:
        embeddings = client.embeddings.create(model="m", input="Hi")  # which asks for base64 and unpacks it
    exchange = decode(capture)
    assert exchange.attributes[DIMENSIONS] == str(len(embeddings.data[0].embedding))
    assert exchange.usage.input_tokens == embeddings.usage.prompt_tokens

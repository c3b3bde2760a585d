"""Ollama's embeddings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Exchange, text_of
from tests.support.records import a_capture, reported
from wire import decode
from wire.ollama_embeddings import OllamaEmbeddings

ANSWER = {"model": "all-minilm", "embeddings": [[0.1]], "prompt_eval_count": 4}


def embedded(target: str = "/api/embed", **request: Any) -> Exchange:
    bodies = {
        "request_body": json.dumps({"model": "all-minilm"} | request).encode(),
        "response_body": json.dumps(ANSWER).encode(),
    }
    return decode(a_capture(target=target, **bodies))


@pytest.mark.parametrize(
    ("target", "request_body", "matches"),
    [
        ("/api/embed", b'{"model": "m"}', True),
        ("/api/embeddings", b'{"model": "m", "prompt": "a"}', True),
        ("/api/embeddings", b'{"model": "m", "input": "a"}', False),
        ("/api/embeddings", b'{"text": "Hi"}', False),
        ("/v1/embeddings", b'{"model": "m"}', False),
        ("/api/chat", b'{"model": "m"}', False),
    ],
)
def test_matches(target: str, request_body: bytes, matches: bool) -> None:
    assert OllamaEmbeddings().matches(a_capture(target=target, request_body=request_body)) is matches


@pytest.mark.parametrize(
    ("request_part", "texts"),
    [
        ({"input": "a"}, ["a"]),
        ({"input": ["a", "b"]}, ["a", "b"]),
        ({"input": ["a", ""]}, ["a"]),
        ({"prompt": "a"}, ["a"]),
        ({}, []),
    ],
)
def test_every_text_is_a_message(request_part: dict[str, Any], texts: list[str]) -> None:
    exchange = embedded(**request_part)
    assert [text_of((message,)) for message in exchange.input_messages] == texts
    assert (exchange.usage, exchange.decode_error, exchange.stream) == (reported(4), None, False)


@pytest.mark.parametrize("request_part", [{"input": {}}, {"input": [1]}, {"input": "a", "dimensions": "many"}])
def test_wrong_shape_is_named(request_part: dict[str, Any]) -> None:
    assert embedded(**request_part).decode_error == "unexpected_shape"

"""Rerankers of every make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.records import Exchange, Part, Usage
from tests.support.records import a_capture, reported
from wire import decode
from wire.http import route_of
from wire.rerank import Rerank

ASKED = b'{"query":"a","documents":["b"]}'


def reranked(response: object = (), **request: Any) -> Exchange:
    bodies = {"request_body": json.dumps(request).encode(), "response_body": json.dumps(response).encode()}
    return decode(a_capture(target="/v1/rerank", **bodies))


def documents(*values: object) -> tuple[Part, ...]:
    return tuple(part for message in reranked(documents=list(values)).input_messages for part in message.parts)


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v2/rerank", True),
        ("POST", "/v1/rerank?x=1", True),
        ("POST", "/rerank/", True),
        ("GET", "/rerank", False),
        ("POST", "/v1/score", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert Rerank().matches(a_capture(method=method, target=target, request_body=ASKED)) is matches


def test_routes() -> None:
    assert [route_of(path) for path in ("/rerank", "/v1/rerank", "/x/v2/rerank")] == [
        "/rerank",
        "/v1/rerank",
        "/v2/rerank",
    ]


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("a", Part("tool_call_response", response="a")),
        ({"text": "a"}, Part("tool_call_response", response="a")),
        ({"Title": "t", "Body": "b"}, Part("tool_call_response", response={"Title": "t", "Body": "b"})),
        ({"image": "https://a.example/b.png"}, Part("uri", modality="image", uri="https://a.example/b.png")),
    ],
)
def test_document(value: object, part: Part) -> None:
    assert documents(value) == (part,)


def test_the_only_document_may_stand_for_the_array() -> None:
    assert reranked(documents="a").input_messages == reranked(documents=["a"]).input_messages


def test_an_image_is_kept_by_its_digest() -> None:
    bare, data = documents({"image": "iVBORw0KGgo="}, {"image": "data:image/png;base64,iVBORw0KGgo="})
    assert (bare.type, data.type, bare.size, bare.digest) == ("blob", "blob", 8, data.digest)


def test_the_query_may_be_an_image() -> None:
    (message,) = reranked(query={"image": "https://a.example/b.png"}).input_messages
    assert (message.role, message.parts[0].type) == ("user", "uri")


@pytest.mark.parametrize(
    ("response", "usage"),
    [
        ({"usage": {"total_tokens": 5}}, reported(5)),
        ({"usage": {"prompt_tokens": 4, "total_tokens": 5}}, reported(4)),
        ({"meta": {"billed_units": {"search_units": 2}}}, reported(rerank_searches=2)),
        ([{"index": 0, "score": 0.5}], Usage()),
        ([], Usage()),
    ],
)
def test_usage(response: object, usage: Usage) -> None:
    exchange = reranked(response, query="q", texts=["a"])
    assert (exchange.usage, exchange.decode_error, exchange.complete) == (usage, None, True)


@pytest.mark.parametrize(
    ("request_part", "response"),
    [
        ({"query": 1}, {}),
        ({"documents": [1]}, {}),
        ({"documents": [{"content": ["a"]}]}, {}),
        ({}, {"usage": 1}),
        ({}, {"meta": []}),
        ({}, 5),
    ],
)
def test_wrong_shape_is_named(request_part: dict[str, Any], response: object) -> None:
    assert reranked(response, **request_part).decode_error == "unexpected_shape"

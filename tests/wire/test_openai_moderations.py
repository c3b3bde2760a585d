"""Moderations: what was judged, and what it was flagged for."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from pipeline.records import Capture, Exchange, Part
from tests.support.records import a_capture
from tests.wire.cases import read_case
from wire import decode
from wire.openai_moderations import OpenAIModerations

FLAGGED = "sidelight.moderation.flagged"


def a_call(**changes: Any) -> Capture:
    return a_capture(**{"target": "/v1/moderations", "request_body": b'{"input": "Hi"}'} | changes)


def asked(told: object) -> Exchange:
    return decode(a_call(request_body=json.dumps({"input": told}).encode()))


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/moderations", True),
        ("POST", "/v1/chat/moderations", True),
        ("GET", "/v1/moderations", False),
        ("POST", "/v1/mymoderations", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert OpenAIModerations().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("told", "messages"),
    [
        ("a", [("user", (Part("text", content="a"),))]),
        (["a", "b"], [("user", (Part("text", content="a"), Part("text", content="b")))]),
        ([{"type": "text", "text": "a"}], [("user", (Part("text", content="a"),))]),
        ({"role": "assistant", "content": "a"}, [("assistant", (Part("text", content="a"),))]),
        (None, []),
    ],
)
def test_input(told: object, messages: list[object]) -> None:
    assert [(message.role, message.parts) for message in asked(told).input_messages] == messages


@pytest.mark.parametrize(
    ("results", "flagged"),
    [
        ([{"categories": {"b": True, "a": True, "c": False}}], "a,b"),
        ([{"categories": {"a": True}}, {"categories": {"a": True, "b": True}}], "a,b"),
        ([{"categories": {"a": 1, "b": "true"}}], None),
        ([], None),
    ],
)
def test_flagged_categories(results: object, flagged: str | None) -> None:
    exchange = decode(a_call(response_body=json.dumps({"results": results}).encode()))
    assert exchange.attributes.get(FLAGGED) == flagged


@pytest.mark.parametrize("body", [{"results": 5}, {"results": [7]}, {"results": [{"categories": ["a"]}]}, 5])
def test_wrong_type_in_the_response_is_named(body: object) -> None:
    assert decode(a_call(response_body=json.dumps(body).encode())).decode_error == "unexpected_shape"


@pytest.mark.parametrize("name", ["text", "multimodal", "several"])
def test_moderation_is_read_as_the_library_reads_it(name: str) -> None:
    capture = read_case(f"openai_moderations/{name}")

    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=dict(capture.response_headers), content=capture.response_body)

    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(respond))) as client:
        moderation = client.moderations.create(input="Hi")
    exchange = decode(capture)
    assert (exchange.response_id, exchange.response_model) == (moderation.id, moderation.model)
    assert (FLAGGED in exchange.attributes) is any(result.flagged for result in moderation.results)

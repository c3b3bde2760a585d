"""Counting tokens ahead of a message."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from pipeline.records import Capture, Usage, text_of
from tests.support.records import a_capture
from tests.wire.cases import read_case
from wire import decode
from wire.anthropic_count_tokens import AnthropicCountTokens

VERTEX = "/v1/projects/p/locations/global/publishers/anthropic/models"


def a_count(answer: Any, **changes: Any) -> Capture:
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    fields = {"target": "/v1/messages/count_tokens", "request_body": json.dumps(request).encode()}
    return a_capture(**fields | {"response_body": json.dumps(answer).encode()} | changes)


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/messages/count_tokens", True),
        ("POST", "/v1/messages/count_tokens?beta=true", True),
        ("POST", "/anthropic/messages/count_tokens/", True),
        ("POST", f"{VERTEX}/count-tokens:rawPredict", True),
        ("POST", f"{VERTEX}/claude-sonnet-4-5:rawPredict", False),
        ("POST", "/v1/messages", False),
        ("GET", "/v1/messages/count_tokens", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert AnthropicCountTokens().matches(a_capture(method=method, target=target)) is matches


def test_count_is_told_but_is_no_usage() -> None:
    exchange = decode(a_count({"input_tokens": 2095}))
    assert exchange.attributes == {"sidelight.count_tokens.input_tokens": "2095"}
    assert (exchange.usage, exchange.operation, exchange.output_messages) == (Usage(), "count_tokens", ())
    assert (exchange.request_model, text_of(exchange.input_messages), exchange.decode_error) == ("m", "Hi", None)


@pytest.mark.parametrize("answer", [{"input_tokens": "many"}, {"input_tokens": -1}])
def test_count_that_is_none_is_named(answer: Any) -> None:
    exchange = decode(a_count(answer))
    assert (exchange.attributes, exchange.decode_error) == ({}, "unexpected_shape")


def test_count_is_the_one_the_library_reads() -> None:
    capture = read_case("anthropic_count_tokens/text")
    read = anthropic.types.MessageTokensCount.model_validate_json(capture.response_body)
    assert decode(capture).attributes["sidelight.count_tokens.input_tokens"] == str(read.input_tokens)

"""What OpenAI's APIs share: claims, counts, citations, blocked prompts."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Exchange, Usage
from tests.support.records import a_capture, an_exchange
from wire.openai_dialect import array_of, citation, claims_of, token_usage, usage_attributes, with_blocked
from wire.shapes import Shapes

CHAT = ("prompt", "completion")
FILTERED = b'{"error": {"code": "content_filter"}}'


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 3, "cached_tokens": 2}, Usage(3, cache_read_input_tokens=2)),
        ({"prompt_tokens": 3, "num_search_queries": 2}, Usage(3, details={"web_searches": 2})),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4, "image_tokens": 5, "text_tokens": 0}},
            Usage(9, details={"audio.input_tokens": 4, "image.input_tokens": 5}),
        ),
        (
            {"completion_tokens": 9, "completion_tokens_details": {"audio_tokens": 4, "rejected_prediction_tokens": 1}},
            Usage(None, 9, details={"audio.output_tokens": 4, "rejected_prediction.output_tokens": 1}),
        ),
        ({"completion_tokens": 9, "reasoning_tokens": 4}, Usage(None, 9, reasoning_output_tokens=4)),
        (
            {"completion_tokens": 9, "reasoning_tokens": 4, "citation_tokens": 1},
            Usage(None, 13, reasoning_output_tokens=4),
        ),
        (
            {"completion_tokens": 9, "reasoning_tokens": 4, "total_tokens": 13},
            Usage(None, 13, reasoning_output_tokens=4),
        ),
        ({}, Usage()),
    ],
)
def test_token_usage(usage: dict[str, Any], read: Usage) -> None:
    assert token_usage(usage, CHAT, Shapes()) == read


def test_searches_told_beside_the_usage_count() -> None:
    assert token_usage({}, ("input", "output"), Shapes(), searches=2).details == {"web_searches": 2}


@pytest.mark.parametrize(
    ("usage", "attributes"),
    [
        ({"cost": 0.5}, {"sidelight.openrouter.cost": "0.5"}),
        ({"cost": {"total_cost": 1}, "citation_tokens": 7}, {"sidelight.perplexity.citation_tokens": "7"}),
        ({"cost": True}, {}),
    ],
)
def test_usage_attributes(usage: dict[str, Any], attributes: dict[str, str]) -> None:
    assert usage_attributes(usage) == attributes


def test_a_claim_of_the_wrong_type_is_none() -> None:
    shapes = Shapes()
    assert claims_of({"user": 5, "metadata": {"a": "b", "c": {}}}, shapes) == {"metadata.a": "b"}
    assert shapes.problem == "unexpected_shape"


@pytest.mark.parametrize(
    ("annotation", "read"),
    [
        ({"type": "url_citation", "url": "u", "title": "t"}, {"title": "t", "uri": "u"}),
        ({"type": "url_citation", "url_citation": {"url": "u"}}, {"uri": "u"}),
        ({"type": "container_file_citation", "file_id": "f", "filename": "n"}, {"title": "n", "file_id": "f"}),
        ({"type": "hologram", "url": "u"}, None),
        ({"type": "url_citation"}, None),
        ({"type": ["url_citation"]}, None),
    ],
)
def test_citation(annotation: dict[str, Any], read: object) -> None:
    assert citation(annotation, Shapes()) == read


@pytest.mark.parametrize(("data", "read"), [(b" [1]", {"x": [1]}), (b"[1", None), (b'{"a": 1}', None), (b"", None)])
def test_array(data: bytes, read: object) -> None:
    assert array_of("x", data) == read


@pytest.mark.parametrize(
    ("changes", "blocked"),
    [
        ({"status": 400, "response_body": FILTERED}, True),
        ({"status": 500, "response_body": FILTERED}, False),
        ({"status": 400, "response_body": b'{"error": "content_filter"}'}, False),
        ({"status": 400, "response_body": b"<html>"}, False),
    ],
)
def test_blocked_prompt(changes: dict[str, Any], blocked: bool) -> None:
    exchange: Exchange = an_exchange(output_messages=())
    reasons = [message.finish_reason for message in with_blocked(exchange, a_capture(**changes)).output_messages]
    assert reasons == (["content_filter"] if blocked else [])

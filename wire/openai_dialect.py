"""What OpenAI's APIs and the servers that speak them share: who asks, usage, citations, blocked prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.bodies import expand, loads_or_salvage
from wire.media import blob
from wire.reading import Call, given, metadata_claims
from wire.shapes import Shapes, first_given

CLAIMS = ("user", "safety_identifier", "prompt_cache_key", "previous_response_id")
OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}
AUDIO_TYPES = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}
CITATIONS = ("url_citation", "file_citation", "container_file_citation", "file_path")
INPUT_DETAILS = {
    "text_tokens": "text.input_tokens",
    "image_tokens": "image.input_tokens",
    "audio_tokens": "audio.input_tokens",
    "video_tokens": "video.input_tokens",
}
OUTPUT_DETAILS = {
    "text_tokens": "text.output_tokens",
    "image_tokens": "image.output_tokens",
    "audio_tokens": "audio.output_tokens",
    "accepted_prediction_tokens": "accepted_prediction.output_tokens",
    "rejected_prediction_tokens": "rejected_prediction.output_tokens",
}

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


def prompts_of(prompt: Json) -> list[Json]:
    """One prompt or input, or several; an array with a number in it is one, in tokens."""
    if type(prompt) is not list:
        return [] if prompt is None else [prompt]
    return [prompt] if any(type(token) is int for token in prompt) else prompt


def array_of(name: str, data: bytes) -> dict[str, Any] | None:
    """A bare JSON array, as llama.cpp's own answers are, under a name; None for any other bytes."""
    if not data.lstrip().startswith(b"["):
        return None
    value, sound = loads_or_salvage(data)
    return {name: value} if sound else None


def claims_of(request: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    """What the request says of who asks, as Asked.claims names it."""
    claims = {name: shapes.text(request[name]) for name in CLAIMS if name in request}
    claims |= metadata_claims(request.get("metadata"), shapes)
    if shapes.record(request.get("stream_options")).get("include_usage") is True:
        claims["include_usage"] = "true"
    return {name: value for name, value in claims.items() if value}


def model_of(call: Call, shapes: Shapes) -> str | None:
    """The model asked for; Azure's older paths name it instead, by its deployment."""
    named = _DEPLOYMENT.search(call.path)
    return shapes.text(call.body.get("model")) or (named[1] if named else None)


def service_tier(request: dict[str, Any], shapes: Shapes) -> str | None:
    """The tier asked for; to leave the choice to the provider is to ask for none."""
    tier = shapes.text(request.get("service_tier"))
    return tier if tier and tier != "auto" else None


def token_usage(usage: Mapping[str, Any], names: tuple[str, str], shapes: Shapes, searches: Json = None) -> Usage:
    """Tokens by the conventions, whose counts go by `names` with `_tokens` and `_tokens_details` after them.

    Input holds the cached tokens, output the reasoning. Where a server counts reasoning beside the output, it is added:
    xAI's total betrays it, Perplexity's count of citations. A detail of 0 tells nothing.
    """
    count, (came, went) = shapes.count, names
    inputs, outputs = (
        shapes.record(usage.get(f"{came}_tokens_details")),
        shapes.record(usage.get(f"{went}_tokens_details")),
    )
    given_in, given_out = count(usage.get(f"{came}_tokens")), count(usage.get(f"{went}_tokens"))
    reasoning = count(first_given(outputs.get("reasoning_tokens"), usage.get("reasoning_tokens")))
    if given_out is not None and reasoning and _is_beside(usage, (given_in or 0) + given_out, reasoning):
        given_out += reasoning
    cached = (inputs.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    details = {INPUT_DETAILS[member]: count(inputs[member]) for member in INPUT_DETAILS.keys() & inputs.keys()}
    details |= {OUTPUT_DETAILS[member]: count(outputs[member]) for member in OUTPUT_DETAILS.keys() & outputs.keys()}
    details["web_searches"] = count(first_given(searches, usage.get("num_search_queries")))
    return Usage(
        input_tokens=given_in,
        output_tokens=given_out,
        cache_read_input_tokens=count(first_given(*cached)),
        cache_write_input_tokens=count(inputs.get("cache_write_tokens")),
        reasoning_output_tokens=reasoning,
        details={name: tokens for name, tokens in details.items() if tokens},
    )


def _is_beside(usage: Mapping[str, Any], both: int, reasoning: int) -> bool:
    return usage.get("total_tokens") == both + reasoning or "citation_tokens" in usage


def timed(usage: Usage, timings: Mapping[str, Any], shapes: Shapes) -> Usage:
    """With what llama.cpp's timings count, where the usage does not say it: prompt_n leaves out what was cached."""
    if not timings:
        return usage
    cached, read, went = [shapes.count(timings.get(name)) for name in ("cache_n", "prompt_n", "predicted_n")]
    came = None if cached is None or read is None else cached + read
    return msgspec.structs.replace(
        usage,
        input_tokens=first_given(usage.input_tokens, came),
        output_tokens=first_given(usage.output_tokens, went),
        cache_read_input_tokens=first_given(usage.cache_read_input_tokens, cached),
    )


def usage_attributes(usage: Mapping[str, Any]) -> dict[str, str]:
    """What a server says of usage that is no count of the conventions': OpenRouter's price, Perplexity's citations."""
    told = {
        "sidelight.openrouter.cost": usage.get("cost"),
        "sidelight.perplexity.citation_tokens": usage.get("citation_tokens"),
    }
    return {name: str(value) for name, value in told.items() if type(value) in (int, float)}


def citation(annotation: dict[str, Any], shapes: Shapes) -> dict[str, Json] | None:
    """What a text leans on, {text?, title?, uri?, file_id?}; flat, or in a member named as its type."""
    kind = shapes.text(annotation.get("type"))
    if kind not in CITATIONS:
        return None
    details = shapes.record(annotation[kind]) if kind in annotation else annotation
    title = first_given(details.get("title"), details.get("filename"))
    members = {"text": details.get("content"), "title": title, "uri": details.get("url")}
    told = {name: shapes.text(value) for name, value in members.items()}
    return given(told | {"file_id": shapes.text(details.get("file_id"))}) or None


def input_audio(value: Json, shapes: Shapes) -> Part:
    """Sound in a request: {data, format}."""
    audio = shapes.record(value)
    return blob("audio", _audio_type(shapes.text(audio.get("format"))), shapes.text(audio.get("data")) or "")


def _audio_type(audio_format: str | None) -> str | None:
    return AUDIO_TYPES.get(audio_format, f"audio/{audio_format}") if audio_format else None


def with_blocked(exchange: Exchange, capture: Capture) -> Exchange:
    """With an empty answer that a filter ended, where Azure refused the prompt itself: 400, content_filter."""
    if capture.status != 400 or exchange.output_messages:
        return exchange
    body, _ = loads_or_salvage(expand(capture.response_body, capture.response_headers).data)
    error = body.get("error") if type(body) is dict else None
    if type(error) is not dict or error.get("code") != "content_filter":
        return exchange
    return msgspec.structs.replace(
        exchange, output_messages=(Message("assistant", (), finish_reason="content_filter"),)
    )

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.build import build_one
from pipeline.errors import ConfigError
from pipeline.records import Cost, Exchange, Message, Timing, Usage
from processors import cost
from processors.cost import Pricer, Pricing
from processors.list_prices import SOURCE
from tests.support.records import an_exchange, reported

NOW = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 10**9
LISTED = Pricing().pricer()
ANYWHERE = "llm.example"


def a_call(
    provider: str | None,
    model: str | None,
    usage: Usage,
    tier: str | None = None,
    address: str = ANYWHERE,
    at: int = NOW,
    attributes: Mapping[str, str] | None = None,
    **changes: Any,
) -> Exchange:
    """A call of this model at an address that the list does not know, unless told otherwise."""
    exchange = an_exchange(provider=provider, request_model=model, response_model=None, usage=usage)
    told = {"openai.response.service_tier": tier} if tier else {}
    return msgspec.structs.replace(
        exchange,
        http=msgspec.structs.replace(exchange.http, server_address=address),
        timing=Timing(started_at=at, sent_at=None, first_byte_at=None, ended_at=1),
        attributes=told | dict(attributes or {}),
        **changes,
    )


def total(exchange: Exchange, pricer: Pricer = LISTED) -> float | None:
    priced = pricer.price(exchange)
    return priced.cost.total if priced.cost else None


MILLION = 1_000_000
# Worked out by hand from the providers' price pages: US dollars per million tokens, × tokens, / 1e6.
BILLS: dict[str, tuple[Exchange, float]] = {
    "openai": (a_call("openai", "gpt-4o", reported(1000, 500)), (1000 * 2.5 + 500 * 10) / 1e6),
    "openai, cached": (
        a_call("openai", "gpt-4o", reported(1000, 500, cache_read=400, reasoning=0)),
        (600 * 2.5 + 400 * 1.25 + 500 * 10) / 1e6,
    ),
    "reasoning is part of the output": (
        a_call("openai", "o3", reported(1000, 500, reasoning=450)),
        (1000 * 2 + 500 * 8) / 1e6,
    ),
    "openai, flex": (a_call("openai", "gpt-5", reported(1000, 500), "flex"), (1000 * 0.625 + 500 * 5) / 1e6),
    "openai, priority": (a_call("openai", "gpt-5", reported(1000, 500), "priority"), (1000 * 2.5 + 500 * 20) / 1e6),
    "openai, batch": (a_call("openai", "gpt-5", reported(1000, 500), "batch"), (1000 * 0.625 + 500 * 5) / 1e6),
    "openai, default": (a_call("openai", "gpt-5", reported(1000, 500), "default"), (1000 * 1.25 + 500 * 10) / 1e6),
    "openai, 272,000": (a_call("openai", "gpt-5.4", reported(272_000, 1000)), (272_000 * 2.5 + 1000 * 15) / 1e6),
    "openai, 272,001": (a_call("openai", "gpt-5.4", reported(272_001, 1000)), (272_001 * 5 + 1000 * 22.5) / 1e6),
    "openai, web searches": (
        a_call("openai", "gpt-4o", reported(1000, 500, web_searches=3)),
        (1000 * 2.5 + 500 * 10) / 1e6 + 0.03,
    ),
    "anthropic, cache written for 5 minutes and an hour": (
        a_call(
            "anthropic",
            "claude-sonnet-4-5",
            reported(
                10_000,
                500,
                cache_read=3000,
                cache_write=2000,
                cache_write_5m__input_tokens=1500,
                cache_write_1h__input_tokens=500,
            ),
        ),
        (5000 * 3 + 3000 * 0.3 + 1500 * 3.75 + 500 * 6 + 500 * 15) / 1e6,
    ),
    "anthropic, 200,001": (
        a_call("anthropic", "claude-sonnet-4-5", reported(200_001, 100, cache_read=200_000)),
        (1 * 6 + 200_000 * 0.6 + 100 * 22.5) / 1e6,
    ),
    "anthropic, batch": (
        a_call(
            "anthropic",
            "claude-haiku-4-5",
            reported(1000, 100),
            attributes={"sidelight.response.service_tier": "batch"},
        ),
        (1000 * 0.5 + 100 * 2.5) / 1e6,
    ),
    "bedrock, in a region": (
        a_call(
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            reported(1000, 100, cache_write=200),
        ),
        (800 * 3.3 + 200 * 4.125 + 100 * 16.5) / 1e6,
    ),
    "azure": (a_call("azure.ai.openai", "gpt-4o-2024-08-06", reported(1000, 10)), (1000 * 2.5 + 10 * 10) / 1e6),
    "vertex": (a_call("gcp.vertex_ai", "gemini-2.5-pro", reported(1000, 10)), (1000 * 1.25 + 10 * 10) / 1e6),
    "gemini, above 200,000": (
        a_call("gcp.gemini", "gemini-2.5-pro", reported(300_000, 10, cache_read=100_000)),
        (200_000 * 2.5 + 100_000 * 0.25 + 10 * 15) / 1e6,
    ),
    "gemini, sound": (
        a_call("gcp.gemini", "gemini-2.5-flash", reported(1000, 10, audio__input_tokens=600)),
        (400 * 0.3 + 600 * 1 + 10 * 2.5) / 1e6,
    ),
    "gemini, sound in the cache": (
        a_call(
            "gcp.gemini",
            "gemini-2.5-flash",
            reported(1000, 10, cache_read=500, audio__input_tokens=600, audio__cache_read__input_tokens=200),
        ),
        (100 * 0.3 + 300 * 0.03 + 400 * 1 + 200 * 0.1 + 10 * 2.5) / 1e6,
    ),
    "gemini, sound that must be in the cache": (
        a_call("gcp.gemini", "gemini-2.5-flash", reported(1000, 10, cache_read=700, audio__input_tokens=600)),
        (400 * 0.03 + 300 * 1 + 300 * 0.1 + 10 * 2.5) / 1e6,
    ),
    "realtime": (
        a_call(
            "openai",
            "gpt-realtime",
            reported(1000, 500, audio__input_tokens=900, audio__output_tokens=400),
            operation="chat",
        ),
        (100 * 4 + 900 * 32 + 100 * 16 + 400 * 64) / 1e6,
    ),
    "an image": (
        a_call(
            "openai",
            "gpt-image-1",
            reported(1050, 4160, image__input_tokens=1000, image__output_tokens=4160),
            operation="image_generation",
        ),
        (50 * 5 + 1000 * 10 + 4160 * 40) / 1e6,
    ),
    "embeddings": (
        a_call("openai", "text-embedding-3-small", reported(5000), operation="embeddings", output_messages=()),
        5000 * 0.02 / 1e6,
    ),
    "speech": (
        a_call("openai", "tts-1", reported(input_characters=200), operation="speech", output_messages=()),
        200 * 15 / 1e6,
    ),
    "transcription": (
        a_call("openai", "whisper-1", reported(input_audio_seconds=90), operation="transcription", output_messages=()),
        1.5 * 0.006,
    ),
    "groq's least duration": (
        a_call("groq", "whisper-large-v3", reported(input_audio_seconds=2), operation="transcription"),
        10 * 0.111 / 3600,
    ),
    "transcription in tokens": (
        a_call("openai", "gpt-4o-transcribe", reported(600, 20, audio__input_tokens=590), operation="transcription"),
        (10 * 2.5 + 590 * 6 + 20 * 10) / 1e6,
    ),
    "a fee for each request": (a_call("perplexity", "sonar", reported(100, 200)), 300 / 1e6 + 0.012),
    "citations beside the output": (
        a_call(
            "perplexity",
            "sonar-deep-research",
            reported(100, 5000, reasoning=4000, web_searches=20),
            attributes={"sidelight.perplexity.citation_tokens": "3000"},
        ),
        (100 * 2 + 1000 * 8 + 4000 * 3 + 3000 * 2) / 1e6 + 20 * 0.005,
    ),
    "off-peak": (
        a_call("deepseek", "deepseek-chat", reported(1000, 100, cache_read=600), at=NOW + 8 * 3600 * 10**9),
        (400 * 0.135 + 600 * 0.035 + 100 * 0.55) / 1e6,
    ),
    "known by its address": (
        a_call("openai", "llama-3.3-70b-versatile", reported(1000, 100), address="api.groq.com"),
        (1000 * 0.59 + 100 * 0.79) / 1e6,
    ),
    "free": (a_call("openrouter", "meta-llama/llama-3.3-70b-instruct:free", reported(1000, 100)), 0.0),
}


@pytest.mark.parametrize("name", BILLS)
def test_a_bill_worked_out_by_hand(name: str) -> None:
    exchange, expected = BILLS[name]
    assert total(exchange) == pytest.approx(expected, rel=1e-9)


def test_a_cost_says_its_parts_and_who_names_the_price() -> None:
    priced = LISTED.price(a_call("openai", "gpt-4o", reported(1_000_000, 100_000, web_searches=100)))
    assert priced.cost == Cost(total=4.5, input=2.5, output=1.0, source=SOURCE)


def test_the_cost_of_estimated_tokens_is_estimated() -> None:
    priced = LISTED.price(a_call("openai", "gpt-4o", Usage(1000, 100, source="estimated")))
    assert priced.cost is not None
    assert priced.cost.estimated


NO_ANSWER = (Message("assistant", (), finish_reason="content_filter"),)
UNKNOWN = {
    "a model nobody lists": a_call("openai", "nobody-knows-me", reported(1000, 500)),
    "a server of one's own": a_call("vllm", "gpt-4o", reported(1000, 500)),
    "no provider": a_call(None, "gpt-4o", reported(1000, 500)),
    "no model": a_call("openai", None, reported(1000, 500)),
    "no usage": a_call("openai", "gpt-4o", Usage()),
    "an error": a_call("openai", "gpt-4o", Usage(), error_type="500", output_messages=()),
    "an error where requests have a fee": a_call("perplexity", "sonar", Usage(), error_type="500", output_messages=()),
    "no usage where requests have a fee": a_call("perplexity", "sonar", Usage()),
    "a stored answer": a_call("openai", "gpt-4o", Usage(1000, 500, source="repeated"), operation="fetch_response"),
    "no model call": a_call("openai", "gpt-4o", Usage(), operation=None),
    "an answer without its count": a_call("openai", "gpt-4o", reported(1000)),
    "a search without a price": a_call("cohere", "rerank-v3.5", reported(rerank_searches=1), operation="rerank"),
    "an image without a price": a_call("openai", "dall-e-3", reported(output_images=1), operation="image_generation"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_cost_that_nobody_knows_is_unknown(name: str) -> None:
    assert LISTED.price(UNKNOWN[name]) is UNKNOWN[name]


def test_a_prompt_that_was_blocked_costs_its_input() -> None:
    blocked = a_call("gcp.gemini", "gemini-2.5-flash", reported(1000), output_messages=NO_ANSWER)
    assert total(blocked) == pytest.approx(1000 * 0.3 / 1e6)


def test_an_error_after_tokens_were_counted_still_costs_them() -> None:
    broken = a_call("openai", "gpt-4o", reported(1000, 500), error_type="overloaded_error")
    assert total(broken) == pytest.approx(0.0075)


def test_the_model_that_served_goes_before_the_one_asked_for() -> None:
    usage = reported(MILLION, 0)
    exchange = msgspec.structs.replace(a_call("openai", "gpt-5", usage), response_model="gpt-4o-2024-08-06")
    assert total(exchange) == pytest.approx(2.5)
    unknown = msgspec.structs.replace(a_call("openai", "gpt-5", usage), response_model="an-alias")
    assert total(unknown) == pytest.approx(1.25)


def test_bedrock_bills_by_the_model_asked_for() -> None:
    exchange = a_call("aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", reported(MILLION, 0))
    regional = a_call("aws.bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", reported(MILLION, 0))
    bills = [
        total(msgspec.structs.replace(each, response_model="claude-sonnet-4-5-20250929"))
        for each in (exchange, regional)
    ]
    assert bills == pytest.approx([3.0, 3.3])


def test_the_tier_that_served_goes_before_the_one_asked_for() -> None:
    asked = {"openai.request.service_tier": "flex"}
    assert total(a_call("openai", "gpt-5", reported(MILLION, 0), attributes=asked)) == pytest.approx(0.625)
    told = a_call("openai", "gpt-5", reported(MILLION, 0), tier="default", attributes=asked)
    assert total(told) == pytest.approx(1.25)


def own(tmp_path: Path, text: str) -> Pricer:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    return Pricing(prices=str(file)).pricer()


def test_ones_own_price_goes_before_every_other(tmp_path: Path) -> None:
    pricer = own(tmp_path, "openai: {gpt-4o: {input: 1, output: 2}}\nopenrouter: {'*': {input: 5, output: 5}}")
    priced = pricer.price(a_call("openai", "gpt-4o", reported(MILLION, MILLION)))
    assert priced.cost == Cost(total=3.0, input=1.0, output=2.0, source="override")
    assert total(a_call("openai", "gpt-5", reported(MILLION, 0)), pricer) == pytest.approx(1.25)
    stated = a_call("openrouter", "x", reported(MILLION, 0), attributes={"sidelight.openrouter.cost": "0.1"})
    assert total(stated, pricer) == 5.0


def test_a_server_of_ones_own_can_have_a_price(tmp_path: Path) -> None:
    pricer = own(
        tmp_path,
        "vllm: {'*': {input: 0, output: 0}}\nlab: {painter: {per_image: 0.04}, ranker: {per_rerank_search: 0.002}}\n"
        "cheap: {m: {per_request: 0.01}}",
    )
    assert total(a_call("vllm", "llama", reported(10, 10)), pricer) == 0.0
    assert total(a_call("lab", "painter", reported(output_images=3)), pricer) == pytest.approx(0.12)
    assert total(a_call("lab", "ranker", reported(rerank_searches=2)), pricer) == pytest.approx(0.004)
    assert total(a_call("cheap", "m", Usage()), pricer) == 0.01
    assert total(a_call("cheap", "m", Usage(), error_type="500", output_messages=()), pricer) is None


def test_ones_own_price_begins_on_its_day(tmp_path: Path) -> None:
    pricer = own(tmp_path, "openai: {gpt-4o: {input: 7, output: 7, since: 2026-11-21}}")
    today = a_call("openai", "gpt-4o", reported(MILLION, 0))
    tomorrow = a_call("openai", "gpt-4o", reported(MILLION, 0), at=NOW + 12 * 3600 * 10**9)
    assert [total(today, pricer), total(tomorrow, pricer)] == pytest.approx([2.5, 7])


def test_what_the_provider_says_goes_before_its_list_price() -> None:
    stated = a_call(
        "openrouter", "openai/gpt-4o", reported(1000, 500), attributes={"sidelight.openrouter.cost": "0.00421"}
    )
    assert LISTED.price(stated).cost == Cost(total=0.00421, input=0.0, output=0.0, source="provider")


@pytest.mark.parametrize("said", ["nan", "inf", "-1", "soon"])
def test_a_stated_cost_that_is_none_is_not_believed(said: str) -> None:
    exchange = a_call(
        "openrouter", "openai/gpt-4o", reported(1000, 500), attributes={"sidelight.openrouter.cost": said}
    )
    assert total(exchange) == pytest.approx(0.0075)


def test_a_cost_stated_by_others_is_not_believed() -> None:
    exchange = a_call("openai", "gpt-4o", reported(1000, 500), attributes={"sidelight.openrouter.cost": "9"})
    assert total(exchange) == pytest.approx(0.0075)


def test_a_broken_file_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("openai: {gpt-4o: {inptu: 1}}")
    with pytest.raises(
        ConfigError, match=r"^processors.cost.prices: .*prices.yaml: openai.gpt-4o.inptu: unknown option"
    ):
        build_one(("processors", "cost"), {"prices": str(file)}, Pricing)


def test_only_the_file_is_an_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"processors.cost.own: unknown option"):
        build_one(("processors", "cost"), {"own": {}}, Pricing)
    assert build_one(("processors", "cost"), {}, Pricing) == Pricing()


def test_prices_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MOST_PRICES", 10)
    pricer = Pricing().pricer()
    for number in range(100):
        pricer.price(a_call("openai", f"gpt-4o-{number}", reported(1, 1)))
    assert len(pricer._found) <= 10


USAGES = st.builds(reported, st.integers(0, MILLION), st.integers(0, MILLION))


@given(USAGES, st.integers(0, MILLION), st.integers(0, MILLION))
def test_more_tokens_never_cost_less(usage: Usage, more_input: int, more_output: int) -> None:
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    greater = reported(usage.input_tokens + more_input, usage.output_tokens + more_output)
    for model in ("gpt-4o", "gpt-5.4"):
        less_total, more_total = (total(a_call("openai", model, each)) for each in (usage, greater))
        assert less_total is not None
        assert more_total is not None
        assert less_total <= more_total


@given(USAGES, st.dictionaries(st.text(max_size=40), st.text(max_size=20)), st.text(max_size=300))
def test_no_model_name_and_no_attribute_makes_it_fail(usage: Usage, attributes: dict[str, str], model: str) -> None:
    LISTED.price(a_call("openai", model, usage, attributes=attributes, address=model))

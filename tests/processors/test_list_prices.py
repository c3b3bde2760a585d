from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import list_prices
from processors.list_prices import LONGEST_NAME, SOURCE, ListPrices

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOWHERE = "https://llm.example/v1/chat/completions"
LISTED = ListPrices()
MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]


def dollars(provider: str | None, model: str, url: str = NOWHERE, at: datetime = NOW, **context: str) -> float | None:
    """What a million input and a million output tokens cost."""
    price = LISTED.find(provider, url, model, context, at)
    bill = price and price.bill({"input_tokens": 1_000_000, "output_tokens": 1_000_000})
    return bill.total if bill else None


def test_the_source_names_the_library_and_its_version() -> None:
    name, version = SOURCE.split(" ")
    assert name == "genai-prices"
    assert version.startswith("0.2.")


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o-2024-08-06", 12.5),
        ("azure.ai.openai", "gpt-4o-2024-08-06", 12.5),
        ("aws.bedrock", "amazon.nova-pro-v1:0", 4.0),
        ("gcp.gemini", "gemini-2.5-flash", 2.8),
        ("gcp.vertex_ai", "gemini-2.5-flash", 2.8),
        ("mistral_ai", "mistral-large-latest", 8.0),
        ("x_ai", "grok-3", 18.0),
        ("groq", "llama-3.3-70b-versatile", 1.38),
        ("moonshot_ai", "kimi-k2-0905-preview", 3.1),
        ("cohere", "command-r-plus-08-2024", 12.5),
        ("openrouter", "openai/gpt-4o", 12.5),
        ("openrouter", "meta-llama/llama-3.3-70b-instruct:free", 0.0),
        ("openai", "nobody-knows-me", None),
        ("vllm", "gpt-4o", None),
        ("my-openai-gateway", "gpt-4o", None),
        (None, "gpt-4o", None),
        ("openrouter", "google/lyria-3-pro-preview", None),
    ],
)
def test_a_model_is_found_by_the_name_of_its_provider(provider: str | None, model: str, expected: float | None) -> None:
    found = dollars(provider, model)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_a_known_address_goes_before_the_name() -> None:
    groq = "https://api.groq.com/openai/v1/chat/completions"
    assert dollars("openai", "llama-3.3-70b-versatile", groq) == pytest.approx(1.38)
    assert dollars("openai", "gpt-4o", groq) is None


def test_the_tier_and_the_time_of_day_count() -> None:
    assert dollars("openai", "gpt-5") == pytest.approx(11.25)
    assert dollars("openai", "gpt-5", service_tier="flex") == pytest.approx(5.625)
    assert dollars("openai", "gpt-5", service_tier="scale") == pytest.approx(11.25)
    assert dollars("deepseek", "deepseek-chat") == pytest.approx(1.37)
    assert dollars("deepseek", "deepseek-chat", at=NOW.replace(hour=20)) == pytest.approx(0.685)


def test_groqs_least_duration_is_billed() -> None:
    price = LISTED.find("groq", NOWHERE, "whisper-large-v3", {}, NOW)
    assert price is not None
    bills = [price.bill({"input_audio_seconds": seconds}) for seconds in (1, 10, 3600)]
    assert [bill and bill.total for bill in bills] == pytest.approx([0.111 / 360, 0.111 / 360, 0.111])
    assert price.bill({"input_audio_seconds": float("nan")}) is None


def test_a_name_without_end_is_no_model() -> None:
    assert dollars("openai", "gpt-4o-" + "x" * LONGEST_NAME) is None


def test_looking_up_names_without_end_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_prices, "MOST_LOOKUPS", 10)
    listed = ListPrices()
    for number in range(100):
        listed.find("openai", NOWHERE, f"gpt-4o-{number}", {}, NOW)
    assert len(listed._snapshot._lookup_cache) <= 11


def test_a_fault_in_the_library_is_an_unknown_price(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = ListPrices()
    broken._snapshot = None
    assert broken.find("openai", NOWHERE, "gpt-4o", {}, NOW) is None
    assert "the library failed: AttributeError" in caplog.text


TOKENS = st.integers(0, 400_000)


@st.composite
def counts(draw: st.DrawFn) -> dict[str, float]:
    """Counts in which no part is larger than its whole."""
    write_5m, write_1h = draw(TOKENS), draw(TOKENS)
    cached_audio, cached_image, cached_text = draw(TOKENS), draw(TOKENS), draw(TOKENS)
    audio, image, text = cached_audio + draw(TOKENS), cached_image + draw(TOKENS), draw(TOKENS)
    reasoning, sound, drawn = draw(TOKENS), draw(TOKENS), draw(TOKENS)
    return {
        "input_tokens": audio + image + cached_text + write_5m + write_1h + text,
        "output_tokens": reasoning + sound + drawn + draw(TOKENS),
        "cache_read_tokens": cached_audio + cached_image + cached_text,
        "cache_audio_read_tokens": cached_audio,
        "cache_image_read_tokens": cached_image,
        "cache_write_tokens": write_5m + write_1h,
        "cache_write_1h_tokens": write_1h,
        "input_audio_tokens": audio,
        "input_image_tokens": image,
        "output_reasoning_tokens": reasoning,
        "output_audio_tokens": sound,
        "output_image_tokens": drawn,
        "web_searches": draw(st.integers(0, 20)),
        "code_executions": draw(st.integers(0, 20)),
        "rerank_searches": draw(st.integers(0, 20)),
        "input_characters": draw(st.integers(0, 10_000)),
    }


@settings(max_examples=300)
@given(st.sampled_from(MODELS), counts())
def test_a_bill_is_the_librarys_own(chosen: Any, counted: dict[str, float]) -> None:
    provider, model = chosen
    price = LISTED.find(provider.id, NOWHERE, model.id, {}, NOW)
    bill = price and price.bill(counted)
    if bill is None:
        return
    expected = calc_price(Usage(**counted), model.id, provider_id=provider.id, genai_request_timestamp=NOW)
    assert bill.total == pytest.approx(float(expected.total_price), rel=1e-9, abs=1e-12)
    assert bill.input == pytest.approx(float(expected.input_price), rel=1e-9, abs=1e-12)
    assert bill.output == pytest.approx(float(expected.output_price), rel=1e-9, abs=1e-12)


def test_every_listed_model_with_a_price_for_both_directions_can_be_billed() -> None:
    priced = [(provider.id, model.id) for provider, model in MODELS if "output_mtok" in repr(model.prices)]
    found = [LISTED.find(provider, NOWHERE, model, {}, NOW) for provider, model in priced]
    bills = [price.bill({"input_tokens": 1000, "output_tokens": 100}) for price in found if price]
    assert None not in bills
    assert len(bills) > 1900

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from processors.own_prices import OwnPrices, read

DAY = date(2026, 11, 20)


def prices(tmp_path: Path, text: str) -> OwnPrices:
    return read(written(tmp_path, text))


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    return str(file)


def dollars(own: OwnPrices, provider: str | None, model: str, on: date = DAY, **counts: float) -> float | None:
    """The bill for a million input tokens, or for these counts."""
    tariff = own.find(provider, model, on)
    bill = tariff and tariff.bill(counts or {"input_tokens": 1e6})
    return bill.total if bill else None


def test_a_name_goes_before_a_pattern_and_a_provider_before_any(tmp_path: Path) -> None:
    own = prices(
        tmp_path,
        """
        "*":
          gpt-4o: {input: 1}
          llama*: {input: 0}
        openai:
          gpt-*: {input: 2}
          gpt-4o-mini: {input: 3}
        """,
    )
    assert dollars(own, "openai", "gpt-4o") == 2
    assert dollars(own, "openai", "GPT-4o-mini") == 3
    assert dollars(own, "azure.ai.openai", "gpt-4o") == 1
    assert dollars(own, None, "llama-3.2:1b") == 0
    assert dollars(own, "openai", "o3") is None


def test_the_latest_price_that_has_begun_holds(tmp_path: Path) -> None:
    own = prices(
        tmp_path,
        "openai: {m: [{input: 1, since: 2026-01-01}, {input: 3, since: '2026-11-20'}, {input: 2, since: 2026-06-01}]}",
    )
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 1), date(2026, 11, 19), DAY]
    assert [dollars(own, "openai", "m", day) for day in days] == [None, 1, 2, 2, 3]


def test_every_option_prices_what_it_says(tmp_path: Path) -> None:
    own = prices(
        tmp_path,
        """
        openai:
          all:
            {input: 1, output: 10, cache_read: 0.1, cache_write: 2, cache_write_1h: 3, audio_input: 4, audio_output: 40,
             image_input: 5, image_output: 50, reasoning: 20}
          units:
            {per_request: 0.5, per_image: 0.04, per_audio_second: 0.01, per_character: 0.001, per_web_search: 0.02,
             per_rerank_search: 0.002}
        """,
    )
    tokens = {
        "input_tokens": 1000,
        "cache_read_tokens": 100,
        "cache_write_tokens": 200,
        "cache_write_1h_tokens": 50,
        "input_audio_tokens": 30,
        "cache_audio_read_tokens": 10,
        "input_image_tokens": 40,
        "output_tokens": 500,
        "output_audio_tokens": 60,
        "output_image_tokens": 70,
        "output_reasoning_tokens": 80,
    }
    came = (1000 - 100 - 200 - 20 - 40) * 1 + 100 * 0.1 + 150 * 2 + 50 * 3 + 20 * 4 + 40 * 5
    went = (500 - 60 - 70 - 80) * 10 + 60 * 40 + 70 * 50 + 80 * 20
    assert dollars(own, "openai", "all", **tokens) == pytest.approx((came + went) / 1e6)
    units = {"output_images": 2, "input_audio_seconds": 3, "input_characters": 5, "web_searches": 7}
    expected = 0.5 + 0.08 + 0.03 + 0.005 + 0.14 + 0.008
    assert dollars(own, "openai", "units", **units, rerank_searches=4) == pytest.approx(expected)


def test_what_has_no_price_of_its_own_is_billed_as_what_it_is_a_part_of(tmp_path: Path) -> None:
    own = prices(tmp_path, "x: {m: {input: 1, cache_write: 3}}")
    counts = {"input_tokens": 100, "cache_read_tokens": 10, "cache_write_tokens": 20, "cache_write_1h_tokens": 5}
    assert dollars(own, "x", "m", **counts) == pytest.approx((80 * 1 + 20 * 3) / 1e6)


def test_json_will_do(tmp_path: Path) -> None:
    assert dollars(prices(tmp_path, json.dumps({"x": {"m": {"input": 1.5}}})), "x", "m") == 1.5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a mapping; write provider: {model: {input: 1.25, output: 10}}"),
        ("[1]", "is not a mapping; write provider: {model: {input: 1.25, output: 10}}"),
        ("openai: {gpt: {input: 1}", "line 1: expected ',' or '}', but got '<stream end>'"),
        ("openai: 5", "openai: must be a mapping of models to prices, like {gpt-4o*: {input: 2.5}}"),
        ("openai: {m: 5}", "openai.m: must be a mapping of options, not a number"),
        ("openai: {m: {}}", "openai.m: says no price; give one of input, output,"),
        ("openai: {m: {inptu: 1}}", "openai.m.inptu: unknown option; did you mean input?"),
        ("openai: {m: {input: cheap}}", "openai.m.input: must be a number"),
        ("openai: {m: {input: -1}}", "openai.m: input is -1.0; give US dollars, zero or more"),
        ("openai: {m: {input: .nan}}", "openai.m: input is nan; give US dollars, zero or more"),
        ("openai: {m: {input: .inf}}", "openai.m: input is inf; give US dollars, zero or more"),
        ("openai: {m: {input: 1, since: soon}}", "openai.m.since: must be a date, like 2026-07-01"),
        ("openai: {m: [{input: 1}, {inptu: 1}]}", "openai.m.1.inptu: unknown option"),
        ("openai: {m: [{input: 1}, {input: 2}]}", "openai.m: two prices begin on the same day; give each another"),
        ("openai: {m: {input: 1}, m: {input: 2}}", "openai.m: given twice (line 1); keep one"),
        ("openai: !!python/name:os.system {}", "openai: the YAML tag tag:yaml.org,2002:python/name:os.system is not"),
        ("#" + "x" * 2**20, "larger than 1048576 bytes"),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_the_place(tmp_path: Path, text: str, problem: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read(file)
    assert any(said.startswith(f"{file}: {problem}") for said in error.value.problems), error.value.problems


def test_every_problem_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        prices(tmp_path, "a: {m: {inptu: 1}, n: {}}\nb: 3")
    assert len(error.value.problems) == 3


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: No such file or directory; name a file that can be read"):
        read(str(tmp_path / "nowhere.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"latin.yaml: is not UTF-8; save it as such"):
        read(str(tmp_path / "latin.yaml"))


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        prices(tmp_path, "[" * 5000)

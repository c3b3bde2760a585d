"""A user's own prices, from a file: for models of one's own, and for what one's contract says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from config.build import build_one
from config.load import MAX_FILE, one_line, path, plain
from pipeline.errors import ConfigError
from processors.tariff import REQUESTS, Rate, Tariff, Unit

ANY = "*"


def _tokens(name: str, direction: str, **dimensions: str) -> Unit:
    return Unit(name, frozenset({"family": "tokens", "direction": direction, **dimensions}.items()))


def _counted(name: str, family: str, **dimensions: str) -> Unit:
    return Unit(name, frozenset({"family": family, **dimensions}.items()), per=1)


UNITS = {  # option → what it prices
    "input": _tokens("input_tokens", "input"),
    "output": _tokens("output_tokens", "output"),
    "cache_read": _tokens("cache_read_tokens", "input", cached="read"),
    "cache_write": _tokens("cache_write_tokens", "input", cached="write"),
    "cache_write_1h": _tokens("cache_write_1h_tokens", "input", cached="write", ttl="1h"),
    "audio_input": _tokens("input_audio_tokens", "input", modality="audio"),
    "audio_output": _tokens("output_audio_tokens", "output", modality="audio"),
    "image_input": _tokens("input_image_tokens", "input", modality="image"),
    "image_output": _tokens("output_image_tokens", "output", modality="image"),
    "reasoning": _tokens("output_reasoning_tokens", "output", part="reasoning"),
    "per_request": _counted(REQUESTS, "requests"),
    "per_image": _counted("output_images", "images", direction="output"),
    "per_audio_second": _counted("input_audio_seconds", "durations", direction="input"),
    "per_character": _counted("input_characters", "characters", direction="input"),
    "per_web_search": _counted("web_searches", "tool_calls", tool_type="web_search"),
    "per_rerank_search": _counted("rerank_searches", "rerank"),
}
CACHED = {  # a cached token of another modality is billed as a cached one
    "audio_input": _tokens("cache_audio_read_tokens", "input", cached="read", modality="audio"),
    "image_input": _tokens("cache_image_read_tokens", "input", cached="read", modality="image"),
}


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """US dollars: for a million tokens, or for one of what a name with `per_` says."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None  # without it, as input
    cache_write: float | None = None  # without it, as input
    cache_write_1h: float | None = None  # without it, as cache_write
    audio_input: float | None = None
    audio_output: float | None = None
    image_input: float | None = None
    image_output: float | None = None
    reasoning: float | None = None  # without it, as output
    per_request: float | None = None
    per_image: float | None = None
    per_audio_second: float | None = None
    per_character: float | None = None
    per_web_search: float | None = None
    per_rerank_search: float | None = None
    since: date = date.min  # the first day it holds, UTC

    def __post_init__(self) -> None:
        given = self.given()
        if not given:
            raise ValueError(f"says no price; give one of {', '.join(UNITS)}")
        for name, price in given.items():
            if not 0 <= price < 1e9:
                raise ValueError(f"{name} is {price}; give US dollars, zero or more")

    def given(self) -> dict[str, float]:
        """The prices that were given, by option."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name in UNITS}
        return {name: price for name, price in told.items() if price is not None}

    def tariff(self) -> Tariff:
        """The rates of these prices."""
        given = self.given()
        rates = {UNITS[name]: Rate(price) for name, price in given.items()}
        if "cache_read" in given:
            rates |= {unit: Rate(given["cache_read"]) for name, unit in CACHED.items() if name in given}
        return Tariff(rates)


class OwnPrices:
    """Provider → model (a name, or a pattern with `*` and `?`) → prices, the latest first."""

    def __init__(self, prices: Mapping[str, Mapping[str, tuple[OwnPrice, ...]]]) -> None:
        self._prices = prices

    def find(self, provider: str | None, model: str, on: date) -> Tariff | None:
        """The rates that hold for this model on this day (UTC); those of its provider go before those of any, and a
        name goes before a pattern."""
        for prices in self._candidates(provider, model.lower()):
            for price in prices:
                if price.since <= on:
                    return price.tariff()
        return None

    def _candidates(self, provider: str | None, model: str) -> Iterator[tuple[OwnPrice, ...]]:
        for name in (provider or ANY, ANY):
            models = self._prices.get(name, {})
            if model in models:
                yield models[model]
            yield from (prices for pattern, prices in models.items() if fnmatchcase(model, pattern))


def read(file: str) -> OwnPrices:
    """The prices in a YAML or JSON file; ConfigError with every problem, each with the file and the place in it."""
    problems: list[str] = []
    prices = {
        provider: {model.lower(): _dated((provider, model), prices, problems) for model, prices in models.items()}
        for provider, models in _providers(file, problems).items()
    }
    if problems:
        raise ConfigError(*(f"{file}: {problem}" for problem in problems))
    return OwnPrices(prices)


def _providers(file: str, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Provider → model → what is said of its prices."""
    tree = _tree(file, problems)
    if not isinstance(tree, dict):
        problems.append("is not a mapping; write provider: {model: {input: 1.25, output: 10}}")
        return {}
    for provider, models in tree.items():
        if not isinstance(models, dict):
            problems.append(f"{provider}: must be a mapping of models to prices, like {{gpt-4o*: {{input: 2.5}}}}")
    return {provider: models for provider, models in tree.items() if isinstance(models, dict)}


def _tree(file: str, problems: list[str]) -> Any:
    """The file as plain data, read as strictly as the configuration itself."""
    try:
        text = Path(file).read_text(encoding="utf-8")
        if len(text) > MAX_FILE:
            raise ConfigError(
                f"{file}: larger than {MAX_FILE} bytes; a pattern like gpt-4o* prices many models at once"
            )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return plain(node, (), {}, problems, []) if node is not None else None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8; save it as such") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {one_line(error)}") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply; write provider: {{model: {{input: 1.25}}}}") from None


def _dated(place: tuple[str, str], prices: Any, problems: list[str]) -> tuple[OwnPrice, ...]:
    """One model's prices, or the list of them with the days since when they hold; the latest first."""
    built = []
    for number, options in enumerate(prices if isinstance(prices, list) else [prices]):
        where = (*place, str(number)) if isinstance(prices, list) else place
        try:
            built.append(build_one(where, options, OwnPrice))
        except ConfigError as error:
            problems += error.problems
    days = [price.since for price in built]
    if len(set(days)) < len(days):
        problems.append(f"{path(place)}: two prices begin on the same day; give each another `since`")
    return tuple(sorted(built, key=lambda price: price.since, reverse=True))

"""What an exchange cost, in US dollars: by the user's own prices, by what the provider says, or by its list prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from pipeline.errors import ConfigError
from pipeline.records import Cost, Exchange
from processors.own_prices import OwnPrices, read
from processors.tariff import Bill

if TYPE_CHECKING:
    from processors.list_prices import ListPrices

QUARTER = 900 * 10**9  # ns; prices change at quarters of an hour, if they hang on the time of day
MOST_PRICES = 2048  # kept, of models × tiers × quarters
STATED = {"openrouter": "sidelight.openrouter.cost"}  # provider → the attribute in which it says what the call cost
CITATIONS = "sidelight.perplexity.citation_tokens"
UNITS = {  # records.DETAILS → what is priced
    "text.input_tokens": "input_text_tokens",
    "image.input_tokens": "input_image_tokens",
    "audio.input_tokens": "input_audio_tokens",
    "video.input_tokens": "input_video_tokens",
    "text.output_tokens": "output_text_tokens",
    "image.output_tokens": "output_image_tokens",
    "audio.output_tokens": "output_audio_tokens",
    "text.cache_read.input_tokens": "cache_text_read_tokens",
    "image.cache_read.input_tokens": "cache_image_read_tokens",
    "audio.cache_read.input_tokens": "cache_audio_read_tokens",
    "cache_write_5m.input_tokens": "cache_write_5m_tokens",
    "cache_write_1h.input_tokens": "cache_write_1h_tokens",
    "tool_use.input_tokens": "input_tool_tokens",
    "input_characters": "input_characters",
    "input_audio_seconds": "input_audio_seconds",
    "output_images": "output_images",
    "web_searches": "web_searches",
    "code_executions": "code_executions",
    "rerank_searches": "rerank_searches",
}


class Price(Protocol):
    """What one model costs at one time."""

    def bill(self, counts: Mapping[str, float]) -> Bill | None:
        """What these counts cost, or None where the price does not tell."""
        ...


@dataclass(frozen=True, slots=True)
class Pricing:
    """Says what an exchange cost; a price that nobody knows is unknown, never 0."""

    prices: str | None = None  # file with prices of your own, which go before the list prices

    own: OwnPrices = field(init=False, repr=False, compare=False, metadata={"option": False})

    def __post_init__(self) -> None:
        try:
            own = read(self.prices) if self.prices else OwnPrices({})
        except ConfigError as error:
            raise ConfigError(*(f"processors.cost.prices: {problem}" for problem in error.problems)) from None
        object.__setattr__(self, "own", own)

    def pricer(self) -> Pricer:
        """The stage with these options. Loads the list prices: 0.3 s, 25 MB."""
        from processors.list_prices import SOURCE, ListPrices  # only the pipeline process has room for them

        return Pricer(self.own, ListPrices(), SOURCE)


class Pricer:
    """Prices exchanges; keeps the prices it found."""

    def __init__(self, own: OwnPrices, listed: ListPrices, source: str) -> None:
        self._own = own
        self._listed = listed
        self._source = source
        self._found: dict[tuple[object, ...], tuple[Price, str] | None] = {}

    def price(self, exchange: Exchange) -> Exchange:
        """The exchange with its cost; itself when that is not known. A stored answer is paid for once."""
        if exchange.operation is None or _paid_before(exchange) or _came_to_nothing(exchange):
            return exchange
        cost = self._cost(exchange)
        return exchange if cost is None else msgspec.structs.replace(exchange, cost=cost)

    def _cost(self, exchange: Exchange) -> Cost | None:
        found = self._price(exchange)
        stated = _stated(exchange)
        if stated is not None and (found is None or found[1] != "override"):
            return Cost(stated, 0.0, 0.0, "provider")
        if found is None:
            return None
        price, source = found
        bill = price.bill(counts_of(exchange))
        return None if bill is None else Cost(*bill, source, exchange.usage.source == "estimated")

    def _price(self, exchange: Exchange) -> tuple[Price, str] | None:
        """The price and who names it, found once for each model, tier and quarter of an hour."""
        context = _context(exchange.attributes) if exchange.attributes else ()
        http, models = exchange.http, (exchange.response_model, exchange.request_model)
        quarter = exchange.timing.started_at // QUARTER
        key = (http.server_address, http.path, exchange.provider, models, context, quarter)
        try:
            return self._found[key]
        except KeyError:
            if len(self._found) >= MOST_PRICES:
                self._found.clear()
            found = self._found[key] = self._find(exchange, dict(context))
            return found

    def _find(self, exchange: Exchange, context: dict[str, str]) -> tuple[Price, str] | None:
        """By the user's own prices, else by the list."""
        at = datetime.fromtimestamp(exchange.timing.started_at / 1e9, UTC)
        models = _models(exchange)
        for model in models:
            if own := self._own.find(exchange.provider, model, at.date()):
                return own, "override"
        url = f"https://{exchange.http.server_address}{exchange.http.path}"
        for model in models:
            if listed := self._listed.find(exchange.provider, url, model, context, at):
                return listed, self._source
        return None


def _paid_before(exchange: Exchange) -> bool:
    return exchange.operation == "fetch_response" and exchange.usage.source != "provider"


def _models(exchange: Exchange) -> list[str]:
    """What served the call, then what was asked for. Bedrock bills by the latter, which names the region."""
    models = (exchange.response_model, exchange.request_model)
    ordered = models if exchange.provider != "aws.bedrock" else models[::-1]
    return [model for model in ordered if model]


def counts_of(exchange: Exchange) -> dict[str, float]:
    """Everything that was counted, by the names that prices go by; what was not counted is left out."""
    usage = exchange.usage
    counts: dict[str, float] = {}
    if usage.input_tokens is not None:
        counts["input_tokens"] = usage.input_tokens
    if usage.output_tokens is not None:
        counts["output_tokens"] = usage.output_tokens
    if usage.cache_read_input_tokens:
        counts["cache_read_tokens"] = usage.cache_read_input_tokens
    if usage.cache_write_input_tokens:
        counts["cache_write_tokens"] = usage.cache_write_input_tokens
    if usage.reasoning_output_tokens:
        counts["output_reasoning_tokens"] = usage.reasoning_output_tokens
    if usage.details:
        counts |= {UNITS[name]: count for name, count in usage.details.items() if name in UNITS and count}
        _add_cached_media(counts)
    if CITATIONS in exchange.attributes:
        counts["output_citation_tokens"] = _number(exchange.attributes[CITATIONS]) or 0
    return counts


def _add_cached_media(counts: dict[str, float]) -> None:
    """Cached tokens and tokens of sound or images that are together more than the input must partly be the same."""
    cached = counts.get("cache_read_tokens", 0)
    media = [name for name in ("audio", "image") if counts.get(f"input_{name}_tokens")]
    told = sum(counts.get(f"cache_{name}_read_tokens", 0) for name in ("audio", "image", "text"))
    if not cached or not media or told:
        return
    both = cached + sum(counts[f"input_{name}_tokens"] for name in media) - counts.get("input_tokens", 0)
    for name in media:
        shared = min(max(both, 0), counts[f"input_{name}_tokens"])
        counts[f"cache_{name}_read_tokens"] = shared
        both -= shared


def _came_to_nothing(exchange: Exchange) -> bool:
    """Nothing was counted because nothing was done, or an answer was counted in part."""
    usage = exchange.usage
    if usage.source == "none":
        return exchange.error_type is not None
    uncounted = usage.input_tokens is not None and usage.output_tokens is None
    return uncounted and any(message.parts for message in exchange.output_messages)


def _stated(exchange: Exchange) -> float | None:
    """What the provider itself says that the call cost."""
    stated = exchange.attributes.get(STATED.get(exchange.provider or "", ""))
    return None if stated is None else _number(stated)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


def _context(attributes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What the list price hangs on besides model and time; the tier that served goes before the one asked for."""
    told = [_told(attributes, f".{side}.service_tier") for side in ("response", "request")]
    tier = next((tier.lower() for tier in told if tier), None)
    speed = _told(attributes, ".response.speed")
    context = [("speed", speed.lower())] if speed else []
    if tier:
        context += [("service_tier", tier), *([("processing", "batch")] if tier == "batch" else [])]
    return tuple(context)


def _told(attributes: Mapping[str, str], ending: str) -> str | None:
    return next((value for name, value in attributes.items() if name.endswith(ending)), None)

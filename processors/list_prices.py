"""The providers' list prices, from the genai-prices library: the one place that knows it.

It is imported where prices are asked for and nowhere else: its table is large. Nothing here uses the network.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from genai_prices import Usage, __version__
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.data_units import unit_data
from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

from processors.tariff import Bill, Rate, Tariff, Unit

SOURCE = f"genai-prices {__version__}"
LONGEST_NAME = 200  # characters of a model's name; a longer one is no name
MOST_LOOKUPS = 10_000  # after which the library's own caches, which it never empties, are dropped
PROVIDERS = {  # gen_ai.provider.name → the library's, where they differ
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "x_ai": "x-ai",
}
UNITS = {
    str(unit["price_key"]): Unit(name, frozenset(unit["dimensions"].items()), unit["per"])
    for name, unit in unit_data.items()
}
# Here they are counted beside the output (wire/openai_dialect.py), not as a part of it.
UNITS["output_citation_mtok"] = Unit(
    "output_citation_tokens", frozenset({"family": "citations", "direction": "output"}.items())
)
SECONDS = "input_audio_seconds"
FREE = {UNITS["input_mtok"]: Rate(0.0), UNITS["output_mtok"]: Rate(0.0)}  # no price means so only where the name does

logger = logging.getLogger(__name__)


class ListPrice:
    """What one model costs at one time."""

    def __init__(self, found: PriceCalculation, at: datetime) -> None:
        self._found = found
        self._at = at
        self._tariff = Tariff(rates_of(found.model_price) or (FREE if found.model.id.endswith(":free") else {}))

    def bill(self, counts: Mapping[str, float]) -> Bill | None:
        """What these counts cost, or None where the list does not tell."""
        if SECONDS in counts and self._tariff.prices(SECONDS):
            return self._bill_sound(counts[SECONDS])
        return self._tariff.bill(counts)

    def _bill_sound(self, seconds: float) -> Bill | None:
        """Providers bill sound by rules of their own (a least duration), which the library knows."""
        try:
            usage = Usage(audio_seconds=seconds, input_audio_seconds=seconds)
            price = self._found.model.calc_price(usage, self._found.provider, genai_request_timestamp=self._at)
        except ValueError:
            return None
        return Bill(float(price.total_price), float(price.input_price), float(price.output_price))


class ListPrices:
    """The table that came with the library; finding a price takes about 0.1 ms, so keep what was found."""

    def __init__(self) -> None:
        self._providers = get_snapshot().providers
        self._names = {provider.id: provider.id for provider in self._providers} | PROVIDERS
        self._snapshot = self._fresh()
        self._lookups = 0

    def find(
        self, provider: str | None, url: str, model: str, context: Mapping[str, str], at: datetime
    ) -> ListPrice | None:
        """The price of this model at the endpoint with this address or, if the list does not know the address, of the
        provider with this gen_ai.provider.name; None where there is none.

        `context` is what else the price hangs on: service_tier, processing, speed.
        """
        if len(model) > LONGEST_NAME:
            return None
        self._make_room()
        try:
            known = self._provider(provider, url)
            found = self._snapshot.calc(Usage(), model, known, None, at, context) if known else None
            return ListPrice(found, at) if found else None
        except LookupError:
            return None
        except Exception as error:  # no fault in a price may cost an exchange
            logger.warning("no list price, the library failed: %s", type(error).__name__)
            return None

    def _provider(self, name: str | None, url: str) -> str | None:
        """The library's id of the provider at this address, else of the one with this name."""
        try:
            return self._snapshot.find_provider(None, None, url).id
        except LookupError:
            return self._names.get(name or "")

    def _make_room(self) -> None:
        self._lookups += 1
        if self._lookups > MOST_LOOKUPS:
            self._lookups = 0
            self._snapshot = self._fresh()

    def _fresh(self) -> DataSnapshot:
        return DataSnapshot(providers=self._providers, from_auto_update=False)


def rates_of(prices: ModelPrice) -> dict[Unit, Rate]:
    """The library's prices as rates; a price for what we do not know is left out."""
    given = {UNITS[key]: price for key, price in vars(prices).items() if key in UNITS and price is not None}
    return {unit: _rate(price) for unit, price in given.items()}


def _rate(price: Decimal | TieredPrices) -> Rate:
    if isinstance(price, TieredPrices):
        tiers = [(tier.start, float(tier.price)) for tier in reversed(price.tiers)]
        return Rate(float(price.base), tuple(tiers))
    return Rate(float(price))

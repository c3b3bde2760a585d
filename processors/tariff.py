"""What counts cost at given rates: plain arithmetic, with nothing billed twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Unit(NamedTuple):
    """What is counted. A unit with more dimensions is a part of every unit whose dimensions it shares."""

    name: str  # as in the counts: input_tokens, cache_read_tokens, web_searches, …
    dimensions: frozenset[tuple[str, str]]  # family, direction, modality, …
    per: int = 1_000_000  # how many the rate is for


class Rate(NamedTuple):
    """US dollars for `Unit.per` of a unit; above a tier's start its rate holds for every one of them."""

    price: float
    tiers: tuple[tuple[int, float], ...] = ()  # (input tokens that must be exceeded, price), the highest first

    def at(self, input_tokens: float) -> float:
        for start, price in self.tiers:
            if input_tokens > start:
                return price
        return self.price


class Bill(NamedTuple):
    """US dollars; what has no direction (searches, requests) is in the total alone."""

    total: float
    input: float
    output: float


class _Line(NamedTuple):
    unit: str
    parts: tuple[int, ...]  # lines billed before, whose counts are a part of this one's
    per: int
    rate: Rate
    direction: str | None


REQUESTS = "requests"  # one for each bill, never counted
DIRECTIONS = ("input_tokens", "output_tokens")


class Tariff:
    """The rates of one model at one time; compiled once, billed often."""

    __slots__ = ("_lines", "_priced", "_tokens")

    def __init__(self, rates: Mapping[Unit, Rate]) -> None:
        units = sorted(rates, key=lambda unit: (-len(unit.dimensions), unit.name))
        self._lines = tuple([_line(unit, units[:place], rates[unit]) for place, unit in enumerate(units)])
        self._priced = frozenset(unit.name for unit in units)
        self._tokens = any(("family", "tokens") in unit.dimensions for unit in units)

    def prices(self, unit: str) -> bool:
        """Is there a rate for the unit of this name?"""
        return unit in self._priced

    def bill(self, counts: Mapping[str, float]) -> Bill | None:
        """What these counts cost, each token at the rate of the smallest part it belongs to.

        None where the rates do not tell: nothing priced was counted, or tokens came in a direction without a rate.
        """
        if not self._tells(counts):
            return None
        sums: dict[str | None, float] = {"input": 0.0, "output": 0.0, None: 0.0}
        input_tokens = counts.get("input_tokens", 0)
        alone: list[float] = []
        for unit, parts, per, rate, direction in self._lines:
            count = counts.get(unit, 0) if unit != REQUESTS else 1
            for part in parts:
                count -= alone[part]
            alone.append(max(count, 0))
            if count > 0:
                sums[direction] += count * rate.at(input_tokens) / per
        return Bill(sum(sums.values()), sums["input"], sums["output"])

    def _tells(self, counts: Mapping[str, float]) -> bool:
        if self._tokens and any(counts.get(unit) and unit not in self._priced for unit in DIRECTIONS):
            return False
        return not self._priced.isdisjoint(counts) or self._priced == {REQUESTS}


def _line(unit: Unit, before: list[Unit], rate: Rate) -> _Line:
    parts = tuple([place for place, other in enumerate(before) if other.dimensions > unit.dimensions])
    return _Line(unit.name, parts, unit.per, rate, dict(unit.dimensions).get("direction"))

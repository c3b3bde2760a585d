"""What judges may spend: `5 USD/day`, `200 calls/hour`, `100000 tokens/day`. Hours and days are UTC's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from msgspec import Struct

Unit = Literal["USD", "calls", "tokens"]
Period = Literal["hour", "day"]
HOUR: Final = 3600  # seconds
HOURS: Final[dict[Period, int]] = {"hour": 1, "day": 24}
FORM: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(USD|calls|tokens)\s*/\s*(hour|day)")


class Spend(Struct, frozen=True):
    """What judging costs; US dollars 0 where the price is not known."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def of(self, unit: Unit) -> float:
        return self.usd if unit == "USD" else float(self.calls if unit == "calls" else self.tokens)

    def plus(self, other: Spend) -> Spend:
        return Spend(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def minus(self, other: Spend) -> Spend:
        return Spend(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so much in every period."""

    amount: float
    unit: Unit
    period: Period

    @classmethod
    def parse(cls, text: str) -> Limit:
        """`5 USD/day`; ValueError for what is none."""
        found = FORM.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text!r} is no budget; write 5 USD/day, 200 calls/hour or 100000 tokens/day")
        return cls(float(found[1]), cast(Unit, found[2]), cast(Period, found[3]))

    def since(self, hour: int) -> int:
        """The first hour (since the epoch) of the period that this hour belongs to."""
        return hour - hour % HOURS[self.period]

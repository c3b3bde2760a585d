"""Which exchanges a judge is asked about, and how many each of them stands for.

By a rule all, else by chance: at least `ratio`, and of each stratum about `per_stratum` an hour, so that what is rare
is not missed and what is common is not paid for again and again. The chance is known when it is taken, and its inverse
is the weight: sums over what was judged, with their weights, are right for everything (Horvitz and Thompson, 1952).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from pipeline.records import EvaluatedExchange, Exchange, question_of, text_of
from processors.sample import RULES, SPACE, randomness

HOUR: Final = 3600 * 10**9  # ns
MOST_STRATA: Final = 1000  # an hour; those after them are one
Occasion = Literal["error", "slow", "flagged", "feedback"]  # sample's rules, and bad feedback, which comes later
Stratum = Literal["upstream", "model", "length", "risk"]
STRATA: Final[Mapping[Stratum, Callable[[EvaluatedExchange], str]]] = {
    "upstream": lambda evaluated: evaluated.exchange.upstream,
    "model": lambda evaluated: evaluated.exchange.response_model or evaluated.exchange.request_model or "",
    "length": lambda evaluated: magnitude(evaluated.exchange),
    "risk": lambda evaluated: "failed" if any(entry.outcome == "fail" for entry in evaluated.entries) else "",
}


class Selector:
    """Counts strata by the hour of the exchanges themselves, so that the same traffic gives the same choice."""

    def __init__(
        self, ratio: float, always: tuple[Occasion, ...], slow: float, strata: tuple[Stratum, ...], per_stratum: int
    ) -> None:
        self._ratio = ratio
        self._always = tuple(RULES[each] for each in always if each != "feedback")
        self._slow = slow
        self._strata = strata
        self._per_stratum = per_stratum
        self._hour = 0
        self._last: dict[tuple[str, ...], float] = {}  # exchanges, those that were not kept included
        self._now: dict[tuple[str, ...], float] = {}

    def __call__(self, evaluated: EvaluatedExchange) -> float:
        """How many exchanges its judgement will stand for; 0 where it is not to be judged."""
        chance = max(self._ratio, self._share(evaluated))
        if any(rule(evaluated, self._slow) for rule in self._always):
            return evaluated.weight
        if randomness(evaluated.exchange.trace) < round((1 - chance) * SPACE):
            return 0.0
        return max(evaluated.weight, 1 / chance)  # one number decided whether it is kept and whether it is judged

    def _share(self, evaluated: EvaluatedExchange) -> float:
        """Of this stratum, as far as can be known now."""
        if not self._per_stratum:
            return 0.0
        self._turn(evaluated.exchange.timing.started_at // HOUR)
        stratum = tuple(STRATA[name](evaluated) for name in self._strata)
        if stratum not in self._now and len(self._now) >= MOST_STRATA:
            stratum = ()
        count = self._now[stratum] = self._now.get(stratum, 0.0) + evaluated.weight
        return min(1.0, self._per_stratum / max(count, self._last.get(stratum, 0.0)))

    def _turn(self, hour: int) -> None:
        if hour > self._hour:
            self._last = self._now if hour == self._hour + 1 else {}
            self._now, self._hour = {}, hour


def magnitude(exchange: Exchange) -> str:
    """Characters of question and answer, by powers of ten."""
    return str(len(str(len(question_of(exchange)) + len(text_of(exchange.output_messages)))))

"""Which prompt template made a request: a hash of its system prompt without what changes from call to call."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import re2

from pipeline.records import Exchange
from processors.patterns import compiled

LONGEST: Final = 2**18  # bytes of a system prompt that are looked at
REMEMBERED: Final = 1024  # system prompts whose fingerprint is known, each by its digest
MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?\b\.?"
WEEKDAY: Final = r"(?:(?:mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\.?,? )?"  # short, where a date follows
IN_WORDS: Final = r"(?:" + DAY + r" (?:of )?" + MONTH + r"|" + MONTH + r" " + DAY + r")"
CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
KNOWN_VARIABLES: Final = (
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",  # a UUID
    r"\b\d{4}-\d{1,2}-\d{1,2}(?:[t ]" + CLOCK + r")?(?:z\b|[+-]\d{2}:?\d{2}\b)?",  # 2026-01-31T12:30:00Z
    r"\b\d{1,4}[./]\d{1,2}[./]\d{2,4}\b",  # 31.01.2026, 1/31/2026
    r"\b" + WEEKDAY + IN_WORDS + r"(?:,? \d{4}\b)?",  # 31 January, Sat, Jan 31st, 2026
    r"\b" + MONTH + r",? \d{4}\b",  # January 2026
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b,?",
    r"\b" + CLOCK + r"(?: ?[ap]\.?m\b\.?)?(?: (?:utc|gmt)\b(?:[+-]\d+)?)?",  # 12:30:15, 9:05 pm
    r"\b[0-9a-f]{16,}\b",  # a hash, a trace id
    r"\b\d{6,}\b",  # an order number, a time stamp
)


class Fingerprints:
    """Knows the fingerprints of the system prompts that came last; keeps none of their text."""

    def __init__(self, variables: tuple[str, ...], known_variables: bool) -> None:
        """Variables are RE2 patterns; raises ValueError for one that will not do."""
        self._variables = [compiled(f"variables[{number}]", pattern) for number, pattern in enumerate(variables)]
        if known_variables:
            self._variables.append(re2.compile("(?i)" + "|".join(KNOWN_VARIABLES)))
        self._known: dict[bytes, str] = {}

    def of(self, exchange: Exchange) -> str | None:
        """16 hex digits of the system prompt's template; None where there is no system prompt."""
        prompt = "\n".join(_system_texts(exchange)).encode("utf-8", "surrogatepass")[:LONGEST]
        if not prompt.strip():
            return None
        digest = blake2b(prompt, digest_size=16).digest()
        if digest not in self._known:
            if len(self._known) == REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[digest] = self._fingerprint(prompt)
        return self._known[digest]

    def _fingerprint(self, prompt: bytes) -> str:
        for variable in self._variables:
            prompt = variable.sub(b" ", prompt)
        return blake2b(b" ".join(prompt.split()), digest_size=8).hexdigest()


def _system_texts(exchange: Exchange) -> Iterator[str]:
    """Whether the API has a place of its own for them or they come as messages."""
    for part in exchange.system_instructions:
        if part.type == "text" and part.content:
            yield part.content
    for message in exchange.input_messages:
        if message.role in ("system", "developer"):
            for part in message.parts:
                if part.type == "text" and part.content:
                    yield part.content

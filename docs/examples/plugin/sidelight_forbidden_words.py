"""Does the answer say a word that the house does not say?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sidelight import Evaluation, Exchange, text_of

WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class ForbiddenWords:
    """Counts the words of the answer that are on a list; any of them fails it."""

    words: tuple[str, ...]

    requires: ClassVar[tuple[str, ...]] = ("response_text",)

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("words is empty; give at least one")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        forbidden = {word.casefold() for word in self.words}
        said = [word for word in WORD.findall(text_of(exchange.output_messages).casefold()) if word in forbidden]
        # Which ones it were is the answer's secret: explanations leave with the telemetry, also where texts may not.
        explanation = f"{len(said)} words of the answer are among the {len(forbidden)} forbidden ones"
        return (Evaluation("forbidden_words", float(len(said)), "fail" if said else "pass", explanation),)

"""How long is the answer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, text_of
from processors.options import check_limit


@dataclass(frozen=True, slots=True)
class Length:
    """Counts the answer's words; of scripts that set no spaces, its characters tell more."""

    min_words: int | None = None  # fails below
    max_words: int | None = None  # fails above

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "words"

    def __post_init__(self) -> None:
        check_limit("min_words", self.min_words, "words")
        check_limit("max_words", self.max_words, "words")
        if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(f"min_words is {self.min_words}, more than max_words, {self.max_words}")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        text = text_of(exchange.output_messages)
        words = len(text.split())
        label = None
        if self.min_words is not None or self.max_words is not None:
            label = "pass" if (self.min_words or 0) <= words <= (self.max_words or words) else "fail"
        return (Evaluation("length", float(words), label, f"{len(text):,} characters"),)

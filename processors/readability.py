"""How hard is the answer to read? Flesch's reading ease and the grade after Kincaid, for English prose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from pipeline.records import Evaluation, Exchange, text_of
from processors.language import language_of
from processors.options import check_limit
from processors.prose import prose_of, sentences_of

MIN_SENTENCES: Final = 3
MIN_WORDS: Final = 50
LETTERS: Final = bytes(code if chr(code).islower() and code < 128 else ord(" ") for code in range(256))
VOWELS: Final = bytes(code if chr(code) in "aeiouy" else ord(" ") for code in range(256))
TAIL: Final = 4  # letters at the end of a word that tell whether it ends in a silent vowel
# An "e" in these endings is silent, except after these letters: "make" and "makes", but "pages", "wanted" and "agree".
SPOKEN_AFTER: Final = {"e": "aeiouy", "es": "aeiouyscgxzh", "ed": "aeiouytd"}
ENDINGS: Final = tuple(SPOKEN_AFTER)
AFTER_THESE_SILENT: Final = tuple("aeiouylr")  # "l" and "e" after these are no syllable


class Counts(NamedTuple):
    """What both formulas are made of."""

    sentences: int
    words: int
    syllables: int


@dataclass(frozen=True, slots=True)
class Readability:
    """Scores English answers by reading ease (100 is easy) and by the school grade that can read them."""

    max_grade: float | None = None  # fails above; None: no judgement

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "Flesch reading ease; school grade"

    def __post_init__(self) -> None:
        check_limit("max_grade", self.max_grade, "school years")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        prose = prose_of(text_of(exchange.output_messages))
        if language_of(prose) != "en":
            return ()
        counts = counts_of(prose)
        if counts.sentences < MIN_SENTENCES or counts.words < MIN_WORDS:
            return ()
        return (Evaluation("readability.reading_ease", reading_ease(counts)), self._judged(grade(counts)))

    def _judged(self, value: float) -> Evaluation:
        if self.max_grade is None:
            return Evaluation("readability.grade", value)
        if value > self.max_grade:
            return Evaluation("readability.grade", value, "fail", f"grade {value:g}, limit {self.max_grade:g}")
        return Evaluation("readability.grade", value, "pass")


def counts_of(prose: str) -> Counts:
    """Syllables are estimated: groups of vowels, less the silent ones at the ends of words."""
    letters = prose.lower().encode("ascii", "replace").translate(LETTERS, b"'")
    words = letters.decode().split()
    groups = len(letters.translate(VOWELS).split())
    silent = sum(_ends_silently(word[-TAIL:]) for word in words if word.endswith(ENDINGS))
    return Counts(len(sentences_of(prose)), len(words), max(len(words), groups - silent))


@lru_cache(maxsize=4096)
def _ends_silently(tail: str) -> bool:
    ending = tail[-1:] if tail.endswith("e") else tail[-2:]
    stem = tail[: -len(ending)]
    if stem[-1:] in SPOKEN_AFTER[ending]:
        return False
    if stem.endswith("l"):  # "whole" and "called", but "table" and "handled"
        return stem[-2:-1] in AFTER_THESE_SILENT
    return len(tail) == TAIL or any(vowel in stem for vowel in "aeiouy")  # in "the" and "we" it is the only one


def reading_ease(counts: Counts) -> float:
    """After Flesch: 100 is very easy, below 30 very hard."""
    return round(206.835 - 1.015 * counts.words / counts.sentences - 84.6 * counts.syllables / counts.words, 2)


def grade(counts: Counts) -> float:
    """After Flesch and Kincaid: years of school."""
    return round(0.39 * counts.words / counts.sentences + 11.8 * counts.syllables / counts.words - 15.59, 2)

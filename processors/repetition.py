"""Has the model fallen into a loop? Repeated word groups, a looping tail, runs of one line, and compressibility."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, text_of
from processors.options import check_share

MAX_CHARACTERS = 20_000  # loops come at the end, so of a longer answer the end is read
GROUP = 4  # words in a group
TAIL = 256  # words at the end searched for a loop
MIN_WORDS = 24  # shorter answers have no room to degenerate
MIN_TURNS = 4  # times in a row before it is a loop or a run
SPARSE, DENSE = 0.12, 0.02  # compressed ÷ plain size: prose, code and even long tables stay near or above the first
MIN_COMPRESSED = 512  # bytes; below, the ratio says little
LONGEST_WORD = 24  # mean; longer "words" mean a script without spaces, or one endless token


@dataclass(frozen=True, slots=True)
class Repetition:
    """Scores from 0 to 1 how much of the answer says again what it has said."""

    threshold: float = 0.5  # fails at this score

    requires: ClassVar[tuple[str, ...]] = ("response_text",)
    scale: ClassVar[str] = "0 … 1 repeats itself"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        texts = [text for message in exchange.output_messages if (text := text_of((message,)))]
        if not texts:
            return ()
        score, kind = max(map(repetition, texts))
        label = "fail" if score >= self.threshold else "pass"
        return (Evaluation("repetition", round(score, 4), label, kind if score else None),)


def repetition(text: str) -> tuple[float, str]:
    """The strongest of the four signs and its name; linear in at most MAX_CHARACTERS."""
    text = text[-MAX_CHARACTERS:]
    words = _words(text)
    if len(words) < MIN_WORDS:
        return 0.0, "short"
    signs = (
        (_repeated_groups(words), "repeated phrases"),
        (_looping_tail(words[-TAIL:]), "looping end"),
        (_line_run(text), "repeated lines"),
        (_compressibility(text), "compressible"),
    )
    return max(signs)


def _words(text: str) -> list[str]:
    words = text.split()
    return list(text) if len(text) > LONGEST_WORD * len(words) else words


def _repeated_groups(words: list[str]) -> float:
    groups = list(zip(*(words[offset:] for offset in range(GROUP)), strict=False))
    return 1 - len(set(groups)) / len(groups)


def _looping_tail(words: list[str]) -> float:
    """The share of the words covered by the longest suffix that is one phrase said MIN_TURNS times or more."""
    reach = _prefix_matches(words[::-1])
    loops = (reach[period] + period for period in range(1, len(words)) if reach[period] >= (MIN_TURNS - 1) * period)
    return max(loops, default=0) / len(words)


def _prefix_matches(items: list[str]) -> list[int]:
    """The Z function: at each index, how many items from there equal those from the start. Linear."""
    size = len(items)
    reach = [0] * size
    left = right = 0
    for index in range(1, size):
        length = min(right - index, reach[index - left]) if index < right else 0
        while index + length < size and items[length] == items[index + length]:
            length += 1
        reach[index] = length
        if index + length > right:
            left, right = index, index + length
    return reach


def _line_run(text: str) -> float:
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    longest = max((sum(1 for _ in run) for _, run in groupby(lines)), default=0)
    return longest / len(lines) if longest >= MIN_TURNS else 0.0


def _compressibility(text: str) -> float:
    data = text.encode("utf-8", "replace")
    if len(data) < MIN_COMPRESSED:
        return 0.0
    ratio = len(zlib.compress(data, 1)) / len(data)
    return min(1.0, max(0.0, (SPARSE - ratio) / (SPARSE - DENSE)))

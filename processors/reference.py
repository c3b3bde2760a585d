"""How close is the answer to the one that was expected? By overlap alone: the same words, order, letters.

Exact match and token F1 as SQuAD has them, BLEU (Papineni et al. 2002, smoothed as by Lin and Och 2004), ROUGE-L
(Lin 2004), chrF (Popović 2015; letters 1 to 6, beta 2).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, text_of
from processors.options import check_share

MAX_WORDS = 1000  # of each side; ROUGE-L takes their product
MAX_CHARACTERS = 8000
LETTERS = 6
WORDS = 4
BETA = 2
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Reference:
    """Compares the answer with the ground truth: exact match, token F1, BLEU, ROUGE-L and chrF, from 0 to 1."""

    threshold: float | None = None  # of token F1; None: no verdict, only scores

    requires: ClassVar[tuple[str, ...]] = ("response_text", "ground_truth")
    scale: ClassVar[str] = "0 … 1 the same"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answer, expected = text_of(exchange.output_messages), exchange.ground_truth or ""
        ours, theirs = words(answer), words(expected)
        f1 = token_f1(ours, theirs)
        label = None if self.threshold is None else "pass" if f1 >= self.threshold else "fail"
        return (
            Evaluation("reference.f1", round(f1, 4), label),
            Evaluation("reference.exact", float(ours == theirs)),
            Evaluation("reference.bleu", round(bleu(ours, theirs), 4)),
            Evaluation("reference.rouge_l", round(rouge_l(ours, theirs), 4)),
            Evaluation("reference.chrf", round(chrf(answer, expected), 4)),
        )


def words(text: str) -> list[str]:
    """In lower case, without punctuation; at most MAX_WORDS."""
    return WORD.findall(text.lower())[:MAX_WORDS]


def token_f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Harmonic mean of the shares of words that both have."""
    common = sum((Counter(ours) & Counter(theirs)).values())
    return f_measure(common, len(ours), len(theirs))


def bleu(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Of one text, with one added to the counts of 2 to 4 words."""
    if not ours or not theirs:
        return float(ours == theirs)
    logs = 0.0
    for size in range(1, WORDS + 1):
        mine, wanted = word_grams(ours, size), word_grams(theirs, size)
        smooth = size > 1
        common, total = sum((mine & wanted).values()) + smooth, sum(mine.values()) + smooth
        if not common:
            return 0.0
        logs += log(common / total)
    return exp(logs / WORDS + min(1 - len(theirs) / len(ours), 0.0))


def word_grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def f_measure(common: float, ours: int, theirs: int) -> float:
    if not ours and not theirs:
        return 1.0
    return 2 * common / (ours + theirs)


def rouge_l(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """F1 of the longest common subsequence."""
    return f_measure(longest_common_subsequence(ours, theirs), len(ours), len(theirs))


def longest_common_subsequence(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Its length, by bits: one integer holds a row of the table (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for position, word in enumerate(ours):
        places[word] = places.get(word, 0) | 1 << position
    full = (1 << len(ours)) - 1
    row = full
    for word in theirs:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(ours) - row.bit_count()


def chrf(answer: str, expected: str) -> float:
    """F2 of the letters that follow each other, of one to six; spaces do not count."""
    ours, theirs = ("".join(text.split())[:MAX_CHARACTERS] for text in (answer, expected))
    if not ours or not theirs:
        return float(ours == theirs)
    precisions, recalls = [], []
    for size in range(1, LETTERS + 1):
        mine, wanted = grams(ours, size), grams(theirs, size)
        if mine and wanted:
            common = sum((mine & wanted).values())
            precisions.append(common / sum(mine.values()))
            recalls.append(common / sum(wanted.values()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weighted = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / weighted if weighted else 0.0


def grams(text: str, size: int) -> Counter[str]:
    return Counter(text[start : start + size] for start in range(len(text) - size + 1))

"""Does the answer say what the expected one says? By words of substance, or, with the model, by meaning.

Each sentence is compared with the one of the other side that is most like it; the score is the harmonic mean of how
well the expected sentences are found in the answer, and the answer's among the expected. A "not" changes little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, text_of
from processors.embeddings import Embedder, Method, check_method, embedder
from processors.options import check_share
from processors.words import COMMON_BEGINNINGS, beginnings, sentences

MAX_CHARACTERS: Final = 20_000  # of each side
MOST_SENTENCES: Final = 16  # of each side that the model reads
MOST_READ: Final = 400  # characters of such a sentence


@dataclass(frozen=True, slots=True)
class Similarity:
    """Scores from 0 to 1 how near the answer comes to the expected one."""

    threshold: float | None = None  # fails below; None: no verdict, only a score
    method: Method = "lexical"

    requires: ClassVar[tuple[str, ...]] = ("response_text", "ground_truth")
    scale: ClassVar[str] = "0 … 1 the same"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_share("threshold", self.threshold)
        check_method(self.method)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answer = text_of(exchange.output_messages)[:MAX_CHARACTERS]
        expected = (exchange.ground_truth or "")[:MAX_CHARACTERS]
        model = embedder(self.method, answer, expected)
        if model:
            score, by = by_meaning(model, answer, expected), "embeddings: mean cosine of the sentences most alike"
        else:
            score, by = by_words(answer, expected), "lexical: words of substance that both have"
        label = None if self.threshold is None else "pass" if score >= self.threshold else "fail"
        return (Evaluation("similarity", round(score, 4), label, by),)


def by_words(answer: str, expected: str) -> float:
    """F1 of the beginnings of their words, the commonest left out where others remain."""
    ours, theirs = set(beginnings(answer)), set(beginnings(expected))
    ours, theirs = ours - COMMON_BEGINNINGS or ours, theirs - COMMON_BEGINNINGS or theirs
    if not ours or not theirs:
        return float(answer.strip() == expected.strip())
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def by_meaning(model: Embedder, answer: str, expected: str) -> float:
    ours, theirs = (
        [sentence[:MOST_READ] for sentence in sentences(text)[:MOST_SENTENCES]] or [text[:MOST_READ]]
        for text in (answer, expected)
    )
    vectors = model.vectors([*ours, *theirs])
    alike = vectors[: len(ours)] @ vectors[len(ours) :].T
    precision, recall = (float(alike.max(axis=axis).clip(0, 1).mean()) for axis in (1, 0))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

"""Which of the texts that an application retrieved does the answer use? What is never used costs tokens for nothing.

Each sentence of the answer points to the text that has most of its words of substance, where that is half of them or
more; with the model also to the text with the sentence that means most nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, text_of
from processors.claims import Claim, claims_in
from processors.embeddings import Embedder, Method, check_method, embedder
from processors.nearness import nearest
from processors.options import check_share
from processors.words import COMMON_BEGINNINGS, beginnings, sentences

MAX_CHARACTERS: Final = 65_536  # of each text
ENOUGH: Final = 0.5  # of a sentence's words of substance
ALIKE: Final = 0.6  # cosine of a sentence of the answer to one of the context


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Scores from 0 to 1 how many of the context's texts the answer uses."""

    threshold: float | None = None  # fails below; None: no verdict, only a score
    method: Method = "lexical"

    requires: ClassVar[tuple[str, ...]] = ("response_text", "context", "success")
    scale: ClassVar[str] = "share of texts used"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_share("threshold", self.threshold)
        check_method(self.method)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answered = text_of(exchange.output_messages)
        claims = claims_in(answered)
        if not claims or not exchange.context:
            return ()
        texts = [text[:MAX_CHARACTERS] for text in exchange.context]
        pointed = pointed_to(claims, texts)
        used = set().union(*pointed)
        model = embedder(self.method, answered)
        if model:
            used.update(
                meant(model, [claim.text for claim, found in zip(claims, pointed, strict=True) if not found], texts)
            )
        score = len(used) / len(texts)
        label = None if self.threshold is None else "pass" if score >= self.threshold else "fail"
        by = "embeddings" if model else "lexical"
        said = f"{by}: the answer uses {len(used)} of {len(texts)} texts of the context"
        return (Evaluation("context_use", round(score, 4), label, said),)


def pointed_to(claims: Iterable[Claim], texts: Iterable[str]) -> list[set[int]]:
    """For each sentence the numbers of the texts that have most of it; several that have the same."""
    words = [frozenset(beginnings(text)) for text in texts]
    return [_texts_with(claim.words - COMMON_BEGINNINGS, words) for claim in claims]


def _texts_with(wanted: frozenset[str], texts: Sequence[frozenset[str]]) -> set[int]:
    shared = [len(wanted & text) for text in texts]
    most = max(shared)
    if not wanted or most < ENOUGH * len(wanted):
        return set()
    return {number for number, each in enumerate(shared) if each == most}


def meant(model: Embedder, claims: Sequence[str], texts: Sequence[str]) -> Iterator[int]:
    """The numbers of the texts in which a sentence is that means the same."""
    owners = [(sentence, number) for number, text in enumerate(texts) for sentence in sentences(text)]
    for found in nearest(claims, [sentence for sentence, _ in owners], model):
        if found.number is not None and found.alike >= ALIKE:
            yield owners[found.number][1]

"""Does the answer speak of what was asked? By the words that both use, or, with the model, by what both mean.

By words it finds answers that have nothing to do with their question, and no more: a wrong answer in the right words
passes, and an answer in words of its own says nothing of itself where it is short. By meaning short ones are judged as
well; a wrong answer passes all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, question_of, text_of
from processors.embeddings import Embedder, Method, check_method, embedder
from processors.options import check_share
from processors.words import stems

FEWEST_ASKED = 3  # words of substance; a shorter question has too few to be missed
FEWEST_ANSWERED = 5
READ = 200  # characters of each that the model reads: an answer comes to its subject at once
THRESHOLDS: Mapping[str, float] = {"lexical": 0.1, "embeddings": 0.3}


@dataclass(frozen=True, slots=True)
class AnswerRelevancy:
    """Scores from 0 to 1 how much of the question the answer takes up: of its words, or of its meaning."""

    threshold: float | None = None  # fails below this score; None: 0.1 by words, 0.3 by meaning
    method: Method = "lexical"

    requires: ClassVar[tuple[str, ...]] = ("response_text", "success")
    scale: ClassVar[str] = "0 off the subject … 1"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_share("threshold", self.threshold)
        check_method(self.method)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        asked, answered = question_of(exchange).strip(), text_of(exchange.output_messages).strip()
        model = embedder(self.method, asked[:READ], answered[:READ])
        if model and asked and answered:
            score, said = by_meaning(model, asked[:READ], answered[:READ]), "embeddings: cosine of question and answer"
        elif found := by_words(stems(asked), stems(answered)):
            score, said = found
        else:
            return ()
        threshold = self.threshold if self.threshold is not None else THRESHOLDS[said.partition(":")[0]]
        if score < threshold:  # it may take up an earlier turn, or speak of what it was given to read
            score = max(score, elsewhere(exchange, stems(answered)))
        label = "pass" if score >= threshold else "fail"
        return (Evaluation("answer_relevancy", round(score, 4), label, said),)


def by_meaning(model: Embedder, asked: str, answered: str) -> float:
    ours, theirs = model.vectors((asked, answered))
    return max(float(ours @ theirs), 0.0)


def by_words(asked: frozenset[str], answered: frozenset[str]) -> tuple[float, str] | None:
    """The share of the question's words that the answer has, in figures and in words; None where there are too few."""
    if len(asked) < FEWEST_ASKED or len(answered) < FEWEST_ANSWERED:
        return None
    shared = len(asked & answered)
    return shared / len(asked), f"lexical: {shared} of {len(asked)} words of the question are in the answer"


def elsewhere(exchange: Exchange, answered: frozenset[str]) -> float:
    """The share of the answer's words that were said before, or were there to read; half at most."""
    if len(answered) < FEWEST_ANSWERED:
        return 0.0
    return min(len(stems(" ".join(others_of(exchange))) & answered) / len(answered), 0.5)


def others_of(exchange: Exchange) -> Iterable[str]:
    """Earlier turns and documents."""
    yield from (text_of((each,)) for each in exchange.input_messages[:-1])
    yield from exchange.context

"""Is what the answer says in what it was given to read? Sentence by sentence, by words or by meaning.

A sentence is supported where most of its words are together in one passage of the context, and each of its numbers and
names is somewhere in the context or the question. That finds what was made up; it is no proof. Words in another order
or with a "not" pass, and an answer in words of its own fails, unless meanings are compared too: with the model, a
sentence that means nearly the same as one of the context is supported as well. Derived figures count as made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, question_of, text_of
from processors.claims import Claim, claims_in
from processors.embeddings import Method, check_method, embedder
from processors.nearness import nearest
from processors.options import check_share
from processors.refusal import phrase_kind
from processors.words import beginnings, names, numbers, sentences

MAX_QUESTION: Final = 20_000  # characters
MAX_CONTEXT: Final = 262_144  # characters of all texts
HEAD: Final = 300  # characters in which an answer declines
STRIDE: Final = 50  # words; a passage is twice as long and overlaps the next
ENOUGH: Final = 0.7  # of a sentence's words in one passage
ALIKE: Final = 0.7  # cosine of a sentence to one of the context
SMALL: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleve", "twelv")
TOOLS: Final = "tools"  # whose data a good answer says in words of its own: a score, and no verdict by words
ANY_DIGIT: Final = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Groundedness:
    """Scores from 0 to 1 how many of the answer's sentences the context supports."""

    threshold: float | None = 0.75  # fails below this share of sentences; None: no verdict, only a score
    method: Method = "lexical"

    requires: ClassVar[tuple[str, ...]] = ("response_text", "context", "success")
    scale: ClassVar[str] = "share of sentences supported"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_share("threshold", self.threshold)
        check_method(self.method)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answered = text_of(exchange.output_messages)
        claims = claims_in(answered)
        if not claims or not exchange.context:
            return ()
        ground = Ground(exchange.context, question_of(exchange))
        covered = [claim for claim in claims if ground.covers(claim)]
        made_up = sum(ground.misses(claim) for claim in covered)
        supported = len(covered) - made_up
        model = embedder(self.method, answered)
        if model and len(covered) < len(claims):
            others = [claim.text for claim in claims if claim not in covered and not ground.misses(claim)]
            supported += sum(found.alike >= ALIKE for found in nearest(others, ground.sentences, model))
        score = supported / len(claims)
        if score < 1 and declines(answered):  # who declines claims nothing
            return ()
        judged = self.threshold is not None and exchange.context_source != TOOLS
        label = None if not judged else "pass" if score >= (self.threshold or 0) else "fail"
        said = f"{'embeddings' if model else 'lexical'}: the context supports {supported} of {len(claims)} sentences"
        if made_up:
            said += f"; {made_up} but for a number or name that is not there"
        if ground.is_cut:
            said += "; the context was too long to be read whole"
        return (Evaluation("groundedness", round(score, 4), label, said),)


def declines(answer: str) -> bool:
    return not answer.startswith(("{", "[")) and phrase_kind(answer[:HEAD]) is not None


class Ground:
    """What an answer may say."""

    def __init__(self, context: Sequence[str], question: str) -> None:
        self._texts = list(shortened_to(MAX_CONTEXT, context))
        self._question = question[:MAX_QUESTION]
        self._passages = [passage for text in self._texts for passage in passages(beginnings(text))]
        self.is_cut = sum(map(len, context)) > MAX_CONTEXT

    def covers(self, claim: Claim) -> bool:
        """Are most of its words in one passage?"""
        enough = ENOUGH * len(claim.words)
        return any(len(claim.words & passage) >= enough for passage in self._passages)

    def misses(self, claim: Claim) -> bool:
        """Has it a number or a name that is neither here nor in the question?"""
        told = {name for name in names(claim.text) if not self._knows(name)}
        if ANY_DIGIT.search(claim.text):
            told |= {number for number in numbers(claim.text) - self._numbers if not self._knows(in_words(number))}
        return not told.issubset(self._asked) if told else False

    def _knows(self, word: str) -> bool:
        return any(word in passage for passage in self._passages)

    @cached_property
    def sentences(self) -> list[str]:
        """Of the context, for the model."""
        return [sentence for text in self._texts for sentence in sentences(text)]

    @cached_property
    def _numbers(self) -> set[str]:
        return set().union(*map(numbers, self._texts))

    @cached_property
    def _asked(self) -> set[str]:
        """Names may come from the question, and numbers: they are not the answer's inventions."""
        return {*beginnings(self._question), *numbers(self._question)}


def shortened_to(most: int, texts: Iterable[str]) -> Iterator[str]:
    """The texts until they have so many characters together."""
    for text in texts:
        if most <= 0:
            return
        yield text[:most]
        most -= len(text)


def passages(words: Sequence[str]) -> list[frozenset[str]]:
    """Its words, so many at a time, each passage beginning in the middle of the one before."""
    return [frozenset(words[start : start + 2 * STRIDE]) for start in range(0, max(len(words) - STRIDE, 1), STRIDE)]


def in_words(number: str) -> str:
    """A small number as it is written out, by its beginning."""
    return SMALL[int(number)] if number.isdecimal() and len(number) < 3 and int(number) < len(SMALL) else ""

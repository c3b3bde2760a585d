"""Does the answer speak of what was asked? By the words that both use: a lexical stand-in for a comparison of meanings.

It finds answers that have nothing to do with their question, and no more: a wrong answer in the right words passes, and
an answer in words of its own says nothing of itself where it is short.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, question_of, text_of
from processors.options import check_share

MAX_CHARACTERS = 20_000
STEM = 5  # letters of a word that are compared: endings differ between question and answer
FEWEST_ASKED = 3  # words of substance; a shorter question has too few to be missed
FEWEST_ANSWERED = 5
WORD = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\d_]{3,}|\d+")
WIDE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")

# Words that say nothing of the subject: of questions and of answers, in the commonest languages.
NO_SUBJECT: Final = """
the and for are was were with that this from have has had not but you your yours our his her its their them they who
whom what which when where why how can could should would will shall may might must does did doing done being been
there here about into over under than then also just only some any all each every more most much many very please
tell give show explain describe list make want need know think like get got let say said one two use used using der
die das und ist sind war waren mit von für auf den dem des ein eine einer einem einen nicht auch oder aber wie was
wer wann warum welche welcher welches kann können soll sollte wird werden haben hat hatte bitte ich sie wir ihr mir
mich mein meine sich aus bei nach zum zur über unter dass wenn man les des une est sont avec pour dans sur par que
qui quoi quand comment pourquoi quel quelle quels quelles vous nous ils elles mon mes ses ces cette peut peuvent
doit faire fait plus moins tout tous pas être avoir los las una uno unos unas con por para que quien cuando como
donde cual cuales puede pueden debe ser estar hacer del esto esta este estos estas más menos todo todos muy pero sin
sobre
"""
COMMON: Final = frozenset(NO_SUBJECT.split())


@dataclass(frozen=True, slots=True)
class AnswerRelevancy:
    """Scores from 0 to 1 how many of the question's words the answer takes up; lexical, without a model."""

    threshold: float = 0.1  # fails below this score

    requires: ClassVar[tuple[str, ...]] = ("response_text", "success")
    scale: ClassVar[str] = "0 off the subject … 1"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        asked = stems(question_of(exchange))
        answered = stems(text_of(exchange.output_messages))
        if len(asked) < FEWEST_ASKED or len(answered) < FEWEST_ANSWERED:
            return ()
        shared = len(asked & answered)
        score = shared / len(asked)
        if score < self.threshold:  # it may take up an earlier turn, or speak of what it was given to read
            background = stems(" ".join(others_of(exchange)))
            score = max(score, min(len(background & answered) / len(answered), 0.5))
        label = "pass" if score >= self.threshold else "fail"
        said = f"lexical: {shared} of {len(asked)} words of the question are in the answer"
        return (Evaluation("answer_relevancy", round(score, 4), label, said),)


def others_of(exchange: Exchange) -> Iterable[str]:
    """Earlier turns and documents."""
    yield from (text_of((each,)) for each in exchange.input_messages[:-1])
    yield from exchange.context


def stems(text: str) -> frozenset[str]:
    """The beginnings of its words of substance; of scripts without spaces each two characters."""
    text = text[:MAX_CHARACTERS].lower()
    found = WORD.findall(text)
    plain = {word[:STEM] for word in set(found) - COMMON}
    if text.isascii() or not WIDE.search(text):
        return frozenset(plain)
    wide = [word for word in found if WIDE.match(word)]
    return frozenset(plain - set(wide) | {one + other for one, other in pairwise(wide)})

"""Which of some texts means most nearly the same as a sentence: the model reads only those that share words with it.

A text costs the model some 10 ms. So of many texts the few that have most words in common with a sentence are compared,
and of a long answer as many sentences as there is room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import Final, NamedTuple

from processors.embeddings import Embedder, is_readable
from processors.words import stems

CANDIDATES: Final = 6  # texts that are compared with one sentence
MOST_TEXTS: Final = 32  # that the model reads for one exchange
MAX_CHARACTERS: Final = 400  # of each


class Nearest(NamedTuple):
    """The text that is most alike: its cosine, and which it is; (0, None) where nothing was compared."""

    alike: float = 0.0
    number: int | None = None


def nearest(sentences: Sequence[str], texts: Sequence[str], model: Embedder) -> list[Nearest]:
    """For each sentence."""
    wanted = compared(sentences, texts)
    pairs = [(sentences[row], [texts[number] for number in numbers]) for row, numbers in wanted.items()]
    read = list(dict.fromkeys(shortened(text) for sentence, others in pairs for text in (sentence, *others)))
    vectors = dict(zip(read, model.vectors(read), strict=True))
    found = [Nearest()] * len(sentences)
    for row, numbers in wanted.items():
        ours = vectors[shortened(sentences[row])]
        found[row] = max(Nearest(float(ours @ vectors[shortened(texts[number])]), number) for number in numbers)
    return found


def compared(sentences: Sequence[str], texts: Sequence[str]) -> dict[int, list[int]]:
    """The numbers of those that can be compared → the numbers of the texts that they are compared with."""
    words = {number: stems(text) for number, text in enumerate(texts) if is_readable(text)}
    wanted: dict[int, list[int]] = {}
    read: set[str] = set()
    for row, sentence in enumerate(sentences):
        if not words or not is_readable(sentence):
            continue
        asked = stems(sentence)
        numbers = nlargest(CANDIDATES, words, key=lambda number: len(asked & words[number]))
        more = read | {shortened(sentence)} | {shortened(texts[number]) for number in numbers}
        if len(more) > MOST_TEXTS:
            break
        wanted[row], read = numbers, more
    return wanted


def shortened(text: str) -> str:
    return text[:MAX_CHARACTERS]

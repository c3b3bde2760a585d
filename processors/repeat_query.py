"""Does the user ask again what was asked before in this conversation? Then the answer before was of no use.

The last message is compared with the user's earlier ones: the same but for case and signs, at least 80 % of all words
in both, or, with the model, nearly the same meaning. Texts that an application puts around the question do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, text_of
from processors.embeddings import Embedder, Method, check_method, embedder, is_readable
from processors.words import beginnings

EARLIER: Final = 20  # messages of the user that are looked at, the latest
MAX_CHARACTERS: Final = 4000  # of each
FEWEST: Final = 3  # different words; "yes", "go on" may well come twice
SAME_WORDS: Final = 0.8  # Jaccard
ALIKE: Final = 0.9  # cosine
MOST_READ: Final = 400  # characters that the model reads


@dataclass(frozen=True, slots=True)
class RepeatQuery:
    """Finds a user who asks again, from 0 to 1 by how alike the last question and an earlier one are."""

    method: Method = "lexical"

    requires: ClassVar[tuple[str, ...]] = ("content",)
    scale: ClassVar[str] = "0 … 1 asked again"

    def __post_init__(self) -> None:
        check_method(self.method)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        asked = questions_of(exchange)
        if len(asked) < 2 or len(words := set(beginnings(asked[-1]))) < FEWEST:
            return ()
        score = max(jaccard(words, set(beginnings(earlier))) for earlier in asked[:-1])
        again, by = score >= SAME_WORDS, "lexical"
        model = embedder(self.method, asked[-1])
        if model and not again:
            score = max(score, most_alike(model, asked))
            again, by = score >= ALIKE, "embeddings"
        said = f"{by}: {'like' if again else 'unlike'} the {len(asked) - 1} before it"
        return (Evaluation("repeat_query", round(score, 4), "fail" if again else "pass", said),)


def questions_of(exchange: Exchange) -> list[str]:
    """What the user said, the last last; nothing where somebody else spoke last."""
    said = [text_of((message,)) for message in exchange.input_messages if message.role == "user"]
    if not said or exchange.input_messages[-1].role != "user":
        return []
    return [without(text, exchange.context)[:MAX_CHARACTERS] for text in said[-EARLIER - 1 :] if text]


def without(text: str, parts: Sequence[str]) -> str:
    """What it says beside these."""
    for part in parts:
        text = text.replace(part, " ")
    return text


def jaccard(ours: set[str], theirs: set[str]) -> float:
    return len(ours & theirs) / len(ours | theirs)


def most_alike(model: Embedder, asked: Sequence[str]) -> float:
    """The highest cosine of the last to one before; 0 where the model cannot read them."""
    readable = [text[:MOST_READ] for text in asked if is_readable(text)]
    if len(readable) < 2:
        return 0.0
    vectors = model.vectors(readable)
    return float((vectors[:-1] @ vectors[-1]).max())

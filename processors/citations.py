"""Do the sources that the answer names by number exist among the documents that it was given?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pipeline.records import Evaluation, Exchange, text_of
from processors.options import check_share
from processors.prose import MAX_CHARACTERS, without_code

# [1], [1, 3], [2-4], [^1], [doc 2], 【3†source】, (source 4): a number in brackets that is no link's text and no index.
CITED: Final = re.compile(
    r"(?<![\w\])])[\[【]\s*(?:\^|docs?\.?\s*|document\s+|source\s+|quelle\s+)?"
    r"(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*(?:†[^\]】]{0,80})?[\]】](?!\()",
    re.IGNORECASE,
)
PIECE: Final = re.compile(r"(\d{1,3})(?:\s*[–-]\s*(\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class Citations:
    """Scores the share of the answer's numbered citations that lead to a document of the context."""

    threshold: float = 1.0  # fails when a smaller share does
    needed: bool = False  # an answer without any fails

    requires: ClassVar[tuple[str, ...]] = ("response_text", "context", "success")
    scale: ClassVar[str] = "share that lead to a document"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        cited = list(citations_in(text_of(exchange.output_messages)))
        if not cited:
            return (Evaluation("citations", 0.0, "fail", "nothing is cited"),) if self.needed else ()
        there = sum(1 <= number <= len(exchange.context) for number in cited)
        share = there / len(cited)
        said = f"{len(cited) - there} of {len(cited)} citations lead nowhere" if there < len(cited) else None
        return (Evaluation("citations", round(share, 4), "pass" if share >= self.threshold else "fail", said),)


def citations_in(text: str) -> Iterator[int]:
    """Every number that is cited, as often as it is; of a range both ends and all between them."""
    if "[" not in text and "【" not in text:
        return
    for match in CITED.finditer(without_code(text[:MAX_CHARACTERS])):
        for piece in PIECE.finditer(match[1]):
            first, last = int(piece[1]), int(piece[2] or piece[1])
            yield from range(first, last + 1) if first <= last else (first, last)

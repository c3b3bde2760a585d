"""The sentences of an answer that say something, so that one can ask where they come from."""

from __future__ import annotations

from typing import Final, NamedTuple

from processors.words import beginnings, sentences

MAX_CHARACTERS: Final = 20_000  # of the answer
MAX_SENTENCES: Final = 64
FEWEST: Final = 3  # different words of a sentence that says anything
ENDING: Final = 500  # characters in which it makes an offer
NO_CLAIM: Final = (  # such offers
    "let me know",
    "feel free",
    "hope this helps",
    "hope that helps",
    "happy to help",
    "would you like",
    "any other question",
    "any further question",
    "melden sie sich",
    "n'hésitez pas",
    "no dudes en",
    "no dude en",
)


class Claim(NamedTuple):
    """A sentence of the answer and its words."""

    text: str
    words: frozenset[str]


def claims_in(answer: str) -> list[Claim]:
    """The sentences that say something: no headings, offers and exclamations. Of a long answer the first of them."""
    answer = answer[:MAX_CHARACTERS]
    said = [each for each in sentences(answer)[:MAX_SENTENCES] if not each.startswith("#") and not each.endswith(":")]
    lower = answer[-ENDING:].lower()
    offers = [phrase for phrase in NO_CLAIM if phrase in lower]
    if offers:
        said = [each for each in said if not any(offer in each.lower() for offer in offers)]
    claims = [Claim(each, frozenset(beginnings(each))) for each in said]
    return [claim for claim in claims if len(claim.words) >= FEWEST]

"""Text → the word pieces that BERT's uncased models were trained on (Wu et al. 2016, as Devlin et al. 2018 use it).

A word is taken apart from its beginning, the longest piece that the vocabulary has first. What has no pieces is [UNK].
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

LONGEST_WORD: Final = 100  # characters; a longer word is [UNK]
CHARACTERS_A_PIECE: Final = 16  # of a text that are looked at; prose has 4 or 5 for each piece
REMEMBERED: Final = 16_384  # characters, and words: what texts are made of is soon all known
CONTROLS: Final = frozenset(("Cc", "Cf", "Cn", "Co", "Cs"))
IDEOGRAPHS: Final = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b81f\U0002b820-\U0002ceaf\U0002f800-\U0002fa1f]"
)


class WordPiece:
    """A vocabulary, one piece a line; a piece that goes on with a word begins with ##."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers: Mapping[str, int] = {piece: number for number, piece in enumerate(vocabulary)}
        self._unknown, self._begin, self._end = (self._numbers[each] for each in ("[UNK]", "[CLS]", "[SEP]"))
        self._spacing = Spacing()
        self._pieces = lru_cache(REMEMBERED)(self._taken_apart)

    def encode(self, text: str, most: int) -> list[int]:
        """Its pieces between [CLS] and [SEP]; at most so many with those two, the rest of the text is left out."""
        numbers = [self._begin]
        for word in self._words(text[: most * CHARACTERS_A_PIECE]):
            numbers += self._pieces(word)
            if len(numbers) >= most:
                break
        return [*numbers[: most - 1], self._end]

    def _words(self, text: str) -> list[str]:
        """In lower case without accents; signs and ideographs are words of their own."""
        if not text.isascii():
            text = unicodedata.normalize("NFD", text)
        return text.translate(self._spacing).lower().split()

    def _taken_apart(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self._unknown,)
        pieces = tuple(self._longest_pieces(word))
        return (self._unknown,) if None in pieces else pieces  # type: ignore[return-value]

    def _longest_pieces(self, word: str) -> Iterator[int | None]:
        start = 0
        while start < len(word):
            ends = range(len(word), start, -1)
            prefix = "##" if start else ""
            end = next((end for end in ends if prefix + word[start:end] in self._numbers), None)
            if end is None:
                yield None
                return
            yield self._numbers[prefix + word[start:end]]
            start = end


class Spacing(dict[int, str]):
    """For str.translate: what becomes of a character, looked up once."""

    def __missing__(self, code: int) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[code] = told = _spaced(chr(code))
        return told


def _spaced(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs":
        return " "
    if character == "\ufffd" or category == "Mn" or category in CONTROLS:
        return ""
    is_sign = category.startswith("P") or (character.isascii() and not character.isalnum())
    return f" {character} " if is_sign or IDEOGRAPHS.match(character) else character

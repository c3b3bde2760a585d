"""Texts as evaluators compare them: bounded, folded to one spelling, and taken out of JSON of any shape."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import re2

from pipeline.records import Json

MAX_CHARACTERS: Final = 20_000  # of one text that are read: the beginning and the end
MAX_VALUES: Final = 5_000  # of one JSON value that are walked
PIECE: Final = 500  # characters normalised at once: Unicode's ordering of marks takes quadratic time
TAGS: Final = {0xE0000 + code: code for code in range(0x20, 0x7F)}  # an invisible alphabet that models can read
GAP: Final = r"[\s*_\"'`~>.,:|\-]+"  # what may be between two words
MARKS: Final = bytes(code if chr(code).isalnum() or code >= 0x80 else 0x20 for code in range(256))
WORD: Final = re.compile(r"[^\W_]+")
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e01ef]+"
)
MAX_MEMORY: Final = 2**23  # bytes RE2 may use for one set; a set that outgrew them would be slow


def bounded(text: str, characters: int = MAX_CHARACTERS) -> str:
    """The text, or the beginning and the end of a long one."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n{text[-half:]}"


def folded(text: str) -> str:
    """One spelling for all: compatible forms, no case, nothing invisible, straight apostrophes; never a surrogate."""
    if text.isascii():
        return text.lower()
    text = INVISIBLE.sub("", text.translate(TAGS) if max(text) >= "\U000e0000" else text)
    pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    normal = "".join([unicodedata.normalize("NFKC", piece) for piece in pieces])
    return normal.casefold().replace("’", "'").encode("utf-8", "replace").decode()


def words_of(text: str) -> list[str]:
    """The words of a folded text, without marks."""
    if text.isascii():  # a fourth of the time
        return text.encode().translate(MARKS).decode().split()
    return WORD.findall(text)


def pattern_set(patterns: Iterable[str]) -> Any:
    """The patterns as one RE2 set, which says in one pass which of them are there."""
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def phrase_set(phrases: Iterable[str]) -> Any:
    """The same for phrases: patterns in which a blank stands for whatever may be between two words."""
    return pattern_set(map(spaced, phrases))


def spaced(pattern: str) -> str:
    """The pattern with what may be between two words in place of each blank outside of brackets."""
    spelled, bracket = [], False
    for before, character in zip(" " + pattern, pattern, strict=False):
        if before != "\\" and character in "[]":
            bracket = character == "["
        spelled.append(GAP if character == " " and not bracket else character)
    return "".join(spelled).replace(GAP + "*", "\\s*").replace(GAP + "?", GAP[:-1] + "?").replace(GAP + "+", GAP)


def strings_in(value: Json) -> Iterator[str]:
    """The strings of a JSON value at any depth, keys left out, in no certain order."""
    waiting: list[Json] = [value]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += list(item.values())[:MAX_VALUES]
        elif isinstance(item, list | tuple):
            waiting += item[:MAX_VALUES]

"""Texts taken apart for comparison: sentences, words by their beginnings, the numbers and names in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

MAX_CHARACTERS: Final = 20_000
STEM: Final = 5  # letters of a word that are compared: endings differ between question and answer
WORD: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\d_]{3,}|\d+")
WIDE: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
BEGINNING: Final = re.compile(rf"([^\W_]{{1,{STEM}}})[^\W_]*+")
SPACED: Final = bytes(code if chr(code).isalnum() else 32 for code in range(128)).ljust(256)  # signs → spaces
END: Final = re.compile(  # not the stops of "e.g." and "J. S. Bach"
    r"[.!?…。！？\r\n\u2028](?:(?<=[。！？\r\n\u2028])|(?<![.\s(][A-Za-z]\.)[\"')\]*]*\s)\s*"
)
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
LIST_MARK: Final = re.compile(r"\s*(?:[-*•>]\s+|\(?\d{1,2}[.)]\s+)")
THOUSANDS: Final = re.compile(r"[.,](?=\d{3}(?:\D|$))")
NAME: Final = re.compile(r" (?<![.!?:] )([A-ZÀ-ÖØ-ÞΑ-ΩА-Я][^\W_]+)")
NOUNS_ARE_CAPITALS: Final = frozenset(("der", "das", "und", "nicht", "eine", "einen", "einem", "wird", "sind", "für"))

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
SHORT: Final = "a an of to in is it on at be or as by we he do so if no up my me us am go i"
COMMON_BEGINNINGS: Final = frozenset(word[:STEM] for word in COMMON) | frozenset(SHORT.split())


def stems(text: str) -> frozenset[str]:
    """The beginnings of its words of substance; of scripts without spaces each two characters."""
    text = text[:MAX_CHARACTERS].lower()
    found = WORD.findall(text)
    plain = {word[:STEM] for word in set(found) - COMMON}
    if text.isascii() or not WIDE.search(text):
        return frozenset(plain)
    wide = [word for word in found if WIDE.match(word)]
    return frozenset(plain - set(wide) | {one + other for one, other in pairwise(wide)})


def beginnings(text: str) -> list[str]:
    """Of all its words, in order; of scripts without spaces each two characters."""
    if text.isascii():  # twice as fast as the pattern, and the same
        return [word[:STEM] for word in text.lower().encode().translate(SPACED).decode().split()]
    if WIDE.search(text):
        return list(_in_pairs(text.lower()))
    return BEGINNING.findall(text.lower())


def _in_pairs(text: str) -> Iterator[str]:
    before = ""
    for word in re.findall(rf"{WIDE.pattern}|[^\W_{WIDE.pattern[1:-1]}]+", text):
        is_wide = WIDE.match(word)
        if not is_wide:
            yield word[:STEM]
        elif before:
            yield before + word
        before = word if is_wide else ""


def sentences(text: str) -> list[str]:
    """Its sentences and lines that hold a word, without the marks of a list."""
    return [said for piece in END.split(text) if any(map(str.isalnum, said := without_mark(piece)))]


def without_mark(line: str) -> str:
    mark = LIST_MARK.match(line)
    return line[mark.end() :] if mark else line


def numbers(text: str) -> set[str]:
    """As digits, without what only groups them."""
    return {THOUSANDS.sub("", number).replace(",", ".") for number in NUMBER.findall(text)}


def names(sentence: str) -> list[str]:
    """Capitalised words within it, by their beginnings; none of a language that capitalises every noun."""
    found = NAME.findall(sentence)
    if not found or not NOUNS_ARE_CAPITALS.isdisjoint(sentence.split()):
        return []
    return [name[:STEM].lower() for name in found]

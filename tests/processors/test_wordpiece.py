from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.wordpiece import LONGEST_WORD, REMEMBERED, Spacing, WordPiece

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] un ##aff ##able ##s the cafe ! ' 好 世 e ##e hello".split()  # noqa: SIM905
PIECES = WordPiece(VOCABULARY)


def told(text: str, most: int = 128) -> list[str]:
    begin, *pieces, end = (VOCABULARY[number] for number in PIECES.encode(text, most))
    assert (begin, end) == ("[CLS]", "[SEP]")
    return pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("The UNS!", ["the", "un", "##s", "!"]),
        ("Café's", ["cafe", "'", "[UNK]"]),  # "s" goes on with a word, and begins none
        ("世好hello", ["世", "好", "hello"]),
        ("he\x00llo\tthe\u200b", ["hello", "the"]),
        ("unknown", ["[UNK]"]),
        ("e" * LONGEST_WORD, ["e", *["##e"] * (LONGEST_WORD - 1)]),
        ("e" * (LONGEST_WORD + 1), ["[UNK]"]),
        ("", []),
    ],
)
def test_words_are_taken_apart_longest_piece_first(text: str, pieces: list[str]) -> None:
    assert told(text) == pieces


def test_what_is_too_long_loses_its_end() -> None:
    assert told("the unaffable", most=5) == ["the", "un", "##aff"]
    assert len(PIECES.encode("the " * 1_000_000, 128)) == 128


@given(st.text() | st.text(st.characters(categories=["Cs", "Mn", "Po", "Lo", "Zs"])), st.integers(2, 20))
def test_any_text_has_pieces(text: str, most: int) -> None:
    numbers = PIECES.encode(text, most)
    assert 2 <= len(numbers) <= most
    assert all(0 <= number < len(VOCABULARY) for number in numbers)


def test_what_is_remembered_of_characters_is_bounded() -> None:
    spacing = Spacing()
    "".join(map(chr, range(3 * REMEMBERED))).encode("utf-8", "replace").decode().translate(spacing)
    assert len(spacing) <= REMEMBERED

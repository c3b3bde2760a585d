from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.texts import MAX_CHARACTERS, MAX_VALUES, bounded, folded, pattern_set, spaced, strings_in, words_of


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    text = "a" * MAX_CHARACTERS + "b" * MAX_CHARACTERS
    assert bounded("short") == "short"
    assert bounded(text) == "a" * (MAX_CHARACTERS // 2) + "\n" + "b" * (MAX_CHARACTERS // 2)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("Plain", "plain"),
        ("Ｗｉｄｅ ﬁt", "wide fit"),
        ("hid\u200bden\u00ad", "hidden"),
        ("right\u202eleft", "rightleft"),
        ("Don’t", "don't"),
        ("STRAẞE", "strasse"),
        ("".join(chr(0xE0000 + ord(letter)) for letter in "Psst"), "psst"),
        ("half \ud800", "half ?"),
        ("👩‍💻", "👩💻"),
    ],
)
def test_one_spelling_for_what_looks_or_reads_alike(text: str, spelling: str) -> None:
    assert folded(text) == spelling


@given(st.text(st.characters()))
def test_any_text_becomes_valid_unicode(text: str) -> None:
    folded(text).encode()


def test_marks_out_of_order_take_linear_time() -> None:
    began = time.process_time()
    folded("a" + "\u0315\u0300" * 10_000)
    assert time.process_time() - began < 0.2  # in one piece: over a second on a slow machine


def test_a_set_says_which_patterns_are_there() -> None:
    assert sorted(pattern_set(["a+b", "x", "c$"]).Match(b"xaab")) == [0, 1]


def test_blanks_in_brackets_and_before_repetition_stay_blanks() -> None:
    assert spaced(r"[ ,]x") == r"[ ,]x"
    assert spaced(r"\[ ?x") == r"\[" + spaced(" ")[:-1] + "?x"
    assert spaced(r"# *x") == r"#\s*x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("you're here, aren't_you?", ["you", "re", "here", "aren", "t", "you"]),
        ("“naïve” 書架。third", ["naïve", "書架", "third"]),
        ("", []),
    ],
)
def test_words_stand_without_marks(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a", ["a"]),
        ({"k": "a", "l": [1, None, ["b", {"m": "c"}]]}, ["a", "b", "c"]),
        (None, []),
        (("a", 2.5), ["a"]),
    ],
)
def test_strings_are_found_at_any_depth(value: Any, texts: list[str]) -> None:
    assert sorted(strings_in(value)) == texts


def test_values_without_end_are_left_off() -> None:
    deep: Any = "a"
    for _ in range(MAX_VALUES * 2):
        deep = [deep]
    assert list(strings_in(deep)) == []
    assert len(list(strings_in(["a"] * MAX_VALUES * 2))) < MAX_VALUES

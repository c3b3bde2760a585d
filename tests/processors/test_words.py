from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.words import BEGINNING, beginnings, names, numbers, sentences, stems

ANY_TEXT = st.text() | st.text(st.characters(categories=["Cs", "Lu", "Ll", "Po", "Zs", "Nd", "Mn"]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One", "Two", "Three", "Four"]),
        ('He said "no." Then he left.', ['He said "no', "Then he left."]),
        ("It costs 3.50, e.g. in J. S. Bach street. Yes.", ["It costs 3.50, e.g. in J. S. Bach street", "Yes."]),
        ("- first\n* second\n2) third\n(4) fourth\n\n", ["first", "second", "third", "fourth"]),
        ("今天天气很好。我们去公园吧!", ["今天天气很好", "我们去公园吧!"]),
        ("...\n---\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_and_lines_are_told_apart(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The employees' leave_days!", ["the", "emplo", "leave", "days"]),
        ("Überstunden, naïve", ["übers", "naïve"]),
        ("你好世界 hello", ["你好", "好世", "世界", "hello"]),
        ("\ud800 half", ["half"]),
    ],
)
def test_words_are_compared_by_their_beginnings(text: str, expected: list[str]) -> None:
    assert beginnings(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_of_plain_text_and_the_pattern_agree(text: str) -> None:
    assert beginnings(text) == BEGINNING.findall(text.lower())


def test_stems_are_of_words_with_a_subject() -> None:
    assert stems("What are the holidays of employees?") == {"holid", "emplo"}
    assert stems("假期政策") == {"假期", "期政", "政策"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25 days and 1,000.50 euros", {"25", "1000.50"}),
        ("1.000.000 or 1,000,000", {"1000000"}),
        ("3,5 %", {"3.5"}),
        ("none", set()),
    ],
)
def test_numbers_are_the_same_however_they_are_grouped(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Ask Margaret in Oslo, Norway.", ["marga", "oslo", "norwa"]),
        ("Only the first word is a capital", []),
        ("Fragen Sie die Leitung und das Büro in Oslo", []),  # German, where every noun has one
        ("no names at all", []),
    ],
)
def test_names_are_capitals_within_a_sentence(sentence: str, expected: list[str]) -> None:
    assert names(sentence) == expected


@given(ANY_TEXT)
def test_any_text_is_taken_apart(text: str) -> None:
    for sentence in sentences(text):
        assert re.search(r"[^\W_]", sentence) or any(map(str.isalnum, sentence))
        assert names(sentence) == [name for name in names(sentence) if name]
    assert all(len(word) <= 5 for word in beginnings(text))
    assert numbers(text) is not None
    assert stems(text) is not None

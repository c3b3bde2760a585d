from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.prose import MAX_CHARACTERS, prose_of, sentences_of


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Plain words.", "Plain words."),
        ("Before\n```python\nx = 1\n```\nafter", "Before after"),
        ("Before\n~~~\nx = 1\n~~~\nafter", "Before after"),
        ("Never closed: ```x = 1", "Never closed:"),
        ("Call `run()` first.", "Call first."),
        ("See https://example.com/a?b=c and www.example.com now.", "See and now."),
        ('She said "no way" twice.', "She said twice."),
        ("Er sagte „nie und nimmer“ und ging.", "Er sagte und ging."),
        ("He said “not now” and left.", "He said and left."),
        ("Il a dit « jamais » hier.", "Il a dit hier."),
        ("彼は「いいえ」と言った", "彼は と言った"),
        ("> what you wrote\nMy answer", "My answer"),
        ("| a | b |\n|---|---|\nMy answer", "My answer"),
        ('A screen of 27" is enough.', 'A screen of 27" is enough.'),
    ],
)
def test_what_is_not_said_in_own_words_is_left_out(text: str, left: str) -> None:
    assert " ".join(prose_of(text).split()) == left


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("Version 3.5 is out, e.g. for you.", 1),
        ("- one\n- two\n\n1.\n***\n", 2),
        ("这是一句。这是两句！", 2),
        ("(It ends here.) And goes on.", 2),
        ("", 0),
        ("42.", 0),
    ],
)
def test_sentences_and_list_items_are_counted(text: str, count: int) -> None:
    assert len(sentences_of(text)) == count


@given(st.text())
def test_any_text_has_prose_that_is_no_longer(text: str) -> None:
    assert len(prose_of(text)) <= len(text) + 1
    assert all(sentence in prose_of(text) for sentence in sentences_of(prose_of(text)))


@pytest.mark.parametrize(
    "unit", ["“", "„", "«", '"', "`", "```", "~~~", ">", "| ", "http://", "www.", ". ", "\n>\n", ".'"]
)
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * (5 * MAX_CHARACTERS)
    started = time.perf_counter()
    sentences_of(prose_of(text))
    assert time.perf_counter() - started < 0.5

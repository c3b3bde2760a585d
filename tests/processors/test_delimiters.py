from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.delimiters import TAGS, delimiters_of, set_off

RULE = "-" * 21


def known(text: str) -> list[str]:
    return set_off(text, (), known=True)


@pytest.mark.parametrize("tag", TAGS)
def test_each_known_tag_sets_off_context(tag: str) -> None:
    assert known(f"Answer by this:\n<{tag}>\nOslo is wet.\n</{tag}>\nIs it?") == ["Oslo is wet."]
    assert known(f"<{tag.upper()} id='1' lang='en'>Oslo is wet.</{tag.upper()}>") == ["Oslo is wet."]


@pytest.mark.parametrize(
    "prompt",
    [
        f"Context information is below.\n{RULE}\nOslo is wet.\n{RULE}\nGiven the context information, answer: Is it?",
        "Use the context to answer.\nQuestion: Is it? \nContext: Oslo is wet. \nAnswer:",
        "Context:\nOslo is wet.\n\nQuestion: Is it?\nHelpful Answer:",
        "**Context:** Oslo is wet.\n**Question:** Is it?",
        "Be brief.\n\n## Retrieved context\nOslo is wet.\n\n## Task\nAnswer.",
        "# Documents:\nOslo is wet.",
        "Sources: Oslo is wet.",
    ],
)
def test_the_templates_of_well_known_libraries_are_known(prompt: str) -> None:
    assert known(prompt) == ["Oslo is wet."]


def test_several_documents_are_several_texts() -> None:
    assert known("<documents><document>a</document>\n<document index='2'>b</document></documents>") == ["a", "b"]


@pytest.mark.parametrize(
    "prompt",
    [
        "Is it wet?",
        "In this context: what is Oslo?",
        "What does <contextual>x</contextual> mean?",
        "<context>never closed",
        "<context>  </context>",
        "Please quote your sources.",
        "",
    ],
)
def test_ordinary_text_sets_off_nothing(prompt: str) -> None:
    assert known(prompt) == []


def test_a_pattern_of_ones_own_comes_first() -> None:
    pattern = r"(?s)BEGIN(?P<context>.*?)END"
    assert set_off("BEGIN ünï END BEGIN b END <context>c</context>", (pattern,), known=True) == ["ünï", "b"]
    assert set_off("<context>c</context>", (pattern,), known=True) == ["c"]
    assert set_off("<context>c</context>", (pattern,), known=False) == []


@pytest.mark.parametrize(
    ("pattern", "problem"), [("(", "no RE2 pattern"), ("<a>(.*)</a>", r"add \(\?P<context>…\)"), ("x*", "empty text")]
)
def test_a_pattern_that_will_not_do_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        delimiters_of((pattern,), known=True)


FRAGMENTS = st.sampled_from(
    [
        *(f"<{tag}>" for tag in TAGS),
        *(f"</{tag}>" for tag in TAGS),
        "Context:",
        "\n",
        "# Sources",
        "Question:",
        "\ud800",
    ]
)


@given(st.lists(FRAGMENTS | st.text(max_size=10)).map("".join))
def test_anything_is_read_without_raising_and_what_is_set_off_was_there(text: str) -> None:
    for context in known(text):
        assert context == context.strip() != ""
        assert context in text or "\ud800" in text


HOSTILE = ("<context>", "Context:\n", "<document <document ", "# context\n", f"context information is below {RULE}")


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_takes_time_in_proportion(piece: str) -> None:
    assert len(known(piece * 5000)) <= 5000

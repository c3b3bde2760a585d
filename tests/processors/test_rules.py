from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation, Exchange, Message, Part
from processors.rules import Rules, has_word
from tests.support.records import an_exchange, answer


def said(*texts: str, asked: str = "Hello?") -> Exchange:
    question = Message("user", (Part("text", content=asked),))
    return an_exchange(input_messages=(question,), output_messages=tuple(map(answer, texts)))


def judged(text: str, **options: Any) -> Evaluation:
    (evaluation,) = Rules(**options).process(said(text))
    return evaluation


@pytest.mark.parametrize(
    ("options", "kept", "broken", "place"),
    [
        ({"contains": ("Berlin",)}, "in berlin.", "In Bonn.", "contains[0]"),
        ({"contains": ("STRASSE",)}, "Die Straße.", "Der Weg.", "contains[0]"),
        ({"contains": ("東京",)}, "答えは東京です", "答えは大阪です", "contains[0]"),
        ({"contains": ("Oslo",), "ignore_case": False}, "Oslo", "oslo", "contains[0]"),
        ({"not_contains": ("warranty",)}, "We help.", "No Warranty!", "not_contains[0]"),
        ({"matches": (r"\bORD-\d{4}\b",)}, "It is ORD-1234.", "It is ord-1234.", "matches[0]"),
        ({"not_matches": ("(?i)as an ai",)}, "Hello.", "As an AI, I …", "not_matches[0]"),
        ({"matches": (r"^\pL+$",)}, "привет", "привет!", "matches[0]"),
        ({"starts_with": ("Dear", "Hello")}, "  hello you", "Hi", "starts_with"),
        ({"ends_with": ("regards", "?")}, "Anything else?\n", "That is all.", "ends_with"),
        ({"max_words": 3}, "one two three", "one two three four", "max_words"),
        ({"min_words": 2}, "one two", "one", "min_words"),
        ({"any_of": ("art", "music")}, "About Music.", "About a party.", "any_of"),
        ({"any_of": ("Größe",)}, "Die GRÖSSE zählt.", "Die Größen zählen.", "any_of"),
        ({"any_of": ("音楽",)}, "私は音楽が好きです", "私は絵が好きです", "any_of"),
    ],
)
def test_a_rule_is_kept_or_broken(options: dict[str, Any], kept: str, broken: str, place: str) -> None:
    assert judged(kept, **options) == Evaluation("rules", 1.0, "pass")
    assert judged(broken, **options) == Evaluation("rules", 0.0, "fail", f"broken: {place}")


def test_without_rules_it_says_nothing() -> None:
    assert Rules().process(said("Hello!")) == ()


def test_the_score_is_the_share_of_rules_that_are_kept() -> None:
    found = judged("one two", contains=("one", "six"), matches=("two",), max_words=1)
    assert found == Evaluation("rules", 0.5, "fail", "broken: contains[1], max_words")


def test_every_choice_has_to_keep_every_rule() -> None:
    rules = Rules(contains=("yes",), max_words=2)
    assert rules.process(said("yes", "yes indeed"))[0].score_value == 1.0
    assert rules.process(said("yes", "no"))[0].explanation == "broken: contains[0]"


def test_what_was_asked_can_be_judged_instead() -> None:
    rules = Rules(side="input", not_contains=("password",))
    assert rules.process(said("Fine.", asked="My password is lost"))[0].score_label == "fail"
    assert rules.process(said("Your password.", asked="Hello"))[0].score_label == "pass"


def test_no_text_is_none_of_its_business() -> None:
    assert Rules(contains=("x",)).process(said()) == ()
    assert Rules(contains=("x",)).process(said(" ")) == ()
    assert Rules(contains=("x",), side="input").process(an_exchange(input_messages=())) == ()


def test_an_explanation_names_some_places_and_counts_the_rest() -> None:
    found = judged("nothing", contains=tuple(f"secret {number}" for number in range(40)))
    assert (found.explanation or "").endswith("contains[4] and 35 more")
    assert "secret" not in (found.explanation or "")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"side": "both"}, "side is 'both'; choose one of output, input"),
        ({"contains": ("a", " ")}, "contains[1] is blank, which says nothing; give a text"),
        ({"matches": ("a", "(")}, "matches[1] is no RE2 pattern"),
        ({"not_matches": ("(?=x)",)}, "RE2 has no look-around"),
        ({"matches": ("x*",)}, "matches[0] matches the empty text; make it ask for something"),
        ({"max_words": 0}, "max_words is 0; give a number of words, at least 1"),
        ({"min_words": 5, "max_words": 3}, "min_words is 5, above max_words; make it 3 or less"),
    ],
)
def test_a_rule_that_will_not_do_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=r"^\w+(?:\[\d\])? ") as refused:
        Rules(**options)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("art", "art", True),
        ("party", "art", False),
        ("party art", "art", True),
        ("state of the art.", "the art", True),
        ("artart", "art", False),
        ("c++ is", "c++", True),
        ("日本の音楽", "音楽", True),
        ("", "art", False),
    ],
)
def test_a_word_is_whole_where_words_have_spaces(text: str, word: str, expected: bool) -> None:
    assert has_word(text, word) is expected


@given(text=st.text(st.characters(), max_size=60), word=st.text(min_size=1, max_size=4))
def test_any_text_and_any_word_are_judged(text: str, word: str) -> None:
    has_word(text, word)
    if word.strip():
        found = Rules(contains=(word,), not_contains=(word,)).process(said(text))
        assert [each.score_value for each in found] == ([0.5] if text.strip() else [])


def test_both_ends_of_an_endless_text_are_read() -> None:
    assert judged("Hello" + " and" * 100_000 + " bye", starts_with=("hello",), ends_with=("bye",)).score_value == 1.0


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", r"(?:a*)*b", "(?:x+x+)+y"])
def test_no_pattern_and_no_text_make_it_slow(pattern: str) -> None:
    rules = Rules(matches=(pattern,), any_of=("a" * 20 + "b", "aaaa"), contains=("a" * 50 + "b",))
    started = time.perf_counter()
    rules.process(said("a" * 199_000 + "\ud800!"))
    assert time.perf_counter() - started < 1

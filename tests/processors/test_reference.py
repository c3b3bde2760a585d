from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.reference import Reference, bleu, chrf, longest_common_subsequence, rouge_l, token_f1, words
from tests.support.records import an_exchange, answer

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=30)


def judged(text: str, expected: str, **options: float) -> dict[str, Evaluation]:
    exchange = an_exchange(output_messages=(answer(text),), ground_truth=expected)
    return {each.name: each for each in Reference(**options).process(exchange)}


def test_the_same_answer_scores_one_by_every_measure() -> None:
    told = judged("Paris, of course.", "paris of course")
    assert {name: each.score_value for name, each in told.items() if name != "reference.chrf"} == {
        "reference.f1": 1.0, "reference.exact": 1.0, "reference.bleu": 1.0, "reference.rouge_l": 1.0,
    }  # fmt: skip
    assert told["reference.chrf"].score_value > 0.6  # type: ignore[operator]


def test_nothing_in_common_scores_nothing() -> None:
    assert {each.score_value for each in judged("xyz", "abc").values()} == {0.0}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("the cat sat", "the cat sat down", 2 * 3 / 7),
        ("the the the", "the", 2 * 1 / 4),
        ("", "", 1.0),
        ("a", "", 0.0),
    ],
)
def test_token_f1_is_squads(ours: str, theirs: str, expected: float) -> None:
    assert token_f1(words(ours), words(theirs)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("the cat sat", "the cat sat down", (3 / 3 * 3 / 3 * 2 / 2 * 1 / 1) ** 0.25 * math.exp(1 - 4 / 3)),
        ("a b c d", "a b x d", (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25),
        ("a", "b", 0.0),
        ("", "", 1.0),
        ("a", "", 0.0),
    ],
)
def test_bleu_agrees_with_values_worked_out_by_hand(ours: str, theirs: str, expected: float) -> None:
    assert bleu(words(ours), words(theirs)) == pytest.approx(expected)


def plain_lcs(ours: list[str], theirs: list[str]) -> int:
    """By the textbook's table."""
    row = [0] * (len(ours) + 1)
    for word in theirs:
        before = 0
        for position, other in enumerate(ours, start=1):
            before, row[position] = (
                row[position],
                before + 1 if word == other else max(row[position], row[position - 1]),
            )
    return row[-1]


@given(WORDS, WORDS)
def test_the_longest_common_subsequence_is_the_textbooks(ours: list[str], theirs: list[str]) -> None:
    assert longest_common_subsequence(ours, theirs) == plain_lcs(ours, theirs)


@given(WORDS, WORDS)
def test_every_measure_is_between_zero_and_one(ours: list[str], theirs: list[str]) -> None:
    for value in (
        token_f1(ours, theirs),
        bleu(ours, theirs),
        rouge_l(ours, theirs),
        chrf(" ".join(ours), " ".join(theirs)),
    ):
        assert 0 <= value <= 1


def test_chrf_agrees_with_a_value_worked_out_by_hand() -> None:
    # "abc" and "abd": of 1 to 3 letters 2/3, 1/2 and 0 agree, on both sides; longer there are none.
    assert chrf("abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize(("threshold", "label"), [(0.5, "pass"), (0.9, "fail")])
def test_a_threshold_makes_a_verdict_of_token_f1(threshold: float, label: str) -> None:
    told = judged("the cat sat", "the cat sat down", threshold=threshold)
    assert (told["reference.f1"].score_label, told["reference.exact"].score_label) == (label, None)


def test_a_long_answer_is_compared_in_bounded_time() -> None:
    text = " ".join(random.Random(7).choices([f"w{n}" for n in range(5000)], k=50_000))
    assert judged(text, text)["reference.rouge_l"].score_value == 1.0


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Reference(threshold=2)

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.token_estimate import FARTHEST, FRAMING, KINDS, PRIOR, Regression, features_of


def kinds(text: str) -> dict[str, int]:
    named = zip((*KINDS, *FRAMING), features_of([text]), strict=True)
    return {name: int(count) for name, count in named if count}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("two words", {"letters": 8, "words": 2}),
        ("a1, b-2\n", {"letters": 2, "words": 2, "digits": 2, "signs": 2, "lines": 1}),
        ("Größe", {"letters": 3, "marked": 2, "words": 1}),
        ("火车かな기차", {"ideographs": 6}),
        ("Поезд", {"others": 5, "words": 1}),
        ("🙂🙂", {"others": 2, "words": 2}),
        ("\ud800", {"others": 1, "words": 1}),
        ("\0", {}),
    ],
)
def test_characters_are_counted_by_kind(text: str, expected: dict[str, int]) -> None:
    assert kinds(text) == expected


def test_texts_are_counted_together_and_kept_apart() -> None:
    assert list(features_of(["ab", "cd"], messages=2, requests=1)) == [4, 2, 0, 0, 0, 0, 0, 0, 2, 1]


def test_nothing_is_no_tokens_and_anything_at_least_one() -> None:
    assert Regression().estimate(features_of([])) == 0
    assert Regression().estimate(features_of(["a"])) == 1


@pytest.mark.parametrize(
    ("text", "tokens"),  # by o200k_base
    [
        ("The train was late again, so we walked along the river and talked about the winter that had just ended.", 22),
        ("If you change the filter every three months, the machine will run for years without any trouble.", 19),
        ("火车又晚点了，我们就沿着河边散步，聊起刚刚过去的冬天。", 24),
    ],
)
def test_the_prior_is_near(text: str, tokens: int) -> None:
    assert Regression().estimate(features_of([text])) == pytest.approx(tokens, rel=0.2)


WORDS = ("river", "bridge", "Поезд", "зимой", "火车", "冬天", "42", "2026", "{}", ";", "größer", "été\n", "the", "of")


def a_text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randrange(20, 200)))


def test_a_model_that_counts_otherwise_is_learned() -> None:
    chance, regression = random.Random(7), Regression()
    its_own = PRIOR * np.array([1.5, 0.7, 1.2, 1, 0.6, 1, 1.6, 2.5, 1, 1])
    for _ in range(60):
        features = features_of([a_text(chance)])
        regression.learn(features, round(float(features @ its_own) * chance.uniform(0.95, 1.05)))
    unseen = [features_of([a_text(chance)]) for _ in range(20)]
    misses = [abs(regression.estimate(features) / float(features @ its_own) - 1) for features in unseen]
    before = [abs(Regression().estimate(features) / float(features @ its_own) - 1) for features in unseen]
    assert max(misses) < 0.08 < 0.1 < sum(before) / len(before)


def test_what_framing_costs_is_learned() -> None:
    regression = Regression()
    for size in range(5, 60):
        features = features_of(["word " * size], messages=size % 4 + 1, requests=1)
        regression.learn(features, round(float(features @ PRIOR)) + 12)
    features = features_of(["word " * 30], messages=2, requests=1)
    assert regression.estimate(features) == pytest.approx(float(features @ PRIOR) + 12, rel=0.05)


def test_a_few_odd_counts_change_little() -> None:
    chance, regression = random.Random(7), Regression()
    for number in range(60):
        features = features_of([a_text(chance)])
        regression.learn(features, round(float(features @ PRIOR) * (4 if number % 10 == 0 else 1)))
    features = features_of([a_text(chance)])
    assert regression.estimate(features) == pytest.approx(float(features @ PRIOR), rel=0.15)


@pytest.mark.parametrize("tokens", [0, 1, 10**9])
def test_what_cannot_be_a_count_of_the_text_is_ignored(tokens: int) -> None:
    regression = Regression()
    regression.learn(features_of(["a text of some length, say twenty words or so " * 3]), tokens)
    regression.learn(features_of([]), tokens)
    assert regression.observations == 0


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 10**6)), max_size=20), st.text(min_size=1))
def test_whatever_was_learned_an_estimate_stays_in_reach(learned: list[tuple[str, int]], text: str) -> None:
    regression = Regression()
    for seen, tokens in learned:
        regression.learn(features_of([seen], 1, 1), tokens)
    features = features_of([text], 1, 1)
    prior = float(features @ PRIOR)
    assert prior / FARTHEST - 1 <= regression.estimate(features) <= prior * FARTHEST + 1

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sidelight.classification import Classification, Counts, auc_of, check_roles, classification_of
from sidelight.rows import Row

COLUMNS = {"true": "t", "predicted": "p", "score": "s"}
LABELS = st.sampled_from(["a", "b", "c"])
PAIRS = st.lists(st.tuples(LABELS, st.sampled_from(["a", "b", "c", "d"])), min_size=1)
SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


def of(*rows: tuple[Any, ...]) -> Classification:
    return classification_of(
        [Row(number, dict(zip("tps", row, strict=False))) for number, row in enumerate(rows, start=1)],
        COLUMNS,
    )


def test_each_class_has_what_was_rightly_wrongly_and_not_said() -> None:
    found = of(("yes", "yes"), ("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no"), ("no", "maybe"))
    assert (found.labels, found.matrix) == (("no", "yes"), ((1, 1, 1), (1, 2, 0)))
    assert found.classes == {"no": Counts(1, 1, 2), "yes": Counts(2, 1, 1)}
    assert (found.accuracy, found.micro.precision, found.micro.recall) == (0.5, 0.6, 0.5)
    yes = found.classes["yes"]
    assert (yes.precision, yes.recall, yes.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert found.macro("precision") == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.macro("recall") == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_a_class_that_was_never_predicted_has_no_precision_and_is_in_no_mean_of_it() -> None:
    found = of(("a", "a"), ("b", "a"))
    assert (found.classes["b"].precision, found.classes["b"].recall, found.classes["b"].f1) == (None, 0.0, 0.0)
    assert (found.macro("precision"), found.macro("recall")) == (0.5, 0.5)


def test_labels_are_compared_without_case_and_space() -> None:
    assert of((" Yes", "yes"), (True, "TRUE"), (3, "3")).accuracy == 1.0


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    found = of(("a", "a"), ("", "a"), ("a", None), ("b", " "))
    assert (found.rows, found.left_out, found.labels) == (1, 3, ("a",))


def test_what_a_model_says_instead_of_a_label_is_not_in_the_result() -> None:
    assert "secret" not in repr(of(("a", "a secret"), ("b", "another secret")))


def test_scores_of_two_labels_are_ranked_and_the_later_one_is_positive() -> None:
    found = of(("no", "no", "0.1"), ("yes", "no", 0.4), ("no", "no", 0.4), ("yes", "yes", 0.9), ("yes", "yes", "nan"))
    assert found.ranking == (0.875, "yes", 4)
    assert of(("a", "a", 1), ("b", "b", 2), ("c", "c", 3)).ranking is None
    assert of(("a", "a", None), ("b", "b", "")).ranking is None


@given(PAIRS)
def test_every_row_is_in_the_matrix_and_every_measure_is_a_share(pairs: list[tuple[str, str]]) -> None:
    found = of(*pairs)
    assert found.rows == len(pairs)
    assert found.accuracy == sum(true == predicted for true, predicted in pairs) / len(pairs)
    assert found.micro.recall == found.accuracy
    values = [found.macro(name) for name in ("precision", "recall", "f1")]
    assert all(value is None or 0 <= value <= 1 for value in values)
    for label, counts in found.classes.items():
        assert counts.hits + counts.misses == sum(true == label for true, _ in pairs)
        assert counts.hits + counts.false_alarms == sum(predicted == label for _, predicted in pairs)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs_in_order(positives: list[float], negatives: list[float]) -> None:
    wins = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    assert auc_of(positives, negatives) == pytest.approx(wins / len(positives) / len(negatives))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"true": "t"}, "--label predicted=COLUMN is missing; give one of t, p"),
        ({"true": "t", "predicted": "q"}, "there is no column 'q'"),
        ({"true": "t", "predict": "p"}, "did you mean predicted?"),
    ],
)
def test_a_wrong_name_says_what_to_do(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_roles(given, ["t", "p"])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("", "a")], "no row has both t and p"),
        ([(str(number), "a") for number in range(51)], "51 different labels"),
    ],
)
def test_columns_that_are_no_labels_are_refused(rows: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(*rows)
    assert said in str(refused.value)

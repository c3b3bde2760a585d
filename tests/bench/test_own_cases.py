from __future__ import annotations

import json

import pytest

from bench.own_cases import CASES, CUT, EVALUATORS, Counts, cases_of, count, counts_of, rows_of, told
from processors import PROCESSORS
from processors.language import LANGUAGES

FIELDS = {"query", "response", "system", "context", "tool_result"}
TEXTS = FIELDS | {"label", "note"}
LEAST_F1 = {  # of what is held out, a little below what is measured
    "language": 0.93,
    "secrets": 0.85,
    "indirect_injection": 0.75,
    "system_prompt_leak": 0.9,
    "refusal": 0.85,
    "empty": 0.8,
    "citations": 0.7,
    "code_syntax": 0.8,
}


def test_every_file_is_of_an_evaluator_that_exists() -> None:
    assert {path.stem for path in CASES.iterdir()} == set(EVALUATORS) == set(LEAST_F1)
    assert all(type(evaluator) is PROCESSORS[name] for name, evaluator in EVALUATORS.items())


@pytest.mark.parametrize("name", EVALUATORS)
def test_every_row_says_what_passed_and_what_there_is_to_find(name: str) -> None:
    labels = {*LANGUAGES, "none"} if name == "language" else {"fail", "fine"}
    rows = rows_of(name)
    assert {row["label"] for row in rows} == labels
    for row in rows:
        assert set(row) <= TEXTS | {"held_out"}
        assert set(row) & FIELDS
        assert type(row["held_out"]) is bool


@pytest.mark.parametrize("name", EVALUATORS)
def test_no_row_is_there_twice(name: str) -> None:
    inputs = [json.dumps({key: row[key] for key in sorted(FIELDS & set(row))}) for row in rows_of(name)]
    assert len(set(inputs)) == len(inputs)


@pytest.mark.parametrize("name", EVALUATORS)
def test_half_of_each_label_is_held_out(name: str) -> None:
    cases = cases_of(name)
    for label in {case.label for case in cases}:
        held_out = [case.held_out for case in cases if case.label == label]
        assert abs(2 * sum(held_out) - len(held_out)) <= 1, label


def test_keys_of_known_shapes_are_cut_in_the_file() -> None:
    text = (CASES / "secrets.jsonl").read_text("utf-8")
    assert CUT in text
    assert CUT not in "".join(row["response"] for row in rows_of("secrets"))
    assert all("-----BEGIN" not in line or CUT in line or "PRIVATE" not in line for line in text.splitlines())


@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_are_as_right_on_what_is_held_out_as_they_were(name: str) -> None:
    counts = counts_of(name, held_out=True)
    assert counts.f1 >= LEAST_F1[name], str(counts)


def test_the_page_is_told_of_what_is_held_out() -> None:
    lines = told()
    assert list(lines) == list(EVALUATORS)
    assert lines["empty"] == f"own cases, {counts_of('empty', held_out=True)}"


def test_a_wrong_language_is_a_false_alarm_and_a_miss() -> None:
    judged = [("de", "de"), ("de", "en"), ("de", None), ("none", "en"), ("none", None), ("fine", None)]
    assert count(judged) == Counts(n=6, hits=1, false_alarms=2, misses=2)


def test_counts_tell_precision_and_recall_with_their_intervals() -> None:
    assert str(Counts(n=20, hits=6, false_alarms=2, misses=4)) == (
        "n 20: precision 0.750 (0.409–0.929), recall 0.600 (0.313–0.832), F1 0.667"
    )
    assert str(Counts(n=3, hits=0, false_alarms=0, misses=3)) == (
        "n 3: precision 1.000, recall 0.000 (0.000–0.562), F1 0.000"
    )

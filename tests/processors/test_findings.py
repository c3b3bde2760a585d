from __future__ import annotations

from collections import Counter

import pytest

from pipeline.records import Evaluation
from processors.findings import Side, check_findings, counted, judged

FINDINGS = {"input": {"EMAIL": 1}, "output": {"PHONE": 1, "EMAIL": 2}}


@pytest.mark.parametrize(
    ("side", "counts"),
    [
        ("output", {"PHONE": 1, "EMAIL": 2}),
        ("input", {"EMAIL": 1}),
        ("both", {"PHONE": 1, "EMAIL": 3}),
        ("new", {"PHONE": 1}),
    ],
)
def test_each_side_counts_its_own(side: Side, counts: dict[str, int]) -> None:
    assert counted(FINDINGS, side) == Counter(counts)


@pytest.mark.parametrize("side", ["output", "input", "both", "new"])
def test_where_nothing_was_found_nothing_is_counted(side: Side) -> None:
    assert counted({}, side) == Counter()


def test_a_judgement_names_the_kinds_in_order() -> None:
    assert judged("x", {"PHONE": 1, "EMAIL": 2}, 3) == Evaluation("x", 3.0, "fail", "EMAIL 2, PHONE 1")
    assert judged("x", {"PHONE": 1}, 2) == Evaluation("x", 1.0, "pass", "PHONE 1")
    assert judged("x", {}, 1) == Evaluation("x", 0.0, "pass")


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="side is 'left'; choose one of output, input, both, new"):
        check_findings("left", 1)
    with pytest.raises(ValueError, match="threshold is 0; give the number of findings that fails, at least 1"):
        check_findings("new", 0)

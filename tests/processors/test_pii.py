from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Evaluation
from processors.pii import Pii
from tests.support.records import an_exchange

FINDINGS = {"input": {"EMAIL": 1}, "output": {"PHONE": 1, "EMAIL": 2}}


def judged(findings: Any = FINDINGS, **options: Any) -> Evaluation:
    (evaluation,) = Pii(**options).process(an_exchange(findings=findings))
    return evaluation


def test_kinds_of_the_output_are_counted_by_name() -> None:
    assert judged() == Evaluation("pii", 3.0, "fail", "EMAIL 2, PHONE 1")


@pytest.mark.parametrize(("side", "count"), [("output", 3), ("input", 1), ("both", 4), ("new", 1)])
def test_each_side_counts_its_own(side: str, count: int) -> None:
    assert judged(side=side).score_value == count


def test_kinds_the_input_brought_are_not_new() -> None:
    assert judged(side="new").explanation == "PHONE 1"


def test_nothing_found_passes() -> None:
    assert judged({}) == Evaluation("pii", 0.0, "pass")


def test_fewer_than_the_threshold_pass() -> None:
    assert judged(threshold=4).score_label == "pass"
    assert judged(threshold=3).score_label == "fail"


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="side is 'left'; choose one of output, input, both, new"):
        judged(side="left")
    with pytest.raises(ValueError, match="threshold is 0"):
        judged(threshold=0)

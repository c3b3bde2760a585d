from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.calibration import Calibration
from pipeline.records import Evaluation, LedgerEntry
from sidelight.rows import Problem
from sidelight.verdict import Judged, Verdict, write_json, write_junit
from sidelight.verdict_table import corrections, share
from tests.support.calibrations import a_calibration
from tests.support.records import an_exchange

DIGEST = "e3b0c442"
PASSED = LedgerEntry("relevancy", "pass", None, (Evaluation("relevancy", 1.0, "pass"),))
FAILED = LedgerEntry("relevancy", "fail", None, (Evaluation("relevancy", 0.0, "fail", "it speaks of \x00 bananas"),))
BROKEN = LedgerEntry("relevancy", "error", "timeout", (Evaluation("relevancy", error_type="timeout"),))
SKIPPED = LedgerEntry("relevancy", "skipped", "missing_input")


def verdict(
    *entries: LedgerEntry,
    least: float = 1.0,
    problems: tuple[Problem, ...] = (),
    calibrations: Mapping[str, Calibration] = {},
) -> Verdict:
    judged = [Judged(number, an_exchange(), (entry,)) for number, entry in enumerate(entries, start=1)]
    return Verdict("hr.csv", {"query": "Question"}, judged, problems, least, DIGEST, None, calibrations)


def test_what_failed_is_told_with_its_row_and_reason() -> None:
    (failure,) = verdict(PASSED, FAILED, SKIPPED).failures
    assert (failure.number, failure.evaluator, failure.score) == (2, "relevancy", 0.0)
    assert "bananas" in failure.said


@pytest.mark.parametrize(
    ("entries", "least", "passed"),
    [
        ((PASSED, PASSED), 1.0, True),
        ((PASSED, FAILED), 1.0, False),
        ((PASSED, FAILED), 0.5, True),
        ((PASSED, FAILED), 0.51, False),
        ((SKIPPED, SKIPPED), 1.0, True),
        ((PASSED, BROKEN), 0.0, False),
    ],
)
def test_each_evaluator_must_reach_the_rate_and_none_may_break(
    entries: tuple[LedgerEntry, ...], least: float, passed: bool
) -> None:
    assert verdict(*entries, least=least).passed is passed


def test_a_row_that_could_not_be_read_is_no_success() -> None:
    assert not verdict(PASSED, problems=(Problem(2, "it is empty"),)).passed


def test_what_was_skipped_counts_for_nothing() -> None:
    (tally,) = verdict(PASSED, FAILED, SKIPPED, SKIPPED).tallies
    assert (tally.decided, tally.pass_rate, tally.mean_score) == (2, 0.5, 0.5)
    (tally,) = verdict(SKIPPED).tallies
    assert (tally.pass_rate, tally.interval, tally.mean_score) == (None, None, None)


def test_a_calibrated_evaluators_pass_rate_is_told_as_people_would_find_it(tmp_path: Path) -> None:
    entries = [LedgerEntry("judge", "pass" if n < 15 else "fail", version="v1") for n in range(20)]
    told = verdict(*entries, calibrations={"judge": a_calibration()})
    (tally,) = told.tallies
    assert tally.version == "v1"
    assert tally.corrected
    # it passes 30 of 32 that people pass and 4 of 28 that they fail: (0.75 + 24/28 - 1) / (30/32 + 24/28 - 1)
    assert tally.corrected.estimate == pytest.approx((0.75 + 24 / 28 - 1) / (30 / 32 + 24 / 28 - 1))
    assert corrections(told.tallies) == [f"judge: {share(*tally.corrected)} as people would judge, by its calibration."]
    write_json(told, tmp_path / "out.json")
    (evaluator,) = json.loads((tmp_path / "out.json").read_text())["evaluators"]
    assert evaluator["corrected"] == tally.corrected._asdict()


def test_without_a_calibration_there_is_no_correction() -> None:
    told = verdict(PASSED, FAILED)
    assert told.tallies[0].corrected is None
    assert corrections(told.tallies) == []


def test_a_judges_own_words_are_told_with_its_level() -> None:
    said = Evaluation("fluency", 2.0, "fail", "2: hard to read", reasoning="Many mistakes.")
    (failure,) = verdict(LedgerEntry("judge", "fail", None, (said,))).failures
    assert failure.said == "2: hard to read – Many mistakes."


def test_json_holds_everything(tmp_path: Path) -> None:
    write_json(verdict(PASSED, FAILED, SKIPPED), tmp_path / "out.json")
    told = json.loads((tmp_path / "out.json").read_text())
    assert (told["passed"], told["mapping"]) == (False, {"query": "Question"})
    assert told["evaluators"][0]["outcomes"] == {"pass": 1, "fail": 1, "skipped": 1}
    assert (told["evaluators"][0]["mean_score"], told["evaluators"][0]["mean_interval"]) == (0.5, [0.0, 1.0])
    assert [row["outcomes"]["relevancy"]["outcome"] for row in told["rows"]] == ["pass", "fail", "skipped"]


def test_junit_has_a_case_for_each_row_and_is_xml_whatever_was_said(tmp_path: Path) -> None:
    write_junit(verdict(PASSED, FAILED, BROKEN, SKIPPED, problems=(Problem(5, "it is \x0b"),)), tmp_path / "out.xml")
    relevancy, file = ElementTree.parse(tmp_path / "out.xml").getroot()
    counts = [relevancy.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["4", "1", "1", "1"]
    assert [next((child.tag for child in case), None) for case in relevancy] == [None, "failure", "error", "skipped"]
    assert file.get("errors") == "1"

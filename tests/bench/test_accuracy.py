from __future__ import annotations

import pytest

from bench.accuracy import Score, interval, tell_halves


def test_the_interval_is_wilsons() -> None:
    assert interval(8, 10) == "(0.490-0.943)"
    assert interval(0, 10) == "(0.000-0.278)"
    assert interval(0, 0).isspace()


def test_a_row_tells_precision_recall_and_f1() -> None:
    row = Score(hits=6, false_alarms=2, misses=4, right_silences=8).row_with_intervals("x")
    assert row.split() == ["x", "20", "10", "0.750", "(0.409-0.929)", "0.600", "(0.313-0.832)", "0.667"]


def test_every_second_row_is_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    tell_halves("long", lambda text: len(text) > 1, [("aa", True), ("a", True), ("bb", True)], [("b", False)])
    developed, held_out = capsys.readouterr().out.splitlines()
    assert developed.split()[:6] == ["long:", "developed", "on", "3", "2", "1.000"]
    assert held_out.split()[:5] == ["long:", "held", "out", "1", "1"]

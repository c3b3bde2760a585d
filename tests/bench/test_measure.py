"""What the bench makes of raw figures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import (
    PROMISES,
    Ratio,
    Stat,
    descendants,
    median_figures,
    parse_busy,
    parse_pss,
    parse_stat,
    percentile,
    ratio,
)

STAT = "42 (a (odd) name) S 7 42 42 0 -1 4194304 100 200 0 0 11 22 3 4 20 0 1 0 12345 1000 50 0"


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_percentile_of_nothing_is_none() -> None:
    assert percentile([], 0.5) is None


def test_percentile_is_given_in_the_unit() -> None:
    assert percentile([2_500_000], 0.99, unit=1e6) == 2.5


@given(st.lists(st.integers(-(2**50), 2**50), min_size=1), st.floats(0, 1))
def test_percentile_is_one_of_the_values_and_has_its_share_at_or_below(values: list[int], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-5 * len(values)


def test_medians_leave_out_what_a_round_lacks() -> None:
    rounds = [{"rps": 1.0, "cpu_us": None}, {"rps": 5.0, "cpu_us": 7.0}, {"rps": 3.0}]
    assert median_figures(rounds) == {"rps": 3.0, "cpu_us": 7.0}


def test_a_figure_no_round_has_is_none() -> None:
    assert median_figures([{"cpu_us": None}]) == {"cpu_us": None}


def test_stat_is_read_past_a_command_with_brackets() -> None:
    assert parse_stat(STAT) == Stat(pid=42, parent=7, own=33, reaped=7)


def test_this_process_can_be_read() -> None:
    stat = parse_stat(Path("/proc/self/stat").read_text())
    assert (stat.pid, stat.parent) == (os.getpid(), os.getppid())


def test_pss_is_in_bytes() -> None:
    assert parse_pss("00400000-7fff [rollup]\nRss:    900 kB\nPss:    512 kB\nPss_Anon: 400 kB\n") == 512 * 1024


def test_pss_of_a_kernel_that_does_not_say_is_nothing() -> None:
    assert parse_pss("") == 0


def test_busy_counts_processes_and_stolen_time_but_neither_idling_nor_interrupts() -> None:
    assert parse_busy("cpu  1 20 300 9 9 9 9 4000 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\n") == 4321


def test_descendants_are_found_at_any_depth_and_strangers_are_not() -> None:
    family = [Stat(1, 0, 0, 0), Stat(2, 1, 0, 0), Stat(3, 2, 0, 0), Stat(9, 8, 0, 0)]
    assert descendants(family, 1) == {1, 2, 3}


@pytest.mark.parametrize(("figure", "reference"), [(None, 1.0), (1.0, None), (1.0, 0.0), (1.0, -2.0), (-0.1, 1.0)])
def test_a_ratio_without_two_meaningful_figures_is_none(figure: float | None, reference: float | None) -> None:
    assert ratio(figure, reference) is None


@pytest.mark.parametrize(("own", "met"), [(19.9, True), (20.0, True), (20.1, False)])
def test_a_promise_against_a_peer_is_met_up_to_its_bound(own: float, met: bool) -> None:
    promise = Ratio("CPU", "json", "cpu_us", 2.0, ("nginx", "cpu_us"))
    rows = {("json", "sidelight"): {"cpu_us": own}, ("json", "nginx"): {"cpu_us": 10.0}}
    assert promise.met(rows) is met


@pytest.mark.parametrize(("own", "met"), [(98.9, False), (99.0, True)])
def test_a_promise_of_at_least_is_met_from_its_bound_on(own: float, met: bool) -> None:
    promise = Ratio("in time", "streams", "in_time_pct", 99.0, at_least=True)
    assert promise.met({("streams", "sidelight"): {"in_time_pct": own}}) is met


def test_a_peer_that_was_left_out_leaves_the_verdict_open() -> None:
    promise = Ratio("CPU", "json", "cpu_us", 2.0, ("nginx", "cpu_us"))
    assert promise.met({("json", "sidelight"): {"cpu_us": 1.0}}) is None


def test_what_is_only_told_has_no_verdict() -> None:
    promise = Ratio("CPU", "json", "cpu_us", None)
    assert promise.met({("json", "sidelight"): {"cpu_us": 1.0}}) is None


def test_every_promise_is_open_when_nothing_was_measured() -> None:
    assert {promise.met({}) for promise in PROMISES} == {None}

"""A verdict must not look better than the figures under it."""

from __future__ import annotations

import pytest

from bench.measure import Ratio
from bench.report import as_json, medians, number, promise_table, verdict

PROMISE = Ratio("CPU", "json c64", "cpu_us", 2.0, ("nginx", "cpu_us"))


def rows(own: float, foreign: float = 0.0) -> dict[tuple[str, str], dict[str, float | None]]:
    return {
        ("json c64", "sidelight"): {"cpu_us": own, "foreign": foreign},
        ("json c64", "nginx"): {"cpu_us": 10.0, "foreign": 0.0},
    }


@pytest.mark.parametrize(("own", "word"), [(15.0, "met"), (25.0, "NOT MET")])
def test_a_verdict_is_marked_when_the_machine_was_not_quiet(own: float, word: str) -> None:
    assert verdict(PROMISE, rows(own)) == word
    assert verdict(PROMISE, rows(own, foreign=0.13)) == f"{word} *"


def test_what_was_not_measured_is_not_met() -> None:
    assert verdict(PROMISE, {}) == "not measured"


def test_disturbed_rounds_stay_out_of_the_median() -> None:
    calm, noisy = {"cpu_us": 10.0, "foreign": 0.01}, {"cpu_us": 90.0, "foreign": 0.5}
    assert medians({("json", "nginx"): [noisy, calm, noisy]})["json", "nginx"]["cpu_us"] == 10.0


def test_without_a_calm_round_all_count() -> None:
    noisy = [{"cpu_us": 90.0, "foreign": 0.5}, {"cpu_us": 70.0, "foreign": 0.5}]
    assert medians({("json", "nginx"): noisy})["json", "nginx"]["cpu_us"] == 80.0


def test_latency_is_added_to_the_best_direct_figure_so_that_slowing_the_neighbour_does_not_pay() -> None:
    quiet = {"direct_p50_ms": 0.1, "p50_ms": 0.3}
    busy = {"direct_p50_ms": 0.4, "p50_ms": 0.5}
    found = medians({("open loop", "nginx"): [quiet], ("open loop", "sidelight"): [busy]})
    assert found["open loop", "nginx"]["added_p50_ms"] == pytest.approx(0.2)
    assert found["open loop", "sidelight"]["added_p50_ms"] == pytest.approx(0.4)


def test_json_keeps_every_round_beside_the_median() -> None:
    told = as_json({"seconds": 1}, {("json c64", "nginx"): [{"cpu_us": 1.0}, {"cpu_us": 3.0}]})
    assert told["rows"][0]["median"] == {"cpu_us": 2.0}
    assert told["rows"][0]["rounds"] == [{"cpu_us": 1.0}, {"cpu_us": 3.0}]


def test_the_promise_stands_beside_the_figure() -> None:
    assert "| 2.50x" in promise_table(rows(35.5) | {("json c64", "nginx"): {"cpu_us": 14.2}})


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (100.0, "100"), (1234.5, "1234"), (12.34, "12.3"), (0.123, "0.12")]
)
def test_a_number_has_as_many_digits_as_it_is_worth(value: float | None, text: str) -> None:
    assert number(value) == text

"""The demo's clients, against the simulator and against nothing."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from sidelight.demo import answers
from sidelight.demo.traffic import SCENARIOS, CallResult, planned, send

UNANSWERED = {"rate_limit": 429, "server_error": 500}


def test_the_plan_is_the_same_every_time_and_longer_plans_begin_with_shorter_ones() -> None:
    assert planned(60) == planned(240)[:60]


def test_every_scenario_gets_its_share_of_a_long_plan() -> None:
    counts = Counter(call.scenario for call in planned(1000))
    total = sum(scenario.weight for scenario in SCENARIOS.values())
    for name, scenario in SCENARIOS.items():
        assert counts[name] == pytest.approx(1000 * scenario.weight / total, abs=2)


def test_sixty_calls_show_every_scenario() -> None:
    assert {call.scenario for call in planned(60)} == set(SCENARIOS)


def test_the_plan_mixes_formats_and_manners() -> None:
    kinds = Counter((call.format, call.body.get("stream", False)) for call in planned(240))
    assert len(kinds) == 4
    assert min(kinds.values()) >= 20


def test_every_behaviour_is_one_the_simulator_knows() -> None:
    assert {scenario.behaviour for scenario in SCENARIOS.values()} == {*answers.SCENARIOS, *answers.ERRORS}


async def test_every_call_is_answered_as_its_scenario_says(simulated: str) -> None:
    heard: list[CallResult] = []
    results = await send(simulated, 60, 8, heard.append)
    assert results == heard
    assert len(results) == 60
    for result in results:
        assert result.status == UNANSWERED.get(result.scenario, 200)
        assert result.error == ("ClientPayloadError" if result.scenario == "cut" else None)
        assert result.left == (result.scenario == "leaves")


async def test_an_endpoint_that_is_not_there_is_a_result_and_no_exception() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        results = await send(f"http://127.0.0.1:{held.getsockname()[1]}", 5, 2, lambda _: None)
    assert [(result.status, result.error) for result in results] == [(None, "ClientConnectorError")] * 5

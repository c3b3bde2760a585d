from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from pipeline.telemetry import Telemetry
from sidelight import processes
from sidelight.processes import Processes, Seen, name_of


def points(instrument: Any) -> dict[str, float]:
    return {str(dict(point.attributes)["process"]): point.value for point in instrument.points()}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "-P", "-m", "sidelight.child", "proxy", "0"], "proxy 0"),
        (["python", "-P", "-m", "sidelight.child", "pipeline"], "pipeline"),
        (["/bin/something"], "other"),
        ([], "other"),
    ],
)
def test_a_process_is_named_by_its_role(command: list[str], name: str) -> None:
    assert name_of(command) == name


def test_this_process_and_its_children_are_seen_as_the_system_sees_them() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        telemetry = Telemetry()
        Processes(os.getpid()).observe(telemetry)
        memory, cpu = points(telemetry.process_memory), points(telemetry.process_cpu_time)
        assert memory.keys() == {"supervisor", "other"}
        assert memory["supervisor"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.5)
        assert 0 < cpu["supervisor"] <= sum(psutil.Process().cpu_times()[:2])
        assert points(telemetry.process_uptime)["other"] >= 0
        child.communicate(b"\n")


def test_a_supervisor_that_is_gone_has_no_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    telemetry = Telemetry()
    Processes(child.pid).observe(telemetry)
    assert points(telemetry.process_memory) == {}


def test_cpu_time_never_falls_when_a_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    lives = iter(
        (
            {10: Seen("pipeline", 1, 5.0, 100.0), 11: Seen("evaluator", 1, 3.0, 100.0)},
            {10: Seen("pipeline", 1, 6.0, 101.0), 12: Seen("evaluator", 1, 0.5, 1.0)},
            {10: Seen("pipeline", 1, 7.0, 102.0)},
        )
    )
    monkeypatch.setattr(processes, "look", lambda _: next(lives).items())
    monkeypatch.setattr(processes, "FRESH", -1.0)
    telemetry = Telemetry()
    Processes(1).observe(telemetry)
    seen = [points(telemetry.process_cpu_time) for _ in range(3)]
    assert seen == [
        {"pipeline": 5.0, "evaluator": 3.0},
        {"pipeline": 6.0, "evaluator": 3.5},
        {"pipeline": 7.0, "evaluator": 3.5},
    ]


def test_processes_of_one_name_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {1: Seen("evaluator", 10, 1.0, 50.0), 2: Seen("evaluator", 20, 2.0, 5.0)}
    monkeypatch.setattr(processes, "look", lambda _: both.items())
    telemetry = Telemetry()
    Processes(1).observe(telemetry)
    told = [points(each) for each in (telemetry.process_memory, telemetry.process_cpu_time, telemetry.process_uptime)]
    assert told == [{"evaluator": 30}, {"evaluator": 3.0}, {"evaluator": 5.0}]

"""`sidelight evaluate` as people run it: a file in, a verdict out, an exit code for CI."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import until

pytestmark = pytest.mark.e2e

ROWS = [
    ("How many vacation days do full-time employees get?", "Full-time employees get 25 days of vacation a year."),
    ("How do I enroll in the health insurance plan?", "Enroll in the health plan through the benefits portal, please."),
    ("What is the policy for working remotely abroad?", "Bananas are rich in potassium and make an excellent snack."),
    ("When is the deadline for travel expense reports?", "Travel expense reports are due by the fifth working day."),
    ("Who do I contact about my payroll statement?", "Contact the payroll team about any problem with a statement."),
    ("How much parental leave do new parents get?", "New parents get sixteen weeks of fully paid parental leave."),
    ("Can I carry over unused sick days to next year?", "Unused sick days do not carry over and expire in December."),
    ("What training budget does each employee have?", "The Eiffel Tower was completed in 1889 and is well visited."),
    ("How do I request a change of working hours?", "Fill in the form for a change of working hours and send it."),
    ("Where is the organization chart of the company?", "The organization chart is on the intranet of the company."),
]  # fmt: skip


def a_file(folder: Path, head: tuple[str, str] = ("Question", "Answer")) -> Path:
    file = folder / "hr.csv"
    with file.open("w", newline="") as written:
        csv.writer(written).writerows([head, *ROWS])
    return file


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidelight", "evaluate", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_exactly_the_two_answers_that_are_off_topic_are_found_and_it_says_why(tmp_path: Path) -> None:
    run = evaluate(tmp_path, str(a_file(tmp_path)), "--json", "out.json", "--junit", "out.xml", "--html", "out.html")
    assert run.returncode == 1, run.stdout + run.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    failed = [
        (row["row"], name, entry["evaluations"][0]["explanation"])
        for row in told["rows"]
        for name, entry in row["outcomes"].items()
        if entry["outcome"] in ("fail", "error")
    ]
    assert [(number, name) for number, name, _ in failed] == [(3, "answer_relevancy"), (8, "answer_relevancy")]
    assert all("words of the question" in why for _, _, why in failed)
    assert "Failed: below 100% or broken: answer_relevancy." in run.stdout
    assert (tmp_path / "out.xml").read_text().count("<failure") == 2
    assert (tmp_path / "out.html").read_text().count("words of the question") == 2
    outcomes = [len(row["outcomes"]) for row in told["rows"]]
    assert outcomes == [len(told["evaluators"])] * len(ROWS)  # rows x evaluators, each with exactly one


def test_a_pass_rate_that_is_reached_is_a_success(tmp_path: Path) -> None:
    assert evaluate(tmp_path, str(a_file(tmp_path)), "--min-pass-rate", "0.7").returncode == 0


def test_a_configuration_says_who_is_asked(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "proxy: {upstreams: {one: {url: http://127.0.0.1:9}}}\nprocessors: {refusal: {}}\n"
    )
    run = evaluate(tmp_path, str(a_file(tmp_path)), "--config", "c.yaml", "--json", "out.json")
    assert run.returncode == 0, run.stdout
    assert [each["evaluator"] for each in json.loads((tmp_path / "out.json").read_text())["evaluators"]] == ["refusal"]


def test_labels_are_compared_where_somebody_asks(tmp_path: Path) -> None:
    lines = ["question,answer,intent,guess", "a?,b,yes,Yes", "c?,d,no,yes", "e?,f,no,no", "g?,h,,no"]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    asked = ("data.csv", "--label", "true=intent", "--label", "predicted=guess", "--json", "out.json")
    run = evaluate(tmp_path, *asked, "--min-pass-rate", "0")
    assert "Labels of 3 rows: accuracy 67%" in run.stdout, run.stdout + run.stderr
    told = json.loads((tmp_path / "out.json").read_text())["classification"]
    assert (told["labels"], told["matrix"], told["left_out"]) == (["no", "yes"], [[1, 1, 0], [0, 1, 0]], 1)


def test_columns_with_names_of_their_own_are_mapped(tmp_path: Path) -> None:
    file = a_file(tmp_path, ("Frage", "Antwort"))
    run = evaluate(tmp_path, str(file))
    assert (run.returncode, "--map query=COLUMN, one of Frage, Antwort" in run.stderr) == (2, True)
    run = evaluate(tmp_path, str(file), "--map", "query=Frage", "--map", "response=Antwort", "--min-pass-rate", "0")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--map", "response=Anser"), "did you mean Answer?"),
        (("--map", "response"), "write NAME=COLUMN, like response=Reply"),
        (("--label", "true=Answer"), "--label predicted=COLUMN is missing"),
        (("--min-pass-rate", "7"), "a share from 0 to 1"),
        (("--json", "."), ".: cannot be written: Is a directory"),
        (("--html", "nowhere/out.html"), "nowhere/out.html: there is no folder nowhere; make it first"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    run = evaluate(tmp_path, str(a_file(tmp_path)), *arguments)
    assert (run.returncode, said in run.stderr) == (2, True), run.stderr


def test_the_same_file_has_the_same_scores_every_time(tmp_path: Path) -> None:
    scores = []
    for name in ("one.json", "two.json"):
        evaluate(tmp_path, str(a_file(tmp_path)), "--json", name)
        scores.append(json.loads((tmp_path / name).read_text())["rows"])
    assert scores[0] == scores[1]


WAITING = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from sidelight import Evaluation, text_of

@dataclass(frozen=True)
class Waiting:
    pipe: str
    requires: ClassVar[tuple[str, ...]] = ("response_text",)

    def process(self, exchange):
        if "wait" in text_of(exchange.output_messages):
            Path(self.pipe).read_text()
        return (Evaluation("waiting", 1.0, "pass"),)
"""


def a_plug_in_that_waits(folder: Path) -> None:
    """Installed where PYTHONPATH leads; it stops in the middle of the file until somebody opens its pipe."""
    (folder / "waiting.py").write_text(WAITING)
    about = folder / "waiting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: waiting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[sidelight.processors]\nwaiting = waiting:Waiting\n")
    (folder / "c.yaml").write_text(
        "proxy: {upstreams: {one: {url: http://127.0.0.1:9}}}\nevaluation: {timeout: 300s}\n"
        f"processors: {{waiting: {{pipe: {folder / 'pipe'}}}, refusal: {{}}}}\n"
    )


def lines_of(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.is_file() else 0


async def killed_in_the_middle(folder: Path, *arguments: str) -> None:
    """Of 60 rows two batches, 32 rows, are evaluated; row 40 holds up the third."""
    os.mkfifo(folder / "pipe")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidelight", "evaluate", *arguments, cwd=folder
    )
    try:
        await until(lambda: lines_of(folder / "run.jsonl") == 1 + 32, patience=60)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    (folder / "pipe").unlink()
    (folder / "pipe").touch()


async def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_plug_in_that_waits(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pairs = ((f"Is {row} a number?", f"{row} is{' wait' if row == 40 else ''}.") for row in range(1, 61))
    rows = [json.dumps({"question": question, "answer": answer}) for question, answer in pairs]
    (tmp_path / "data.jsonl").write_text("\n".join(rows))
    asked = ("data.jsonl", "--config", "c.yaml")
    await killed_in_the_middle(tmp_path, *asked, "--resume", "run.jsonl")
    before = (tmp_path / "run.jsonl").read_bytes()

    second = await asyncio.to_thread(evaluate, tmp_path, *asked, "--resume", "run.jsonl", "--json", "resumed.json")
    assert (second.returncode, "32 rows were evaluated before: run.jsonl." in second.stdout) == (0, True), second.stdout
    kept = (tmp_path / "run.jsonl").read_bytes()
    assert kept.startswith(before)
    assert sorted(json.loads(line)["row"] for line in kept.splitlines()[1:]) == list(range(1, 61))
    await asyncio.to_thread(evaluate, tmp_path, *asked, "--json", "whole.json")
    assert (tmp_path / "resumed.json").read_text() == (tmp_path / "whole.json").read_text()

    (tmp_path / "data.jsonl").write_text("\n".join(rows[:-1]))
    other = await asyncio.to_thread(evaluate, tmp_path, *asked, "--resume", "run.jsonl")
    assert (other.returncode, "was begun with another file" in other.stderr) == (2, True), other.stderr

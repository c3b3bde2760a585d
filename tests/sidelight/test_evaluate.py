"""`sidelight evaluate` as people run it: a file in, a verdict out, an exit code for CI."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

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
        (("--map", "response"), "write FIELD=COLUMN"),
        (("--min-pass-rate", "7"), "a share from 0 to 1"),
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

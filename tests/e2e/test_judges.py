"""Judges beside traffic: their verdicts join the trace, whatever dies, and no debt is lost or paid twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sidelight.demo import free_addresses
from tests.support.judge_endpoint import always, block, judge_endpoint, said
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.running import Running, a_tree, running, started, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

QUESTION = "Which city is the capital of France?"


async def ask(url: str, times: int = 1, text: str = QUESTION) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                assert answer.status == 200
                await answer.read()


def a_judge(url: str, **options: Any) -> dict[str, Any]:
    return {"rubric": "coherence", "url": url, "model": "judge-1", "ratio": 1.0} | options


async def judged(run: Running, count: int) -> list[tuple[Any, ...]]:
    """Wait until the judge has given so many outcomes; they."""
    query = "SELECT outcome, reason, score, version, weight FROM ledger WHERE evaluator = 'judge' ORDER BY exchange_id"

    async def enough() -> bool:
        return len(await run.rows(query)) >= count and not await run.rows("SELECT 1 FROM owed")

    await until(enough)
    return await run.rows(query)


async def test_a_verdict_joins_the_trace_of_its_call(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with OtlpReceiver() as receiver, judge_endpoint(lambda body: said(2, "Jumps about.")) as judge:
        exporters = {"otlp": {"endpoint": receiver.endpoint}, "store": {"path": str(tmp_path / "store.db")}}
        processors = {"judge": a_judge(judge.url)}
        async with running(tmp_path, constant.url, processors=processors, exporters=exporters) as run:
            await ask(run.url)
            ((outcome, reason, score, version, weight),) = await judged(run, 1)
            await until(lambda: len(receiver.spans) == 5)  # SERVER, CLIENT, two evaluators, the judge
            sums = await run.sums()
    assert (outcome, reason, score, weight) == ("fail", None, 2.0, 1.0)
    assert sums.balanced
    (call,) = [span for span in receiver.spans if span["kind"] == "CLIENT"]
    (work,) = [span for span in receiver.spans if span["name"] == "evaluate judge"]
    (event,) = [log for log in receiver.logs if log["attributes"]["sidelight.evaluation.evaluator"] == "judge"]
    assert work["trace_id"] == call["trace_id"] == event["trace_id"]
    assert (work["parent_span_id"], event["span_id"]) == (call["span_id"], call["span_id"])
    attributes = event["attributes"]
    assert attributes["gen_ai.evaluation.name"] == "coherence"
    assert attributes["sidelight.evaluation.version"] == version
    assert attributes["sidelight.evaluation.calibration"] == "uncalibrated"
    assert attributes["gen_ai.evaluation.explanation"].startswith("2: ")
    assert "sidelight.evaluation.reasoning" not in attributes  # it may quote, and content goes nowhere by default
    assert block(judge.bodies[0], "question") == QUESTION


async def test_debts_outlive_a_kill_and_each_is_paid_once(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with judge_endpoint(always(5)) as judge:
        judge.held = asyncio.Event()
        run = Running(tmp_path, a_tree(tmp_path, constant.url, processors={"judge": a_judge(judge.url)}))
        async with started(run):
            for number in range(12):
                await ask(run.url, text=f"{QUESTION} {number}")
            await run.settled(12)
            await judge.asked.wait()
            os.kill(run.pid("pipeline"), signal.SIGKILL)
            judge.held.set()
            await until(lambda: run.is_ready("pipeline", 1))
            outcomes = await judged(run, 12)
            sums = await run.sums()
    assert [outcome for outcome, *_ in outcomes] == ["pass"] * 12
    assert sums.balanced


async def test_a_budget_that_is_spent_is_an_outcome(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with judge_endpoint(always(4)) as judge:
        processors = {"judge": a_judge(judge.url, budget="3 calls/day", concurrency=1)}
        async with running(tmp_path, constant.url, processors=processors) as run:
            for number in range(5):
                await ask(run.url, text=f"{QUESTION} {number}")
            outcomes = await judged(run, 5)
            sums = await run.sums()
    assert len(judge.bodies) == 3
    assert sorted((outcome, reason) for outcome, reason, *_ in outcomes) == [
        ("pass", None),
        ("pass", None),
        ("pass", None),
        ("skipped", "budget"),
        ("skipped", "budget"),
    ]
    assert sums.balanced


async def test_the_same_question_and_answer_are_judged_once(tmp_path: Path, constant: ScriptedUpstream) -> None:
    async with (
        judge_endpoint(always(4)) as judge,
        running(tmp_path, constant.url, processors={"judge": a_judge(judge.url, concurrency=1)}) as run,
    ):
        await ask(run.url, times=6)
        outcomes = await judged(run, 6)
    assert len(judge.bodies) == 1
    assert {(outcome, score) for outcome, _, score, *_ in outcomes} == {("pass", 4.0)}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda body: web.Response(status=401), "judge_http_401"),
        (lambda body: web.Response(status=429, headers={"Retry-After": "0"}), "judge_http_429"),
        (lambda body: web.Response(status=200, text="<html>"), "judge_not_an_answer_of_this_api"),
        (lambda body: "I would rather not say.", "judge_parse"),
    ],
)
async def test_a_judge_that_fails_is_one_error_and_harms_nobody(
    tmp_path: Path, constant: ScriptedUpstream, answer: Any, reason: str
) -> None:
    async with judge_endpoint(answer) as judge:
        processors = {"judge": a_judge(judge.url, attempts=2)}
        async with running(tmp_path, constant.url, processors=processors) as run:
            await ask(run.url)
            outcomes = await judged(run, 1)
            sums = await run.sums()
    assert [(outcome, why) for outcome, why, *_ in outcomes] == [("error", reason)]
    assert sums.balanced
    assert len(judge.bodies) <= 2


async def test_judges_answer_questions_on_the_control_port_when_they_are_ready(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    question = {"query": QUESTION, "response": "Paris.", "judges": True}
    url = f"http://{address}/v1/evaluations"
    async with judge_endpoint(always(5)) as judge:
        judge.held = asyncio.Event()
        sections: dict[str, Any] = {"processors": {"judge": a_judge(judge.url)}, "console": {"listen": address}}
        async with running(tmp_path, constant.url, **sections) as run, aiohttp.ClientSession() as session:
            async with session.post(url, json=question) as answer:
                told = await answer.json()
            assert told["outcomes"]["refusal"]["outcome"] == "pass"
            await judge.asked.wait()
            async with session.get(f"{url}/{told['run']}") as answer:
                assert await answer.json() == {"state": "running"}
            judge.held.set()

            async def done() -> bool:
                async with session.get(f"{url}/{told['run']}") as answer:
                    return bool((await answer.json())["state"] == "done")

            await until(done)
            async with session.get(f"{url}/{told['run']}") as answer:
                outcomes = (await answer.json())["outcomes"]
            ((exchanges,),) = await run.rows("SELECT COUNT(*) FROM exchange")
    assert outcomes["judge"]["evaluations"][0]["score"] == 5.0
    assert exchanges == 0


async def test_after_bad_feedback_the_judge_looks_at_what_it_had_left_out(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    bad = {"response_id": "chatcmpl-1", "name": "thumbs", "label": "fail"}
    async with judge_endpoint(always(2)) as judge:
        tree = a_tree(tmp_path, constant.url, console={"listen": address})
        tree["processors"]["judge"] = a_judge(judge.url, ratio=0.0, always=["feedback"])
        run = Running(tmp_path, tree)
        async with started(run):
            await ask(run.url)
            await run.settled(1)
            before = await judged(run, 1)
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"http://{address}/v1/feedback", json=bad) as answer,
            ):
                assert answer.status == 200

            async def looked() -> bool:
                return await judged(run, 1) != before

            await until(looked)
            ((outcome, reason, score, _, weight),) = await judged(run, 1)
            sums = await run.sums()
    assert [row[:2] for row in before] == [("skipped", "sampled_out")]
    assert (outcome, reason, score, weight) == ("fail", None, 2.0, 0.0)
    assert sums.balanced


async def test_a_judge_that_is_not_let_in_is_seen_on_the_health_page(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    async with judge_endpoint(lambda body: web.Response(status=401)) as judge:
        processors = {"judge": a_judge(judge.url)}
        async with running(tmp_path, constant.url, processors=processors) as run:

            async def told() -> bool:  # once a second the pipeline says how its parts fare
                return "processors.judge" in (await run.status()).get("components", {})

            await until(told)
            well = (await run.status())["components"]
            for number in range(8):
                await ask(run.url, text=f"{QUESTION} {number}")

            async def failing() -> bool:
                return (await run.status())["components"]["processors.judge"]["status"] == "StatusPermanentError"

            await until(failing)
            component = (await run.status())["components"]["processors.judge"]
    assert [well[name]["status"] for name in ("processors.judge", "judgements")] == ["StatusOK"] * 2
    assert component["error"] == "HTTP 401"
    assert len(judge.bodies) <= 8


async def test_a_judge_that_passes_through_sidelight_is_not_judged(tmp_path: Path) -> None:
    """Its own calls are traffic to the upstream, and nobody's business."""
    async with judge_endpoint(lambda body: said(3) if "response_format" in body else "Paris.") as everybody:
        tree = a_tree(tmp_path, everybody.url)
        tree["processors"]["judge"] = a_judge(f"http://{tree['proxy']['listen']}")
        run = Running(tmp_path, tree)
        async with started(run):
            await ask(run.url)
            await run.settled(2)
            await judged(run, 2)
            sums = await run.sums()
            ledger = await run.rows("SELECT outcome, reason, count(*) FROM ledger GROUP BY outcome, reason")
    assert len(everybody.bodies) == 2  # the question, and its judgement
    assert ("skipped", "filtered", 3) in ledger  # two evaluators and the judge, of the judge's call
    assert sums.balanced
    assert sums.done == 2


async def test_other_judges_after_a_reload_and_those_that_went_owe_nothing(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    async with judge_endpoint(always(4)) as judge:
        judge.held = asyncio.Event()
        run = Running(tmp_path, a_tree(tmp_path, constant.url, processors={"judge": a_judge(judge.url)}))
        async with started(run):
            await ask(run.url, times=3)
            await run.settled(3)
            await judge.asked.wait()
            processors = {name: options for name, options in run.tree["processors"].items() if name != "judge"}
            run.write(run.tree | {"processors": processors})
            run.process.send_signal(signal.SIGHUP)
            outcomes = await judged(run, 3)
            sums = await run.sums()
    assert {(outcome, reason) for outcome, reason, *_ in outcomes} == {("skipped", "filtered")}
    assert sums.balanced


async def test_a_file_is_judged_and_failing_rows_are_told_with_the_judges_words(tmp_path: Path) -> None:
    """As in CI: ten answers of which two speak of something else, an exit code, and nothing asked twice."""
    answers = ["Five days may be carried over."] * 10
    answers[3] = answers[7] = "Bananas are rich in potassium."
    rows = [
        {"question": f"How many days of leave carry over, case {n}?", "answer": each} for n, each in enumerate(answers)
    ]
    (tmp_path / "hr.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def script(body: dict[str, Any]) -> str:
        off = "Bananas" in block(body, "answer")
        return said(1 if off else 5, "It speaks of fruit." if off else "It answers.")

    async with judge_endpoint(script) as judge:
        tree = a_tree(tmp_path, "http://localhost", processors={"judge": a_judge(judge.url, rubric="relevance")})
        run = Running(tmp_path, tree)
        run.write(tree)
        command = ("-m", "sidelight", "evaluate", "hr.jsonl", "--config", str(run.config), "--json", "out.json")
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=tmp_path)
            assert await process.wait() == 1
    told = json.loads(await asyncio.to_thread((tmp_path / "out.json").read_text))
    failed = [row["row"] for row in told["rows"] if row["outcomes"]["judge"]["outcome"] == "fail"]
    assert failed == [4, 8]
    assert told["rows"][3]["outcomes"]["judge"]["evaluations"][0]["reasoning"] == "It speaks of fruit."
    assert len(judge.bodies) == 10  # the second run remembers

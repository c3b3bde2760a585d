"""What comes in by the control port: judgements that join the trace of their call, and questions to the evaluators."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sidelight.demo import free_addresses
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.running import Running, a_tree, started, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

TOKEN = "only-for-us"
THUMB = {"response_id": "chatcmpl-1", "name": "thumbs_up", "score": 1, "label": "pass"}


async def ask(run: Running) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}
    async with aiohttp.ClientSession() as session, session.post(f"{run.url}/v1/chat/completions", json=body) as answer:
        assert answer.status == 200
        await answer.read()


async def judge(address: str, **feedback: Any) -> int:
    url, headers = f"http://{address}/v1/feedback", {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession() as session, session.post(url, json=feedback, headers=headers) as answer:
        return answer.status


async def test_feedback_joins_the_trace_of_its_call_even_after_a_restart(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    async with OtlpReceiver() as receiver:
        tree = a_tree(
            tmp_path,
            constant.url,
            exporters={"otlp": {"endpoint": receiver.endpoint}, "store": {"path": str(tmp_path / "store.db")}},
            console={"listen": address, "token": TOKEN},
        )
        run = Running(tmp_path, tree)
        async with started(run):
            await ask(run)
            await run.settled(1)
            await until(lambda: len(receiver.spans) == 4)  # SERVER, CLIENT, two evaluators' work
        (call,) = [span for span in receiver.spans if span["kind"] == "CLIENT"]
        receiver.spans.clear()
        receiver.logs.clear()

        async with started(run):
            assert await judge(address, **THUMB) == 200
            assert await judge(address, **{**THUMB, "response_id": "chatcmpl-2"}) == 404
            assert await judge(address, id=call["attributes"]["sidelight.exchange.id"], name="edited", score=0.2) == 200
            await until(lambda: len(receiver.spans) == 2)
            ledger = await run.rows(
                "SELECT evaluator, outcome, score FROM ledger WHERE evaluator LIKE 'feedback%' ORDER BY evaluator"
            )
            sums = await run.sums()
    assert ledger == [("feedback/edited", "scored", 0.2), ("feedback/thumbs_up", "pass", 1.0)]
    assert sums.balanced
    names = {span["name"] for span in receiver.spans}
    assert names == {"evaluate feedback/thumbs_up", "evaluate feedback/edited"}
    for told in (*receiver.spans, *receiver.logs):
        assert told["trace_id"] == call["trace_id"]
    assert {span["parent_span_id"] for span in receiver.spans} == {call["span_id"]}
    events = {event["attributes"]["gen_ai.evaluation.name"]: event for event in receiver.logs}
    assert events.keys() == {"thumbs_up", "edited"}
    assert {event["span_id"] for event in receiver.logs} == {call["span_id"]}
    assert events["thumbs_up"]["attributes"]["gen_ai.response.id"] == "chatcmpl-1"
    outcomes = {
        point["attributes"]["evaluator"]: point["value"]
        for metric in receiver.metrics
        if metric["name"] == "sidelight.evaluation.outcomes"
        for point in metric["points"]
    }
    assert outcomes["feedback/thumbs_up"] == 1
    calls = [metric for metric in receiver.metrics if metric["name"] == "gen_ai.client.inference.duration"]
    assert max(point["count"] for metric in calls for point in metric["points"]) == 1  # the call is counted once


async def test_feedback_of_a_call_that_was_sampled_out_is_counted_and_told_nowhere(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    async with OtlpReceiver() as receiver:
        tree = a_tree(
            tmp_path,
            constant.url,
            processors={"sample": {"ratio": 0.0}},
            exporters={"otlp": {"endpoint": receiver.endpoint}, "store": {"path": str(tmp_path / "store.db")}},
            console={"listen": address, "token": TOKEN},
        )
        async with started(Running(tmp_path, tree)) as run:
            await ask(run)
            await run.settled(1)
            assert await judge(address, **THUMB) == 200
            ((entries,),) = await run.rows("SELECT COUNT(*) FROM ledger WHERE evaluator = 'feedback/thumbs_up'")
        assert (entries, receiver.spans, receiver.logs) == (1, [], [])
    metrics = {metric["name"]: metric for metric in receiver.metrics}
    evaluators = {point["attributes"]["evaluator"] for point in metrics["sidelight.evaluation.outcomes"]["points"]}
    assert evaluators == {"refusal", "latency", "feedback/thumbs_up"}


async def test_a_question_on_the_port_has_the_scores_of_the_command_line(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    (address,) = free_addresses(1)
    question = {"query": "What is the policy for working remotely abroad?", "response": "I cannot help with that."}
    run = Running(tmp_path, a_tree(tmp_path, constant.url, console={"listen": address}))
    async with started(run):
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{address}/v1/evaluations", json=question) as answer,
        ):
            assert answer.status == 200
            asked = (await answer.json())["outcomes"]
        (tmp_path / "one.jsonl").write_text(json.dumps(question))
        command = ("evaluate", "one.jsonl", "--config", str(run.config), "--json", "out.json")
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "sidelight", *command, cwd=tmp_path)
        await process.wait()
        ((exchanges,),) = await run.rows("SELECT COUNT(*) FROM exchange")
    rows = json.loads(await asyncio.to_thread((tmp_path / "out.json").read_text))["rows"]
    assert asked == rows[0]["outcomes"]
    assert asked["refusal"]["outcome"] == "fail"
    assert exchanges == 0  # a question is no traffic

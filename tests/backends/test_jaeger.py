"""A real Jaeger behind a real Collector shows each call as a tree, and finds exactly those that an evaluator failed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sidelight.demo import SERVICE
from store.queries import opened
from tests.backends.jaeger import Span, jaeger
from tests.backends.otelcol import Collector

pytestmark = pytest.mark.backends

CALLS = 120


async def demonstrate(folder: Path, endpoint: str) -> Path:
    """`sidelight demo` as anybody runs it; its store."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidelight", "demo", "--keep", "--calls", str(CALLS), "--otlp", endpoint),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert f"service {SERVICE}" in out.decode()
    (store,) = await asyncio.to_thread(lambda: list(folder.glob("sidelight-demo-*/sidelight.db")))
    return store


async def rows(store: Path, query: str) -> list[tuple[Any, ...]]:
    def read() -> list[tuple[Any, ...]]:
        with opened(store) as db:
            return [tuple(row) for row in db.execute(query)]

    return await asyncio.to_thread(read)


async def test_after_the_demo_jaeger_finds_exactly_the_calls_that_each_evaluator_failed(tmp_path: Path) -> None:
    async with jaeger(tmp_path) as backend:
        collector = Collector(tmp_path, traces_to=backend.endpoint)
        async with collector.running():
            store = await demonstrate(tmp_path, collector.endpoints["http/protobuf"])
        failed = await rows(
            store, "SELECT evaluator, trace_id FROM ledger JOIN exchange ON id = exchange_id WHERE outcome = 'fail'"
        )
        evaluators = {evaluator for evaluator, _ in failed}
        assert evaluators >= {"refusal", "json_valid", "pii", "latency", "truncation"}
        for evaluator in evaluators:
            found = await backend.search(SERVICE, {f"sidelight.failed_by.{evaluator}": "true"})
            assert found.keys() == {trace for name, trace in failed if name == evaluator}, evaluator

        traces = await backend.search(SERVICE)
        assert traces.keys() == {trace for (trace,) in await rows(store, "SELECT trace_id FROM exchange")}
        for spans in traces.values():
            is_a_tree_of_one_call(spans)


def is_a_tree_of_one_call(spans: list[Span]) -> None:
    """SERVER, below it CLIENT with the GenAI attributes, below that the evaluations."""
    (root,) = [span for span in spans if span.tags["span.kind"] == "server"]
    (call,) = [span for span in spans if span.tags["span.kind"] == "client"]
    evaluations = [span for span in spans if span.tags["span.kind"] == "internal"]
    assert call.parent_id == root.span_id
    assert evaluations
    assert {span.parent_id for span in evaluations} == {call.span_id}
    assert call.name == f"{call.tags['gen_ai.operation.name']} {call.tags['gen_ai.request.model']}"
    assert call.tags["sidelight.exchange.id"] == root.tags["sidelight.exchange.id"]
    failed = {span.tags["sidelight.evaluation.evaluator"] for span in evaluations if is_failure(span)}
    assert failed == {name.removeprefix("sidelight.failed_by.") for name in call.tags if "failed_by" in name}


def is_failure(span: Span) -> bool:
    return bool(span.tags["sidelight.evaluation.outcome"] == "fail")

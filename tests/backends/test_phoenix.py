"""A real Arize Phoenix shows calls as LLM spans, in its own dialect and in what it makes of the conventions' names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.backends.phoenix import Phoenix, phoenix
from tests.support.running import Running, running, until
from tests.support.upstream import ScriptedUpstream

pytestmark = [pytest.mark.backends, pytest.mark.timeout(300)]

SPANS = 3  # SERVER, CLIENT, and one evaluator's
ANSWERED_BY = "gpt-4o-2024-08-06"
QUESTION = "What is the capital of France?"
BODY = {
    "model": "gpt-4o",
    "temperature": 0.5,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}],
}


async def told(folder: Path, backend: Phoenix, upstream: str, dialect: str) -> dict[str, dict[str, Any]]:
    """One call through a Sidelight with this dialect; what Phoenix has of it, by the kind of span."""
    await asyncio.to_thread(folder.mkdir)
    otlp = {"endpoint": backend.endpoint, "signals": ["traces"], "content": "redacted", "dialect": dialect}
    exporters = {
        "store": {"path": str(folder / "store.db")},
        "otlp": otlp,
        "phoenix_annotations": {"endpoint": backend.endpoint},
    }
    service = {"attributes": {"openinference.project.name": dialect}}
    async with running(folder, upstream, exporters=exporters, service=service) as run:
        await ask(run)

        async def arrived() -> bool:
            spans = await backend.spans(dialect)
            calls = [span["context"]["span_id"] for span in spans if span["span_kind"] == "LLM"]
            return len(spans) >= SPANS and bool(await backend.annotations(dialect, calls[0]))

        await until(arrived, patience=60)  # an annotation that came before its span is looked at again after a while
    return {span["span_kind"]: span for span in await backend.spans(dialect)}


async def ask(run: Running) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{run.url}/v1/chat/completions", json=BODY) as answer:
        assert answer.status == 200
        await answer.read()
    await run.settled(1)


async def test_phoenix_reads_its_own_dialect_and_makes_the_same_of_the_conventions(
    tmp_path: Path, constant: ScriptedUpstream
) -> None:
    async with phoenix(tmp_path) as backend:
        own = await told(tmp_path / "own", backend, constant.url, "openinference")
        annotations = await backend.annotations("openinference", own["LLM"]["context"]["span_id"])
        conventional = await told(tmp_path / "conventional", backend, constant.url, "genai")

    assert own.keys() == {"CHAIN", "LLM", "EVALUATOR"}
    assert own["LLM"]["parent_id"] == own["CHAIN"]["context"]["span_id"]
    assert own["EVALUATOR"]["parent_id"] == own["LLM"]["context"]["span_id"]
    verdict = own["EVALUATOR"]["attributes"]
    assert (verdict["evaluations.0.evaluation.name"], verdict["evaluations.0.evaluation.label"]) == ("refusal", "pass")
    assert not [name for span in own.values() for name in span["attributes"] if name.startswith("gen_ai.")]

    said = {each["name"]: each for each in annotations}
    result = said["refusal"]["result"]
    assert (result["label"], result["score"], said["refusal"]["annotator_kind"]) == ("pass", 0.0, "CODE")

    call = own["LLM"]["attributes"]
    assert (call["llm.model_name"], conventional["LLM"]["attributes"]["llm.model_name"]) == (ANSWERED_BY, "gpt-4o")
    expected = {
        "llm.provider": "openai",
        "llm.token_count.prompt": 9,
        "llm.token_count.completion": 3,
        "llm.token_count.total": 12,
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.content": QUESTION,
        "llm.output_messages.0.message.content": "Hello!",
        "llm.finish_reason": "stop",
    }
    assert {name: call.get(name) for name in expected} == expected

    theirs = conventional["LLM"]["attributes"]  # by Phoenix's own conversion: a second opinion on our names
    assert {name: theirs.get(name) for name in expected} == expected

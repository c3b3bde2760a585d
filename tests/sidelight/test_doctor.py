from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from config.load import settings_from
from processors import embeddings
from sidelight.components import build_components
from sidelight.demo import free_addresses
from sidelight.doctor import MARK, examine
from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.synonyms import install, uninstall


async def examined(
    tmp_path: Path, upstream: str, processors: dict[str, Any] | None = None, **exporters: Any
) -> tuple[bool, str]:
    tree = {
        "processors": processors or {},
        "proxy": {"upstreams": {"one": {"url": upstream}}},
        "exporters": {"store": {"path": str(tmp_path / "store.db")}, **exporters},
        "service": {"name": "support-bot", "health": free_addresses(1)[0]},
    }
    settings = settings_from(tree)
    components = await asyncio.to_thread(build_components, settings)
    out = io.StringIO()
    well = await examine(settings, components, Console(file=out, width=300))
    return well, out.getvalue()


def lines(text: str, subject: str) -> list[str]:
    return [line for line in text.splitlines() if f" {subject} " in line]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
async def test_a_backend_gets_one_marked_call_in_every_signal(tmp_path: Path, protocol: str) -> None:
    async with OtlpReceiver() as receiver:
        endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.endpoint
        well, text = await examined(tmp_path, receiver.endpoint, otlp={"endpoint": endpoint, "protocol": protocol})
    assert well, text
    assert [line.rpartition(": ")[2] for line in lines(text, "exporters.otlp")] == ["taken"] * 3
    names = [span["name"] for span in receiver.spans]
    assert names == [
        "POST /v1/chat/completions", f"chat {MARK}", f"evaluate {MARK}.good", f"evaluate {MARK}.bad",
    ]  # fmt: skip
    (trace,) = {span["trace_id"] for span in receiver.spans}
    assert trace in text
    assert {record["trace_id"] for record in receiver.logs} == {trace}
    assert [record["event_name"] for record in receiver.logs] == ["gen_ai.evaluation.result"] * 2
    assert "gen_ai.client.inference.duration" in {metric["name"] for metric in receiver.metrics}


async def test_only_the_signals_that_the_configuration_names_are_sent(tmp_path: Path) -> None:
    async with OtlpReceiver() as receiver:
        otlp = {"endpoint": receiver.endpoint, "signals": ["traces"]}
        well, _ = await examined(tmp_path, receiver.endpoint, otlp=otlp)
    assert well
    assert {request.signal for request in receiver.requests} == {"traces"}


async def test_a_refusal_is_told_with_the_backends_own_words(tmp_path: Path) -> None:
    async with OtlpReceiver() as receiver:
        receiver.always = lambda signal: Reply(status=401, message="who are you?") if signal == "logs" else None
        well, text = await examined(tmp_path, receiver.endpoint, otlp={"endpoint": receiver.endpoint})
    assert not well
    traces, metrics, logs = lines(text, "exporters.otlp")
    assert traces.endswith("taken")
    assert metrics.endswith("taken")
    assert "not taken: logs: HTTP 401 who are you?" in logs


async def test_what_is_taken_in_part_is_not_well(tmp_path: Path) -> None:
    async with OtlpReceiver() as receiver:
        receiver.always = lambda signal: Reply(rejected=2, message="too old") if signal == "traces" else None
        well, text = await examined(tmp_path, receiver.endpoint, otlp={"endpoint": receiver.endpoint})
    assert not well
    assert "taken in part" in text


async def test_nobody_there_is_told_for_upstreams_and_backends(tmp_path: Path) -> None:
    upstream, backend = free_addresses(2)
    well, text = await examined(tmp_path, f"http://{upstream}", otlp={"endpoint": f"http://{backend}"})
    assert not well
    (line,) = lines(text, "proxy.upstreams.one")
    assert f"{upstream} cannot be reached: Connection refused" in line
    assert all("not taken" in line for line in lines(text, "exporters.otlp"))


async def test_a_page_a_store_and_other_exporters_have_their_line(tmp_path: Path) -> None:
    (address,) = free_addresses(1)
    async with OtlpReceiver() as receiver:
        well, text = await examined(tmp_path, receiver.endpoint, prometheus={"listen": address}, debug=None)
    assert well, text
    assert "will listen there" in lines(text, "exporters.prometheus")[0]
    assert "can be written" in lines(text, "exporters.store")[0]
    assert "nothing was sent" in lines(text, "exporters.debug")[0]
    assert "nothing runs" in lines(text, "service.health")[0]


async def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with OtlpReceiver() as receiver:
        well, text = await examined(tmp_path, receiver.endpoint, store={"path": str(tmp_path / "nowhere" / "s.db")})
    assert not well
    assert "cannot be written" in lines(text, "exporters.store")[0]


async def test_a_model_that_is_not_there_is_told_where_an_evaluator_would_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch)
    embeddings._loaded.cache_clear()
    async with OtlpReceiver() as receiver:
        well, text = await examined(tmp_path, receiver.endpoint, {"groundedness": {"method": "auto"}})
        _, without = await examined(tmp_path, receiver.endpoint, {"groundedness": {}})
    embeddings._loaded.cache_clear()
    assert well, text
    (line,) = lines(text, "processors")
    assert line.endswith(f"meanings are not compared: the model is not installed; {embeddings.INSTALL}")
    assert lines(without, "processors") == []


async def test_a_model_that_is_needed_and_unusable_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "folder", lambda: tmp_path)
    embeddings._loaded.cache_clear()
    async with OtlpReceiver() as receiver:
        well, text = await examined(tmp_path, receiver.endpoint, {"groundedness": {"method": "embeddings"}})
        install(monkeypatch, "word")
        better, _ = await examined(tmp_path, receiver.endpoint, {"groundedness": {"method": "embeddings"}})
    assert (well, better) == (False, True)
    assert "meanings are not compared: model.safetensors cannot be read" in text

"""What Prometheus would read of a whole run is what happened."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sidelight.demo import free_addresses
from tests.support.running import running, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.e2e

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello?"}]}'
ASKED = 7


async def test_the_page_tells_every_request_token_and_outcome(tmp_path: Path, constant: ScriptedUpstream) -> None:
    (address,) = free_addresses(1)
    exporters = {"store": {"path": str(tmp_path / "store.db")}, "prometheus": {"listen": address}}
    async with running(tmp_path, constant.url, exporters=exporters) as run, aiohttp.ClientSession() as session:
        for _ in range(ASKED):
            async with session.post(
                f"{run.url}/v1/chat/completions", data=BODY, headers={"Content-Type": "application/json"}
            ) as answer:
                assert answer.status == 200
        await run.settled(ASKED)
        told: list[Sample] = []

        async def complete() -> bool:
            accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
            async with session.get(f"http://{address}/metrics", headers=accept) as page:
                told[:] = [
                    each for found in text_string_to_metric_families(await page.text()) for each in found.samples
                ]
            return total("sidelight_capture_offered_total") == ASKED

        def total(name: str, **labels: str) -> float:
            return sum(each.value for each in told if each.name == name and labels.items() <= each.labels.items())

        await until(complete)
        assert total("http_server_request_duration_seconds_count") == ASKED
        assert total("gen_ai_client_inference_usage_input_tokens_total") == 9 * ASKED
        assert total("sidelight_exchange_done_total") == ASKED
        assert total("sidelight_evaluation_outcomes_total", evaluator="refusal", outcome="pass") == ASKED
        traces = {trace for (trace,) in await run.rows("SELECT trace_id FROM exchange")}
        shown = {each.exemplar.labels["trace_id"] for each in told if each.exemplar}
        assert shown
        assert shown <= traces

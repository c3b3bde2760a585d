"""A real Prometheus reads the page, exemplars included, and knows every number that the store knows."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from sidelight.demo import free_addresses
from sidelight.demo.children import first_line, python_child
from tests.backends.prometheus import prometheus
from tests.support.running import PATIENCE, Running, running, until

pytestmark = pytest.mark.backends

SIMULATOR = ("sidelight.demo.simulator", "--port", "0", "--speed", "20")
ASKED = 12
EXPECTED = {
    "http_server_request_duration_seconds_bucket",
    "http_client_request_duration_seconds_bucket",
    "gen_ai_client_inference_duration_seconds_bucket",
    "gen_ai_client_operation_duration_seconds_bucket",
    "gen_ai_client_token_usage_bucket",
    "gen_ai_client_inference_usage_input_tokens_total",
    "sidelight_evaluation_outcomes_total",
    "sidelight_evaluation_score_bucket",
    "sidelight_cost_total",
    "sidelight_proxy_compared_answers_total",
    "sidelight_journal_pending",
    "target_info",
}


async def ask(run: Running) -> None:
    """Some questions, every third of them streamed."""
    async with aiohttp.ClientSession() as session:
        for number in range(ASKED):
            body = {
                "model": "gpt-4o-mini",
                "stream": number % 3 == 0,
                "messages": [{"role": "user", "content": f"Question {number}?"}],
            }
            async with session.post(f"{run.url}/v1/chat/completions", json=body) as answer:
                assert answer.status == 200
                await answer.read()


async def test_prometheus_knows_what_the_store_knows(tmp_path: Path) -> None:
    (address,) = free_addresses(1)
    exporters = {"store": {"path": str(tmp_path / "store.db")}, "prometheus": {"listen": address}}
    async with (
        python_child(*SIMULATOR, log=tmp_path / "simulator.log", piped=True) as endpoint,
        prometheus(tmp_path, address) as backend,
    ):
        upstream = (await first_line(endpoint, PATIENCE)).removeprefix("listening on ")
        async with running(tmp_path, upstream, exporters=exporters, service={"name": "support-bot"}) as run:
            await ask(run)
            await run.settled(ASKED)

            async def has_read_it_all() -> bool:
                return await backend.total("sidelight_exchange_done_total") == ASKED

            await until(has_read_it_all)
            (target,) = await backend.targets()
            assert (target["health"], target["lastError"]) == ("up", "")
            assert await backend.names() >= EXPECTED

            counted = "SELECT SUM(input_tokens), SUM(output_tokens) FROM exchange WHERE usage_source = 'provider'"
            ((input_tokens, output_tokens),) = await run.rows(counted)  # estimates are told under names of their own
            ((cost, count),) = await run.rows("SELECT SUM(cost), COUNT(*) FROM exchange")
            assert count == await backend.total("http_server_request_duration_seconds_count") == ASKED
            assert input_tokens == await backend.total("gen_ai_client_inference_usage_input_tokens_total")
            assert output_tokens == await backend.total("gen_ai_client_inference_usage_output_tokens_total")
            assert cost == pytest.approx(await backend.total("sidelight_cost_total"))
            for evaluator, outcome, number in await run.rows(
                "SELECT evaluator, outcome, COUNT(*) FROM ledger GROUP BY evaluator, outcome"
            ):
                labels = f'{{evaluator="{evaluator}",outcome="{outcome}"}}'
                assert number == await backend.total(f"sidelight_evaluation_outcomes_total{labels}")
            assert await backend.total("sidelight_proxy_mismatched_answers_total") == 0
            ((info, _),) = await backend.query("target_info")
            assert info["service_name"] == "support-bot"

            traces = {trace for (trace,) in await run.rows("SELECT trace_id FROM exchange")}
            for metric in (
                "http_server_request_duration_seconds_bucket",
                "gen_ai_client_inference_duration_seconds_bucket",
            ):
                exemplars = await backend.exemplars(metric)
                assert exemplars, metric
                assert {each["labels"]["trace_id"] for each in exemplars} <= traces
            metadata = await backend.metadata()
            assert metadata["http_server_request_duration_seconds"][0]["unit"] == "seconds"
            assert metadata["sidelight_evaluation_outcomes"][0]["type"] == "counter"

"""What docker-compose.yaml starts, started without containers: the same files and programs, at other addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sidelight.demo import free_addresses
from sidelight.demo.children import first_line, python_child
from tests.backends.otelcol import collecting
from tests.backends.prometheus import reading
from tests.support.configured import tree_in
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.running import PATIENCE, running, until

pytestmark = pytest.mark.backends

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
SIMULATOR = ("sidelight.demo.simulator", "--port", "0", "--speed", "20")


def moved(file: str, places: Mapping[str, str]) -> str:
    """A file of the deployment, each address that it names replaced."""
    text = (COMPOSE / file).read_text()
    for said, here in places.items():
        text = text.replace(said, here)
    return text


async def test_traffic_ends_up_as_spans_events_and_metrics_with_exemplars(tmp_path: Path) -> None:
    proxy, page, otlp = free_addresses(3)
    collector, prometheus, log = tmp_path / "collector.yaml", tmp_path / "prometheus.yaml", tmp_path / "collector.log"
    async with (
        OtlpReceiver() as jaeger,
        python_child(*SIMULATOR, log=tmp_path / "simulator.log", piped=True) as endpoint,
    ):
        places = {
            "http://simulator:8000": (await first_line(endpoint, PATIENCE)).removeprefix("listening on "),
            "0.0.0.0:4000": proxy,
            "0.0.0.0:9464": page,
            "sidelight:9464": page,
            "0.0.0.0:4318": otlp,
            "otel-collector:4318": otlp,
            "jaeger:4317": urlsplit(jaeger.grpc_endpoint).netloc,
            "/var/lib/sidelight/sidelight.db": str(tmp_path / "store.db"),
            "scrape_interval: 15s": "scrape_interval: 1s",
        }
        collector.write_text(moved("otel-collector.yaml", places))
        prometheus.write_text(moved("prometheus.yaml", places))
        async with (
            collecting(collector, log),
            running(tmp_path, "", **tree_in(moved("sidelight.yaml", places))) as run,
            python_child("sidelight.demo.endless", run.url, "--rest", "0.1", log=tmp_path / "traffic.log"),
            reading(tmp_path, prometheus) as metrics,
        ):

            async def counted() -> bool:
                return await metrics.total('sidelight_exchange_done_total{job="sidelight"}') > 0

            async def exemplified() -> bool:
                return bool(await metrics.exemplars("gen_ai_client_inference_duration_seconds_bucket"))

            await until(lambda: {span["kind"] for span in jaeger.spans} >= {"SERVER", "CLIENT", "INTERNAL"})
            await until(lambda: "gen_ai.evaluation.name=refusal" in log.read_text())
            await until(counted)
            await until(exemplified)
    assert any("gen_ai.output.messages" in span["attributes"] for span in jaeger.spans)
    assert jaeger.logs == jaeger.metrics == []  # it takes spans alone

"""What Prometheus reads is what was measured, by the formats' own parsers, and named as when it is pushed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from exporters.measure import Measure
from exporters.prometheus import Prometheus, family, label, plain
from pipeline.condition import Condition
from pipeline.telemetry import Counter, Histogram, Instruments, Observed, Snapshot, Telemetry, metric_of
from sidelight.demo import free_addresses
from tests.support.records import TRACE, an_evaluated_exchange

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


async def scraped(snapshots: Iterable[Snapshot], accept: str = OPEN_METRICS, **options: Any) -> tuple[str, str]:
    """The page and its content type."""
    (address,) = free_addresses(1)
    page = Prometheus(listen=address, resource={"service.name": "bot"}, **options)
    async with page.serving(lambda: snapshots, Condition()), aiohttp.ClientSession() as session:
        return await get(session, f"http://{address}/metrics", accept)


async def get(session: aiohttp.ClientSession, url: str, accept: str) -> tuple[str, str]:
    """Until somebody listens."""
    while True:
        try:
            async with session.get(url, headers={"Accept": accept}) as response:
                assert response.status == 200
                return await response.text(), response.headers["Content-Type"]
        except aiohttp.ClientConnectorError:
            continue


def measured() -> tuple[Snapshot, Snapshot]:
    telemetry = Telemetry()
    measure = Measure(telemetry)
    measure.record(an_evaluated_exchange())
    telemetry.exporter_sent.add(3, (("exporter", "otlp/a"),))
    telemetry.journal_pending.observe(lambda: [(7, ())])
    telemetry.process_memory.observe(lambda: [(1024, (("process", "proxy"),))])
    telemetry.usage_lost.observe(lambda: [(1, (("stream", True),))])
    return measure.snapshot(), telemetry.snapshot()


def samples(text: str, parse: Any = open_metrics_families) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for each in parse(text):
        for sample in each.samples:
            told.setdefault(sample.name, []).append(sample)
    return told


async def test_open_metrics_has_every_kind_of_instrument_with_its_unit() -> None:
    text, content_type = await scraped(measured())
    assert content_type.startswith("application/openmetrics-text")
    told = samples(text)
    (sent,) = told["sidelight_exporter_sent_total"]
    assert (sent.labels, sent.value) == ({"exporter": "otlp/a"}, 3)
    (pending,) = told["sidelight_journal_pending"]
    assert (pending.labels, pending.value) == ({}, 7)
    (memory,) = told["sidelight_process_memory_bytes"]
    assert (memory.labels, memory.value) == ({"process": "proxy"}, 1024)
    (lost,) = told["sidelight_usage_lost_ratio"]
    assert (lost.labels, lost.value) == ({"stream": "true"}, 1)
    (target,) = told["target_info"]
    assert target.labels["service_name"] == "bot"


async def test_histograms_have_cumulative_buckets_and_exemplars_of_their_traces() -> None:
    told = samples((await scraped(measured()))[0])
    buckets = told["http_server_request_duration_seconds_bucket"]
    assert buckets[-1].labels["le"] == "+Inf"
    assert [bucket.value for bucket in buckets] == sorted(bucket.value for bucket in buckets)
    (count,) = told["http_server_request_duration_seconds_count"]
    (total,) = told["http_server_request_duration_seconds_sum"]
    assert (count.value, buckets[-1].value, total.value) == (1, 1, 0.041)
    (exemplar,) = [bucket.exemplar for bucket in buckets if bucket.exemplar]
    assert exemplar.labels == {"trace_id": TRACE.trace_id, "span_id": TRACE.server_span_id}
    assert exemplar.value == 0.041


async def test_who_does_not_ask_for_open_metrics_gets_the_older_text() -> None:
    text, content_type = await scraped(measured(), accept="*/*")
    assert content_type.startswith("text/plain")
    told = samples(text, classic_families)
    assert told["sidelight_exporter_sent_total"][0].value == 3
    assert "trace_id" not in text


@pytest.mark.parametrize(
    ("dialect", "latest", "legacy"), [("both", True, True), ("latest", True, False), ("legacy", False, True)]
)
async def test_genai_metrics_have_the_names_that_were_asked_for(dialect: str, latest: bool, legacy: bool) -> None:
    told = samples((await scraped(measured(), metrics=dialect))[0])
    assert ("gen_ai_client_inference_duration_seconds_count" in told) is latest
    assert ("gen_ai_client_operation_duration_seconds_count" in told) is legacy


async def test_there_is_one_page_and_it_is_read_only() -> None:
    (address,) = free_addresses(1)
    async with Prometheus(listen=address).serving(tuple, Condition()), aiohttp.ClientSession() as session:
        await get(session, f"http://{address}/metrics", "*/*")
        async with session.get(f"http://{address}/") as response:
            assert response.status == 404
        async with session.post(f"http://{address}/metrics") as response:
            assert response.status == 405


async def test_an_address_that_is_taken_is_told_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.listening.AGAIN", 0.01)
    condition = Condition()
    taken = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    async with Prometheus(listen=address).serving(measured, condition), aiohttp.ClientSession() as session:
        while not caplog.records:  # noqa: ASYNC110 - somebody else's task
            await asyncio.sleep(0.001)
        assert condition.told()["error"] == f"cannot listen on {address}: Address already in use"
        taken.close()
        text, _ = await get(session, f"http://{address}/metrics", "*/*")
        assert "sidelight_journal_pending" in text
        assert condition.state == "StatusOK"
    (record,) = caplog.records
    assert record.message == f"prometheus: cannot listen on {address}: Address already in use"


async def test_it_listens_on_a_socket_file_too(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    connector = aiohttp.UnixConnector(path)
    async with (
        Prometheus(listen=f"unix:{path}").serving(measured, Condition()),
        aiohttp.ClientSession(connector=connector) as session,
    ):
        text, _ = await get(session, "http://sidelight/metrics", "*/*")
    assert "sidelight_journal_pending" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gen_ai.request.model", "gen_ai_request_model"),
        ("otel.metric.overflow", "otel_metric_overflow"),
        ("a.-b", "a_b"),
        ("1st", "key_1st"),
    ],
)
def test_names_of_labels(name: str, expected: str) -> None:
    assert label(name) == expected


class Table(Instruments):
    """One instrument of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.counter = Counter("a.counter", "{thing}", 'Things, "quoted" and \\ so on.')
        self.histogram = Histogram("a.histogram", "s", "Seconds.", (0.1, 1.0, 2.5))
        self.level = Observed("updown", "a.level", "By", "Bytes.")


TEXTS = st.text(max_size=20)


@given(
    st.dictionaries(TEXTS, st.integers(0, 2**53), max_size=5),
    st.lists(st.floats(0, 1e6), max_size=20),
    st.booleans(),
)
def test_any_values_and_any_texts_come_back_as_they_were(
    counted: dict[str, int], recorded: list[float], traced: bool
) -> None:
    table = Table()
    for text, value in counted.items():
        table.counter.add(value, (("text", text.encode("utf-8", "replace").decode()), ("flag", True)))
    for value in recorded:
        table.histogram.record(value, (), "a" * 32 if traced else None, "b" * 16)
    families = [family(metric_of(each)) for each in (table.counter, table.histogram)]
    (counter, histogram) = families
    assert {sample.labels["text"]: sample.value for sample in counter.samples} == {
        text.encode("utf-8", "replace").decode(): value for text, value in counted.items()
    }
    buckets = [sample for sample in histogram.samples if sample.name.endswith("_bucket")]
    for sample in buckets:
        assert sample.value == sum(value <= float(sample.labels["le"]) for value in recorded)
        if sample.exemplar:
            assert sample.exemplar.value <= float(sample.labels["le"])
    assert bool(recorded and traced) is any(sample.exemplar for sample in buckets)
    assert plain("a.histogram") + "_seconds" == histogram.name

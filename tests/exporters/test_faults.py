"""Whatever goes wrong between here and a backend: accepted = delivered + counted, to the item.

The real exporter and its delivery, before a real server that fails by script; time moves only by waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import trustme

from exporters.otlp import Otlp
from pipeline.delivery import Delivery, Retry
from pipeline.queues import Durable, Memory, Queue
from pipeline.records import EvaluatedExchange
from pipeline.telemetry import Telemetry
from store.backlog import Backlog
from tests.exporters.test_otlp import retry_info
from tests.exporters.test_otlp_tls import Pki, written
from tests.pipeline.test_delivery import Clock
from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.records import an_evaluated_exchange, an_exchange, answer

BATCH = 5
BATCHES = 4
OFFERED = BATCH * BATCHES
NEVER_GIVE_UP = Retry(max_elapsed_time=0)


class Fault(NamedTuple):
    """What the first requests meet, and what becomes of it: exchanges lost, items rejected, the least wait in s."""

    script: list[Reply]
    lost: int = 0
    rejected: int = 0
    waited: float = 0.0


def code(name: str, **more: Any) -> Reply:
    return Reply(code=grpc.StatusCode[name], **more)


HTTP = {
    "nothing": Fault([]),
    "503 with Retry-After": Fault([Reply(503, {"Retry-After": "7"})] * 2, waited=14),
    "503 without": Fault([Reply(503)] * 5, waited=2),
    "429 with Retry-After": Fault([Reply(429, {"Retry-After": "30"})], waited=30),
    "502, then 504": Fault([Reply(502), Reply(504)], waited=0.5),
    "a reset": Fault([Reply(reset=True)] * 2, waited=0.5),
    "no answer": Fault([Reply(hang=True)], waited=0.5),
    "400": Fault([Reply(400, message="bad data")], lost=BATCH),
    "401": Fault([Reply(401)] * 2, lost=2 * BATCH),
    "404, then 500": Fault([Reply(404), Reply(500)], lost=2 * BATCH),
    "a redirect": Fault([Reply(308, {"Location": "/v1/traces"})], lost=BATCH),
    "413": Fault([Reply(413)]),
    "413 for one alone": Fault([Reply(413)] * 3, lost=1),
    "partial success": Fault([Reply(rejected=3, message="too old")] * 2, rejected=6),
    "an answer that is none": Fault([Reply(body=b"<html>hello</html>")]),
    "a long outage, then a refusal": Fault([*[Reply(503)] * 20, Reply(400)], lost=BATCH, waited=60),
}
GRPC = {
    "nothing": Fault([]),
    "UNAVAILABLE": Fault([code("UNAVAILABLE")] * 5, waited=2),
    "UNAVAILABLE with RetryInfo": Fault([code("UNAVAILABLE", metadata=retry_info(7))], waited=7),
    "exhausted with RetryInfo": Fault([code("RESOURCE_EXHAUSTED", metadata=retry_info(30))], waited=30),
    "exhausted without, as for what is too large": Fault([code("RESOURCE_EXHAUSTED")]),
    "other codes worth a try": Fault([code("ABORTED"), code("CANCELLED"), code("DATA_LOSS")], waited=0.5),
    "no answer": Fault([Reply(hang=True)], waited=0.5),
    "invalid": Fault([code("INVALID_ARGUMENT")], lost=BATCH),
    "unauthenticated": Fault([code("UNAUTHENTICATED")] * 2, lost=2 * BATCH),
    "unimplemented": Fault([code("UNIMPLEMENTED")], lost=BATCH),
    "partial success": Fault([Reply(rejected=3, message="too old")] * 2, rejected=6),
    "a long outage, then a refusal": Fault(
        [*[code("UNAVAILABLE")] * 20, code("INVALID_ARGUMENT")], lost=BATCH, waited=60
    ),
}
CASES = [
    *((protocol, name, fault) for protocol in ("http/protobuf", "http/json") for name, fault in HTTP.items()),
    *(("grpc", name, fault) for name, fault in GRPC.items()),
]


def exchange(number: int, **changes: Any) -> EvaluatedExchange:
    return an_evaluated_exchange(exchange=an_exchange(id=f"{number:032x}", **changes))


def exporter_for(receiver: OtlpReceiver, protocol: Any, **options: Any) -> Otlp:
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.endpoint
    return Otlp(endpoint=endpoint, protocol=protocol, signals=("traces",), timeout=0.5, **options)


def delivery_of(exporter: Otlp, queue: Queue, clock: Clock, telemetry: Telemetry) -> Delivery:
    return Delivery(
        "backend", exporter, telemetry, queue,
        batch_size=BATCH, retry=NEVER_GIVE_UP, drain=60.0, clock=clock, sleep=clock.sleep,
    )  # fmt: skip


def arrived(receiver: OtlpReceiver) -> list[str]:
    """The exchanges whose spans the backend took, each as often as it did."""
    return [span["attributes"]["sidelight.exchange.id"] for span in receiver.spans if span["kind"] == "SERVER"]


@pytest.mark.parametrize(("protocol", "fault"), [(p, f) for p, _, f in CASES], ids=[f"{p} {n}" for p, n, _ in CASES])
@pytest.mark.parametrize("durable", [False, True], ids=["memory", "disk"])
async def test_what_was_accepted_was_delivered_or_counted(
    protocol: str, fault: Fault, durable: bool, tmp_path: Path
) -> None:
    clock, telemetry = Clock(), Telemetry()
    async with OtlpReceiver() as receiver, a_queue(tmp_path, durable) as queue:
        receiver.script.extend(fault.script)
        async with exporter_for(receiver, protocol) as exporter:
            delivery = delivery_of(exporter, queue, clock, telemetry)
            async with delivery:
                for number in range(OFFERED):
                    assert delivery.offer(exchange(number))
                while delivery.sums.queued:  # noqa: ASYNC110 - the delivery's own task
                    await asyncio.sleep(0.001)
        taken = arrived(receiver)
    sums = delivery.sums
    assert (sums.offered, sums.failed, sums.refused, sums.queued) == (OFFERED, fault.lost, 0, 0)
    assert sums.sent + sums.failed == OFFERED
    assert len(taken) == len(set(taken)) == sums.sent
    assert telemetry.exporter_sent.total() == sums.sent
    assert telemetry.exporter_send_failed.total() == sums.failed
    assert telemetry.exporter_rejected.total() == fault.rejected
    assert sum(clock.slept) >= fault.waited
    assert not receiver.script


@asynccontextmanager
async def a_queue(folder: Path, durable: bool) -> AsyncIterator[Queue]:
    if not durable:
        yield Memory(OFFERED)
        return
    async with Backlog(folder / "backend.queue") as backlog:
        yield Durable(OFFERED, backlog, max_size=2**30, max_age=86400.0)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_certificate_that_is_not_trusted_loses_nothing_and_the_right_one_delivers_it(
    protocol: str, tmp_path: Path
) -> None:
    pki = await asyncio.to_thread(authority_in, tmp_path)
    telemetry = Telemetry()
    async with OtlpReceiver(pki.server()) as receiver:
        for trusted in (False, True):
            files = {"certificate": pki.files["certificate" if trusted else "other"]}
            build = partial(exporter_for, receiver, protocol, **files)
            async with a_queue(tmp_path, True) as queue, await asyncio.to_thread(build) as exporter:
                delivery = delivery_of(exporter, queue, Clock(), telemetry)
                async with delivery:
                    if not trusted:
                        for number in range(OFFERED):
                            assert delivery.offer(exchange(number))
                        await delivery.settle(patience=0)
                    while trusted and delivery.sums.queued:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
                expected = 0 if trusted else OFFERED
                assert (delivery.sums.queued, delivery.sums.failed, delivery.sums.refused) == (expected, 0, 0)
        assert sorted(arrived(receiver)) == [f"{number:032x}" for number in range(OFFERED)]


def authority_in(folder: Path) -> Pki:
    authority, other = trustme.CA(), trustme.CA()
    pems = {"certificate": authority.cert_pem.bytes(), "other": other.cert_pem.bytes()}
    return Pki(authority, {name: written(folder / name, pem) for name, pem in pems.items()})


async def test_an_hour_away_with_a_restart_in_it_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    clock, telemetry = Clock(), Telemetry()
    offered = 0
    async with OtlpReceiver() as receiver:
        receiver.always = lambda signal: Reply(503) if clock.now < 3600 else None
        while clock.now < 4000:
            async with a_queue(tmp_path, True) as queue, exporter_for(receiver, "http/protobuf") as exporter:
                delivery = delivery_of(exporter, queue, clock, telemetry)
                async with delivery:
                    life = clock.now + 1500
                    while clock.now < life:
                        assert delivery.offer(exchange(offered))
                        offered += 1
                        await delivery.settle(patience=0)
                        clock.now += 10
                sums = delivery.sums
                assert (sums.failed, sums.refused) == (0, 0)
        async with a_queue(tmp_path, True) as queue, exporter_for(receiver, "http/protobuf") as exporter:
            delivery = delivery_of(exporter, queue, clock, telemetry)
            async with delivery:
                while delivery.sums.queued:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        taken = arrived(receiver)
    assert list(dict.fromkeys(taken)) == [f"{number:032x}" for number in range(offered)]
    assert len(taken) - offered <= BATCH  # one batch may have been taken and not forgotten
    assert telemetry.exporter_send_failed.total() == telemetry.exporter_enqueue_failed.total() == 0


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_batch_beyond_four_mebibytes_arrives_in_parts(protocol: str) -> None:
    """gRPC servers take 4 MiB by default, and this one too."""
    clock, telemetry = Clock(), Telemetry()
    async with OtlpReceiver() as receiver:
        exporter = exporter_for(receiver, protocol, content="full", max_value=2**20, compression="none")
        async with exporter:
            delivery = delivery_of(exporter, Memory(OFFERED), clock, telemetry)
            async with delivery:
                for number in range(2 * BATCH):
                    large = (answer("x" * 900_000),)
                    assert delivery.offer(exchange(number, output_messages=large))
                while delivery.sums.queued:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        assert sorted(arrived(receiver)) == [f"{number:032x}" for number in range(2 * BATCH)]
        assert len(receiver.requests) > 2
    assert delivery.sums.failed == 0


async def test_a_full_queue_refuses_the_newest_and_counts_them() -> None:
    clock, telemetry = Clock(), Telemetry()
    async with OtlpReceiver() as receiver:
        receiver.always = lambda signal: Reply(503) if clock.now < 100 else None
        async with exporter_for(receiver, "http/protobuf") as exporter:
            delivery = delivery_of(exporter, Memory(BATCH), clock, telemetry)
            async with delivery:
                accepted = [number for number in range(OFFERED) if delivery.offer(exchange(number))]
                while delivery.sums.queued:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        assert arrived(receiver) == [f"{number:032x}" for number in accepted]
    assert accepted == list(range(BATCH))
    assert delivery.sums.refused == telemetry.exporter_enqueue_failed.total() == OFFERED - BATCH

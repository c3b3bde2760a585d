"""The exporter against a real receiver on a real socket, over HTTP and over gRPC."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from exporters import EXPORTERS
from exporters import otlp as otlp_module
from exporters.measure import Measure
from exporters.otlp import Otlp
from exporters.otlp_http import COMPRESSORS
from exporters.resource import resource_attributes
from pipeline.errors import PartialSuccess, Permanent, Retryable
from pipeline.records import EvaluatedExchange, Evaluation, LedgerEntry
from pipeline.telemetry import Telemetry
from tests.support.otlp_receiver import OtlpReceiver, Reply
from tests.support.records import STARTED_AT, an_evaluated_exchange, an_exchange

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
ENTRY = LedgerEntry("refusal", "pass", evaluations=(Evaluation("refusal", 0.5, "pass"),), started_at=STARTED_AT)


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with OtlpReceiver() as receiver:
        yield receiver


def an_exporter(receiver: OtlpReceiver, protocol: Any = "http/protobuf", **options: Any) -> Otlp:
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.endpoint
    return Otlp(endpoint=endpoint, protocol=protocol, **options)


def a_batch(size: int = 1) -> list[EvaluatedExchange]:
    return [an_evaluated_exchange(exchange=an_exchange(id=f"{n:032x}"), entries=(ENTRY,)) for n in range(size)]


async def failure(receiver: OtlpReceiver, reply: Reply, protocol: str = "http/protobuf", **options: Any) -> Exception:
    """What exporting raises when the first answer is this one."""
    receiver.script.append(reply)
    async with an_exporter(receiver, protocol, **options) as exporter:
        with pytest.raises((Retryable, Permanent, PartialSuccess)) as caught:
            await exporter.export(a_batch())
    return caught.value


@pytest.mark.parametrize(
    ("protocol", "compression"),
    [
        *((protocol, compression) for protocol in ("http/protobuf", "http/json") for compression in COMPRESSORS),
        ("grpc", "gzip"),
        ("grpc", "none"),
    ],
)
async def test_spans_and_events_arrive(receiver: OtlpReceiver, protocol: str, compression: Any) -> None:
    async with an_exporter(receiver, protocol, compression=compression, resource={"service.name": "bot"}) as exporter:
        await exporter.export(a_batch(3))
    assert [span["name"] for span in receiver.spans] == (
        ["POST /v1/chat/completions"] * 3 + ["chat gpt-4o"] * 3 + ["evaluate refusal"] * 3
    )
    assert [event["event_name"] for event in receiver.logs] == ["gen_ai.evaluation.result"] * 3
    assert {each["resource"]["service.name"] for each in receiver.spans + receiver.logs} == {"bot"}
    assert [request.signal for request in receiver.requests] == ["traces", "logs"]
    if protocol != "grpc":
        assert {request.compressed for request in receiver.requests} == {compression != "none"}


@PROTOCOLS
async def test_metrics_arrive(receiver: OtlpReceiver, protocol: str) -> None:
    telemetry = Telemetry()
    measure = Measure(telemetry)
    measure.record(a_batch()[0])
    async with an_exporter(receiver, protocol, metrics="legacy") as exporter:
        await exporter.export_metrics(telemetry.snapshot(), measure.snapshot())
    names = {metric["name"] for metric in receiver.metrics}
    assert {"gen_ai.client.token.usage", "http.server.request.duration", "sidelight.evaluation.outcomes"} <= names
    assert not [name for name in names if "inference" in name]


@PROTOCOLS
async def test_requests_carry_our_headers_and_say_who_we_are(receiver: OtlpReceiver, protocol: str) -> None:
    async with an_exporter(receiver, protocol, headers={"X-Api-Key": "hush"}) as exporter:
        await exporter.export(a_batch())
    headers = {name.lower(): value for name, value in receiver.requests[0].headers.items()}
    assert headers["x-api-key"] == "hush"
    assert headers["user-agent"].startswith("sidelight/")
    assert "OTel-OTLP-Exporter-Python/" in headers["user-agent"]


@PROTOCOLS
async def test_only_the_chosen_signals_are_sent(receiver: OtlpReceiver, protocol: str) -> None:
    async with an_exporter(receiver, protocol, signals=("traces",)) as exporter:
        await exporter.export(a_batch())
        telemetry = Telemetry()
        telemetry.exchange_done.add(1)
        await exporter.export_metrics(telemetry.snapshot())
    assert [request.signal for request in receiver.requests] == ["traces"]


@PROTOCOLS
async def test_nothing_to_tell_is_no_request(receiver: OtlpReceiver, protocol: str) -> None:
    async with an_exporter(receiver, protocol) as exporter:
        await exporter.export([])
        await exporter.export([an_evaluated_exchange()])  # nobody evaluated it: no events
        await exporter.export_metrics(Telemetry().snapshot())
    assert [request.signal for request in receiver.requests] == ["traces"]


# HTTP statuses


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_these_statuses_are_worth_another_try(receiver: OtlpReceiver, status: int) -> None:
    error = await failure(receiver, Reply(status))
    assert isinstance(error, Retryable)
    assert error.after is None


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 413, 415, 500, 501])
async def test_every_other_status_is_final(receiver: OtlpReceiver, status: int) -> None:
    error = await failure(receiver, Reply(status, {"Location": "/v1/traces"} if status < 400 else {}, "bad data"))
    assert isinstance(error, Permanent)
    assert f"traces: HTTP {status} bad data" in str(error)
    assert receiver.spans == []


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("²", None)])
async def test_retry_after_in_seconds_is_honoured(receiver: OtlpReceiver, header: str, seconds: float | None) -> None:
    error = await failure(receiver, Reply(429, {"Retry-After": header}))
    assert isinstance(error, Retryable)
    assert error.after == seconds


async def test_retry_after_as_a_date_is_honoured(receiver: OtlpReceiver) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    error = await failure(receiver, Reply(503, {"Retry-After": date}))
    assert isinstance(error, Retryable)
    assert error.after is not None
    assert 90 < error.after <= 100
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True)
    error = await failure(receiver, Reply(503, {"Retry-After": past}))
    assert isinstance(error, Retryable)
    assert error.after == 0


async def test_a_success_whose_body_is_no_response_is_a_success(receiver: OtlpReceiver) -> None:
    receiver.script.append(Reply(body=b"<html>ok</html>"))
    async with an_exporter(receiver) as exporter:
        await exporter.export(a_batch())
    assert len(receiver.spans) == 3


async def test_an_endless_answer_is_not_read_to_its_end(receiver: OtlpReceiver) -> None:
    error = await failure(receiver, Reply(400, body=b"\xff" * (8 * 2**20)))
    assert str(error) == "traces: HTTP 400"


# gRPC codes

RETRYABLE_CODES = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]
FINAL_CODES = ["UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"]


def retry_info(seconds: float) -> tuple[tuple[str, bytes], ...]:
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))))
    return (("grpc-status-details-bin", Status(code=8, details=[detail]).SerializeToString()),)


@pytest.mark.parametrize("code", RETRYABLE_CODES)
async def test_these_codes_are_worth_another_try(receiver: OtlpReceiver, code: str) -> None:
    error = await failure(receiver, Reply(code=grpc.StatusCode[code]), "grpc")
    assert isinstance(error, Retryable)
    assert error.after is None


@pytest.mark.parametrize("code", [*FINAL_CODES, "INTERNAL", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"])
async def test_every_other_code_is_final(receiver: OtlpReceiver, code: str) -> None:
    error = await failure(receiver, Reply(code=grpc.StatusCode[code], message="bad data"), "grpc")
    assert isinstance(error, Permanent)
    assert f"traces: gRPC {code} bad data" in str(error)


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
async def test_retry_info_is_honoured(receiver: OtlpReceiver, code: str) -> None:
    reply = Reply(code=grpc.StatusCode[code], metadata=retry_info(2.5))
    error = await failure(receiver, reply, "grpc")
    assert isinstance(error, Retryable)
    assert error.after == 2.5


async def test_broken_error_details_are_no_retry_info(receiver: OtlpReceiver) -> None:
    reply = Reply(code=grpc.StatusCode.UNAVAILABLE, metadata=(("grpc-status-details-bin", b"\xff\xff"),))
    error = await failure(receiver, reply, "grpc")
    assert isinstance(error, Retryable)
    assert error.after is None


# Both


@PROTOCOLS
async def test_partial_success_is_told_and_the_rest_still_sent(receiver: OtlpReceiver, protocol: str) -> None:
    error = await failure(receiver, Reply(rejected=2, message="too old"), protocol)
    assert isinstance(error, PartialSuccess)
    assert (error.rejected, str(error)) == (2, "too old")
    assert len(receiver.logs) == 1


@PROTOCOLS
async def test_a_message_without_rejections_is_a_success(receiver: OtlpReceiver, protocol: str) -> None:
    receiver.script.append(Reply(rejected=0, message="deprecated endpoint"))
    async with an_exporter(receiver, protocol) as exporter:
        await exporter.export(a_batch())
    assert len(receiver.logs) == 1


@PROTOCOLS
async def test_no_answer_in_time_is_worth_another_try(receiver: OtlpReceiver, protocol: str) -> None:
    error = await failure(receiver, Reply(hang=True), protocol, timeout=0.2)
    assert isinstance(error, Retryable)


@PROTOCOLS
async def test_nobody_listening_is_worth_another_try(protocol: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Otlp(endpoint=endpoint, protocol=protocol, timeout=5) as exporter:
            with pytest.raises(Retryable):
                await exporter.export(a_batch())


@PROTOCOLS
async def test_a_retry_does_not_send_again_what_was_taken(receiver: OtlpReceiver, protocol: str) -> None:
    refused = Reply(503, code=grpc.StatusCode.UNAVAILABLE)
    receiver.script.extend([Reply(), refused])
    batch = a_batch()
    async with an_exporter(receiver, protocol) as exporter:
        with pytest.raises(Retryable):
            await exporter.export(batch)
        await exporter.export(batch)
        await exporter.export(a_batch())
    assert [request.signal for request in receiver.requests] == ["traces", "logs", "logs", "traces", "logs"]
    assert (len(receiver.spans), len(receiver.logs)) == (6, 2)


@PROTOCOLS
async def test_a_backend_without_logs_still_gets_the_spans(receiver: OtlpReceiver, protocol: str) -> None:
    absent = Reply(404, code=grpc.StatusCode.UNIMPLEMENTED)
    receiver.always = lambda signal: absent if signal == "logs" else None
    async with an_exporter(receiver, protocol) as exporter:
        with pytest.raises(Permanent, match=r"^logs: "):
            await exporter.export(a_batch())
    assert len(receiver.spans) == 3


@PROTOCOLS
async def test_a_batch_that_is_too_large_is_sent_in_parts(receiver: OtlpReceiver, protocol: str) -> None:
    too_large = Reply(413, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    receiver.script.extend([too_large, too_large])
    async with an_exporter(receiver, protocol, signals=("traces",)) as exporter:
        await exporter.export(a_batch(8))
    ids = [span["attributes"]["sidelight.exchange.id"] for span in receiver.spans if span["kind"] == "SERVER"]
    assert ids == [f"{n:032x}" for n in range(8)]
    assert [request.accepted for request in receiver.requests] == [False, False, True, True, True]


@PROTOCOLS
async def test_only_the_exchange_that_is_too_large_on_its_own_is_lost(receiver: OtlpReceiver, protocol: str) -> None:
    too_large = Reply(413, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    receiver.script.extend([too_large] * 4)  # 8, 4, 2, 1
    async with an_exporter(receiver, protocol, signals=("traces",)) as exporter:
        with pytest.raises(Permanent):
            await exporter.export(a_batch(8))
    assert len(receiver.spans) == 7 * 3


async def test_requests_stay_below_the_limit(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_module, "LARGEST_REQUEST", 10_000)
    async with an_exporter(receiver, compression="none") as exporter:
        await exporter.export(a_batch(40))
    sizes = [int(request.headers["Content-Length"]) for request in receiver.requests]
    assert len(sizes) > 5
    assert max(sizes) < 10_500
    assert len(receiver.spans) == 120
    assert len(receiver.logs) == 40


async def test_one_exchange_that_cannot_be_told_costs_only_itself(receiver: OtlpReceiver) -> None:
    broken = an_evaluated_exchange(weight="heavy")
    async with an_exporter(receiver) as exporter:
        with pytest.raises(Permanent, match="while encoding"):
            await exporter.export([*a_batch(2), broken])
    assert len(receiver.spans) == 6


async def test_a_base_path_is_kept(receiver: OtlpReceiver) -> None:
    async with Otlp(endpoint=f"{receiver.endpoint}/api/otel/") as exporter:
        await exporter.export(a_batch())
    assert len(receiver.spans) == 3


async def test_a_signals_own_url_is_used_as_it_is(receiver: OtlpReceiver) -> None:
    own = f"{receiver.endpoint}/elsewhere/v1/logs"
    async with an_exporter(receiver, logs_endpoint=own) as exporter:
        await exporter.export(a_batch())
    assert [request.signal for request in receiver.requests] == ["traces", "logs"]
    assert [request.path for request in receiver.requests] == ["/v1/traces", "/elsewhere/v1/logs"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"partialSuccess": 5}', b'{"new": 1}', b"\xff", b"[" * 100_000])
async def test_a_json_answer_that_is_no_response_is_a_success(receiver: OtlpReceiver, body: bytes) -> None:
    receiver.script.append(Reply(body=body))
    async with an_exporter(receiver, "http/json") as exporter:
        await exporter.export(a_batch())
    assert len(receiver.spans) == 3


@pytest.mark.parametrize(
    ("body", "reason"), [(b'{"message": "no such tenant"}', " no such tenant"), (b"[1]", ""), (b'{"message": 5}', "")]
)
async def test_a_json_error_says_why(receiver: OtlpReceiver, body: bytes, reason: str) -> None:
    error = await failure(receiver, Reply(400, body=body), "http/json")
    assert str(error) == f"traces: HTTP 400{reason}"


async def test_secrets_are_in_no_representation_and_no_error(receiver: OtlpReceiver) -> None:
    options = {"headers": {"Authorization": "Bearer hush"}}
    assert "hush" not in repr(an_exporter(receiver, **options))
    for protocol in ("http/protobuf", "grpc"):
        for reply in (Reply(401, code=grpc.StatusCode.UNAUTHENTICATED), Reply(hang=True)):
            error = await failure(receiver, reply, protocol, timeout=0.2, **options)
            assert "hush" not in f"{error!r} {error.__cause__!r} {error.__cause__}"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"endpoint": "http://user:hush@host:4318"}, "would leak"),
        ({"endpoint": "ftp://host"}, "not http"),
        ({"endpoint": "host:4318"}, "no host"),
        ({"endpoint": "http://"}, "no host"),
        ({"logs_endpoint": "http://"}, "^logs_endpoint: .* no host"),
        ({"traces_endpoint": "http://me:hush@host/v1/traces"}, "^traces_endpoint: .* would leak"),
        ({"metrics_endpoint": "http://host/m", "protocol": "grpc"}, "^metrics_endpoint: gRPC has one address"),
        ({"protocol": "grpc", "compression": "zstd"}, "^compression: zstd is for HTTP"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_at_start(options: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        Otlp(**options)
    assert "hush" not in str(caught.value)


def test_a_grpc_endpoint_needs_no_scheme() -> None:
    assert otlp_module.address(Otlp("collector:4317", "grpc")).scheme == "https"
    assert otlp_module.address(Otlp("collector:4317", "grpc", insecure=True)).scheme == "http"
    assert otlp_module.address(Otlp(protocol="grpc")).geturl() == "http://127.0.0.1:4317"
    assert otlp_module.address(Otlp()).geturl() == "http://127.0.0.1:4318"


async def test_the_loop_stays_free_while_a_destination_hangs(receiver: OtlpReceiver) -> None:
    receiver.script.append(Reply(hang=True))
    async with an_exporter(receiver, timeout=5) as exporter:
        exporting = asyncio.ensure_future(exporter.export(a_batch()))
        await receiver.asked.wait()
        assert not exporting.done()
        exporting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exporting


def test_the_resource_is_ours_over_the_environment_over_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.name=from-env,deployment.environment.name=dev")
    attributes = resource_attributes("bot", None, {"team": "b"})
    assert attributes["service.name"] == "bot"
    assert attributes["deployment.environment.name"] == "dev"
    assert attributes["team"] == "b"
    assert attributes["service.instance.id"]
    assert resource_attributes()["service.name"] == "from-env"


def test_the_resource_names_the_host_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resource_attributes()["host.name"] == socket.gethostname()
    assert resource_attributes()["telemetry.distro.name"] == "sidelight"
    assert resource_attributes(attributes={"host.name": "told"})["host.name"] == "told"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=from-env")
    assert resource_attributes()["host.name"] == "from-env"


SPAWN_WITH_GRPC_OPEN = """
import asyncio, sys, uvloop
from exporters.otlp import Otlp
from exporters.otlp_http import COMPRESSORS

async def main():
    async with Otlp(sys.argv[1], "grpc") as exporter:
        await exporter._open.sender.send("traces", b"")
        await (await asyncio.create_subprocess_exec(sys.executable, "-c", "")).wait()

uvloop.run(main())
"""


async def test_grpc_does_not_chatter_when_a_child_is_started(receiver: OtlpReceiver) -> None:
    command = (sys.executable, "-c", SPAWN_WITH_GRPC_OPEN, receiver.grpc_endpoint)
    child = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, stderr = await child.communicate()
    assert (child.returncode, stderr) == (0, b"")


def test_the_list_of_exporters_is_complete() -> None:
    assert set(EXPORTERS) >= {"otlp", "debug"}


@pytest.mark.parametrize("option", ["certificate", "client_certificate", "client_key"])
def test_a_file_that_is_not_there_is_refused_at_once(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}: there is no file /nowhere.pem"):
        Otlp(**{option: "/nowhere.pem"})

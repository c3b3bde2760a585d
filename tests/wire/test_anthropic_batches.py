"""Message batches: made, asked after, cancelled, and fetched without counting what they used."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse

from pipeline.records import Capture, Usage
from tests.support.records import a_capture
from tests.wire.cases import CASES, read_case
from wire import decode
from wire.anthropic_batches import AnthropicBatches


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/messages/batches", True),
        ("POST", "/v1/messages/batches?beta=true", True),
        ("GET", "/v1/messages/batches", True),
        ("GET", "/v1/messages/batches/msgbatch_1", True),
        ("GET", "/v1/messages/batches/msgbatch_1/results", True),
        ("POST", "/v1/messages/batches/msgbatch_1/cancel", True),
        ("POST", "/v1/messages/batches/msgbatch_1", False),
        ("POST", "/v1/messages/batches/msgbatch_1/results", False),
        ("DELETE", "/v1/messages/batches/msgbatch_1", False),
        ("GET", "/v1/messages/batches/msgbatch_1/results/more", False),
        ("POST", "/v1/batches", False),
        ("POST", "/v1/messages", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert AnthropicBatches().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("anthropic_batches/")])
def test_tokens_are_never_counted(case: str) -> None:
    exchange = decode(read_case(case))
    assert (exchange.usage, exchange.output_messages, exchange.input_messages) == (Usage(), (), ())


def results(*kinds: object, **changes: Any) -> Capture:
    body = "".join(json.dumps({"custom_id": "c", "result": {"type": kind}}) + "\n" for kind in kinds).encode()
    fields = {"method": "GET", "target": "/v1/messages/batches/b/results", "request_body": b"", "response_body": body}
    return a_capture(**fields | changes)


def test_outcomes_are_counted_by_kind() -> None:
    exchange = decode(results("succeeded", "errored", "succeeded", "expired"))
    assert exchange.attributes == {
        "sidelight.batch.succeeded": "2",
        "sidelight.batch.errored": "1",
        "sidelight.batch.expired": "1",
    }
    assert (exchange.response_id, exchange.complete, exchange.decode_error) == ("b", True, None)


def test_unknown_outcome_is_left_out() -> None:
    assert decode(results("astonished", "succeeded")).attributes == {"sidelight.batch.succeeded": "1"}


@pytest.mark.parametrize("kind", [5, {}, ["succeeded"]])
def test_outcome_that_is_none_is_named(kind: object) -> None:
    exchange = decode(results(kind, "succeeded"))
    assert (exchange.decode_error, exchange.attributes) == ("unexpected_shape", {"sidelight.batch.succeeded": "1"})


def test_results_cut_short_are_not_complete() -> None:
    whole = results("succeeded", "succeeded")
    assert not decode(msgspec.structs.replace(whole, error_type="client_disconnect")).complete
    assert not decode(msgspec.structs.replace(whole, response_body=whole.response_body[:-9])).complete


def test_batch_is_what_the_library_reads() -> None:
    capture = read_case("anthropic_batches/retrieve")
    batch, attributes = MessageBatch.model_validate_json(capture.response_body), decode(capture).attributes
    counted = batch.request_counts.model_dump()
    assert {f"sidelight.batch.{name}": str(count) for name, count in counted.items()}.items() <= attributes.items()
    assert (batch.processing_status, attributes["gen_ai.response.status"]) == ("ended", "completed")


def test_results_are_what_the_library_reads() -> None:
    capture = read_case("anthropic_batches/results")
    lines = capture.response_body.splitlines()
    kinds = Counter(MessageBatchIndividualResponse.model_validate_json(line).result.type for line in lines)
    assert decode(capture).attributes == {f"sidelight.batch.{kind}": str(count) for kind, count in kinds.items()}

"""Our own answers: whole messages that another HTTP reader and the SDKs' error shapes accept."""

from __future__ import annotations

import json
from typing import Any

import h11
import pytest

from proxy.client import UPSTREAM_FAILURES
from proxy.refusals import REASONS, refusal


def answer(status: int = 502, **changes: Any) -> tuple[h11.Response, dict[bytes, bytes], Any]:
    """The refusal as h11 reads it: head, fields, JSON body."""
    options = {"code": b"connect_error", "message": b"It broke.", "retry": True, "close": False} | changes
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(refusal(status, **options))
    head, data, end = (connection.next_event() for _ in range(3))
    assert isinstance(head, h11.Response)
    assert isinstance(data, h11.Data)
    assert isinstance(end, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    assert connection.their_state is (h11.MUST_CLOSE if options["close"] else h11.DONE)
    return head, dict(head.headers), json.loads(data.data)


@pytest.mark.parametrize("status", REASONS)
@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/messages"])
@pytest.mark.parametrize("close", [True, False])
def test_every_refusal_is_one_whole_message(status: int, target: bytes, close: bool) -> None:
    head, fields, _ = answer(status, target=target, close=close)
    assert (head.status_code, head.reason) == (status, REASONS[status])
    assert fields[b"content-type"] == b"application/json"
    assert fields.get(b"connection") == (b"close" if close else None)


def test_every_failure_of_an_upstream_can_be_told() -> None:
    for code, (status, message, retry) in UPSTREAM_FAILURES.items():
        _, fields, body = answer(status, code=code.encode(), message=message, retry=retry)
        assert fields[b"x-sidelight-error"] == body["error"]["code"].encode() == code.encode()
        assert body["error"]["message"].encode() == message


@pytest.mark.parametrize(("retry", "value"), [(True, b"true"), (False, b"false")])
def test_the_sdk_is_told_whether_trying_again_is_honest(retry: bool, value: bytes) -> None:
    assert answer(retry=retry)[1][b"x-should-retry"] == value


def test_only_unavailable_says_when_to_come_back() -> None:
    assert answer(503)[1][b"retry-after"] == b"1"
    assert b"retry-after" not in answer(502)[1]


@pytest.mark.parametrize("target", [b"/v1/messages", b"/v1/messages?beta=true", b"/anthropic/v1/messages/"])
def test_a_client_of_the_messages_api_gets_its_own_error_shape(target: bytes) -> None:
    assert answer(target=target)[2] == {"type": "error", "error": {"type": "api_error", "message": "It broke."}}


@pytest.mark.parametrize("target", [b"", b"/", b"/v1/chat/completions", b"/x?y=/messages", b"/v1/messages/1"])
def test_every_other_client_gets_the_openai_shape(target: bytes) -> None:
    error = {"message": "It broke.", "type": "sidelight_error", "param": None, "code": "connect_error"}
    assert answer(target=target)[2] == {"error": error}

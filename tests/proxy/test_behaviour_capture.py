"""What the copy on the side says: everything that passed, when it passed, and never a credential."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import sidecar_before
from tests.support.upstream import answering

OK = response_bytes(body=b"ok")
CANARY = "canary-7f3a9c"


async def test_a_capture_says_what_passed() -> None:
    answer = response_bytes(201, [("Content-Type", "application/json"), ("X-Id", "1")], b'{"a":1}', reason="Created")
    before = time.time_ns()
    async with sidecar_before(answering(answer)) as side:
        client = await side.client()
        fields = [("content-type", "application/json"), ("X-Two", "1"), ("x-two", "2")]
        await client.exchange("POST", "/v1/chat/completions?a=b", fields, b'{"q":1}')
        capture = await side.capture()
        assert (capture.upstream, capture.route, capture.method) == ("llm", "/", "POST")
        assert (capture.target, capture.scheme, capture.http_version) == ("/v1/chat/completions?a=b", "http", "1.1")
        assert (capture.server_address, capture.server_port) == ("127.0.0.1", side.upstream.port)
        assert (capture.client_address, capture.client_port) == client.transport.get_extra_info("sockname")[:2]
        assert (capture.status, capture.error_type, capture.provider) == (201, None, None)
        assert [field for field in capture.request_headers if field[0] in ("content-type", "X-Two", "x-two")] == fields
        assert [field for field in capture.response_headers if field[0] != "Content-Length"] == [
            ("Content-Type", "application/json"),
            ("X-Id", "1"),
        ]
        assert (capture.request_body, capture.request_size, capture.request_cut) == (b'{"q":1}', 7, False)
        assert (capture.response_body, capture.response_size, capture.response_cut) == (b'{"a":1}', 7, False)
        assert before <= capture.started_at <= time.time_ns()
        assert len(capture.id) == 32


async def test_every_exchange_of_a_connection_is_one_capture_in_order() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(b"".join(request_bytes("POST", f"/{number}", body=b"%d" % number) for number in range(20)))
        for _ in range(20):
            await client.response()
        captures = await side.captured(20)
        assert [(one.target, one.request_body) for one in captures] == [(f"/{n}", b"%d" % n) for n in range(20)]


async def test_the_configured_provider_is_told() -> None:
    async with sidecar_before(answering(OK), upstream={"provider": "azure.ai.openai"}) as side:
        await (await side.client()).exchange()
        assert (await side.capture()).provider == "azure.ai.openai"


async def test_chunked_bodies_are_captured_without_their_framing() -> None:
    async with sidecar_before(answering(chunked_response(b"abc", b"de", end=b"0\r\nX-A: 1\r\n\r\n"))) as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Transfer-Encoding", "chunked")]) + chunked(b"12", b"345"))
        await client.response()
        capture = await side.capture()
        assert (capture.request_body, capture.response_body) == (b"12345", b"abcde")
        assert (capture.request_size, capture.response_size) == (5, 5)


async def test_content_encoding_is_left_as_it_is() -> None:
    packed = bytes.fromhex("1f8b0800000000000003cb48cdc9c907008610363605000000")
    answer = response_bytes(200, [("Content-Encoding", "gzip")], packed)
    async with sidecar_before(answering(answer)) as side:
        assert (await (await side.client()).exchange()).content == packed
        assert (await side.capture()).response_body == packed


async def test_a_refusal_of_the_upstreams_own_is_an_ordinary_exchange() -> None:
    answer = response_bytes(429, [("Retry-After", "1"), ("retry-after-ms", "900")], b"slow down", reason="Too Many")
    async with sidecar_before(answering(answer)) as side:
        response = await (await side.client()).exchange("POST", body=b"{}")
        assert (response.status, response.value("retry-after"), response.value("x-should-retry")) == (429, "1", None)
        capture = await side.capture()
        assert (capture.status, capture.error_type, len(side.upstream.requests)) == (429, None, 1)


# -- bounds ---------------------------------------------------------------------------------------------------------


async def test_a_copy_over_its_bound_is_cut_and_marked_and_the_bytes_pass_whole() -> None:
    body = bytes(range(256)) * 20
    async with sidecar_before(answering(response_bytes(body=body)), capture={"max_body": 1000}) as side:
        assert (await (await side.client()).exchange("POST", body=body)).content == body
        assert side.upstream.requests[0].content == body
        capture = await side.capture()
        assert (capture.request_body, capture.request_cut, capture.request_size) == (body[:1000], True, 5120)
        assert (capture.response_body, capture.response_cut, capture.response_size) == (body[:1000], True, 5120)


async def test_a_chunked_copy_over_its_bound_is_cut_too() -> None:
    chunks = [b"x" * 700, b"y" * 700, b"z" * 700]
    async with sidecar_before(answering(chunked_response(*chunks)), capture={"max_body": 1000}) as side:
        assert (await (await side.client()).exchange()).body.chunks == chunks
        capture = await side.capture()
        assert capture.response_cut
        assert 900 < len(capture.response_body) <= 1000
        assert b"".join(chunks).startswith(capture.response_body)
        assert capture.response_size >= 2100


async def test_a_body_exactly_at_its_bound_is_not_cut() -> None:
    async with sidecar_before(answering(response_bytes(body=bytes(1000))), capture={"max_body": 1000}) as side:
        await (await side.client()).exchange("POST", body=bytes(1000))
        capture = await side.capture()
        assert (capture.request_cut, capture.response_cut, len(capture.response_body)) == (False, False, 1000)


async def test_all_copies_together_are_bounded_and_room_comes_back() -> None:
    body = bytes(5000)
    async with sidecar_before(answering(response_bytes(body=body)), capture={"buffer": 6000}) as side:
        client = await side.client()
        assert (await client.exchange("POST", body=body)).content == body
        assert (await client.exchange()).content == body
        first, second = await side.captured(2)
        assert len(first.request_body) + len(first.response_body) <= 6000
        assert (first.response_cut, first.response_size) == (True, 5000)
        assert (second.response_cut, len(second.response_body)) == (False, 5000)


async def test_a_refused_hand_off_changes_nothing_for_the_client() -> None:
    async with sidecar_before(answering(OK), accept=lambda frame: False) as side:
        client = await side.client()
        for _ in range(3):
            assert (await client.exchange()).content == b"ok"
        await side.captured(3)


# -- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_arrivals_say_which_byte_came_when(framing: str) -> None:
    pieces = [b"one", b"three", b"four"]
    seen = []
    async with sidecar_before() as side:
        client = await side.client()
        start = time.monotonic_ns()
        await client.send(request_bytes("POST", body=b"{}"))
        connection, _ = await side.upstream.request()
        fields = ("Transfer-Encoding", "chunked") if framing == "chunked" else ("Content-Length", "12")
        await connection.send(response_bytes(200, [fields], None))
        await client.response_head()
        for piece in pieces:
            await connection.send(chunked(piece, end=b"") if framing == "chunked" else piece)
            await client.until_received(piece)
            seen.append(time.monotonic_ns() - start)
        if framing == "chunked":
            await connection.send(chunked())
        capture = await side.capture()
    times = {offset: at for offset, at in reversed(capture.arrivals) if offset < 12}
    assert sorted(times) == [0, 3, 8]
    assert [times[offset] <= at for offset, at in zip((0, 3, 8), seen, strict=True)] == [True] * 3
    assert times[3] > seen[0] - 5_000_000
    marks = [at for _, at in capture.arrivals]
    assert marks == sorted(marks)
    assert 0 <= (capture.sent_at or -1) <= (capture.first_byte_at or -1) <= times[0] <= times[8] <= capture.ended_at


async def test_first_byte_and_last_byte_are_told_apart() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "4")], None))
        await client.response_head()
        middle = time.monotonic_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.until_ended()
        waited = time.monotonic_ns() - middle
        await connection.send(b"late")
        await client.take(4)
        capture = await side.capture()
        assert capture.ended_at - (capture.first_byte_at or 0) >= waited
        assert capture.arrivals[-1][1] - (capture.first_byte_at or 0) >= waited


# -- credentials ----------------------------------------------------------------------------------------------------

SECRETS = [
    ("Authorization", f"Bearer {CANARY}"),
    ("authorization", f"Basic {CANARY}"),
    ("X-Api-Key", CANARY),
    ("api-key", CANARY),
    ("x-goog-api-key", CANARY),
    ("COOKIE", f"session={CANARY}"),
    ("Proxy-Authorization", f"Basic {CANARY}"),
    ("X-Amz-Security-Token", CANARY),
    ("X-Auth-Token", CANARY),
]
RESPONSE_SECRETS = [("Set-Cookie", f"a={CANARY}"), ("set-cookie", f"b={CANARY}; HttpOnly"), ("X-Api-Key", CANARY)]


async def test_credentials_reach_the_upstream_but_never_the_capture() -> None:
    async with sidecar_before(answering(response_bytes(200, RESPONSE_SECRETS, b"ok"))) as side:
        response = await (await side.client()).exchange("POST", headers=SECRETS, body=b"{}")
        assert [field for field in response.headers if CANARY in field[1]] == RESPONSE_SECRETS
        [request] = side.upstream.requests
        passed = [field for field in SECRETS if field[0] != "Proxy-Authorization"]
        assert [field for field in request.headers if field in passed] == passed
        await side.capture()
        assert CANARY.encode() not in side.frames[0]


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "access_token"])
async def test_credentials_in_the_query_reach_the_upstream_but_not_the_captured_target(name: str) -> None:
    async with sidecar_before(answering(OK)) as side:
        target = f"/v1beta/models/m:generateContent?alt=sse&{name}={CANARY}&z=1"
        await (await side.client()).exchange("POST", target, body=b"{}")
        assert side.upstream.requests[0].target == target
        capture = await side.capture()
        assert CANARY not in capture.target
        assert capture.target.startswith("/v1beta/models/m:generateContent?alt=sse&")
        assert capture.target.endswith("&z=1")


async def test_credentials_from_the_config_never_reach_the_capture() -> None:
    changes = {"set": {"Authorization": f"Bearer {CANARY}", "X-Tenant": CANARY}}
    async with sidecar_before(answering(OK), upstream={"headers": changes}) as side:
        await (await side.client()).exchange()
        assert side.upstream.requests[0].value("x-tenant") == CANARY
        await side.capture()
        assert CANARY.encode() not in side.frames[0]


@pytest.mark.parametrize("answer", [b"", b"junk\r\n\r\n", response_bytes(200, [("Content-Length", "9")], None) + b"x"])
async def test_credentials_never_reach_the_capture_of_a_failure_or_our_own_answer(answer: bytes) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=SECRETS, body=b"{}"))
        connection, _ = await side.upstream.request()
        await connection.send(answer)
        if answer.endswith(b"x"):
            await client.until_received(b"x")
        connection.close()
        response = await client.response()
        await side.capture()
        assert CANARY.encode() not in side.frames[0]
        assert CANARY.encode() not in response.raw_head + response.body.raw


async def test_of_an_answer_beyond_the_bound_the_beginning_and_the_end_are_captured() -> None:
    events = [b"data: %d %s\n\n" % (n, b"x" * 500) for n in range(400)]
    async with sidecar_before(answering(chunked_response(*events)), capture={"max_body": "10KiB"}) as side:
        response = await (await side.client()).exchange("POST", "/v1/chat/completions", body=b"{}")
        assert response.body.raw == chunked(*events)
        capture = await side.capture()
        assert capture.response_cut
        assert capture.response_body == b"".join(events)[: len(capture.response_body)]
        assert b"".join(events).endswith(capture.response_tail)
        assert len(capture.response_tail) > 15_000
        assert side.server.budget.used == 0


async def test_a_request_that_is_answered_before_its_end_is_captured_as_cut() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/v1/chat/completions", [("Content-Length", "10")]) + b"01234")
        connection = await side.upstream.connection()
        await connection.request_head()
        await connection.send(response_bytes(404, body=b"{}"))
        assert (await client.response(to="POST")).status == 404
        capture = await side.capture()
        assert (capture.status, capture.request_cut) == (404, True)
        assert b"01234".startswith(capture.request_body)

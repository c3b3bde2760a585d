"""WebSockets: spliced after the 101, byte for byte, with a copy; the `websockets` library at both ends."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic_ns
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.proxy.test_splice import TEXT, frame
from tests.support.raw_http import request_bytes, response_bytes
from tests.support.sidecar import Sidecar, eventually, sidecar, sidecar_before
from tests.support.upstream import UpstreamConnection, answering

Handler = Callable[[ServerConnection], Awaitable[None]]
ASKED = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
         ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]  # fmt: skip
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n"
QUIET_LOG = logging.getLogger("tests.websockets")
QUIET_LOG.disabled = True


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def spliced(handler: Handler = echo, **proxy: Any) -> AsyncIterator[tuple[Sidecar, str]]:
    """A sidecar before a real WebSocket server, and its ws:// address."""
    async with serve(handler, "127.0.0.1", 0, max_size=None, logger=QUIET_LOG) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with sidecar({"llm": {"url": f"http://127.0.0.1:{port}"}}, **proxy) as side:
            yield side, f"ws://127.0.0.1:{side.address}/v1/realtime?model=m"


async def told(client: ClientConnection, *messages: str | bytes) -> list[Any]:
    for message in messages:
        await client.send(message)
    return [await client.recv() for _ in messages]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_pass_both_ways_and_the_close_code_is_kept(compression: str | None) -> None:
    async with spliced() as (side, address):
        async with connect(address, compression=compression, max_size=None) as client:
            messages = ["Hé!", b"\0\xff" * 10, "x" * 300_000]
            assert await told(client, *messages) == messages
            await (await client.ping())
            await client.close(4001, "enough")
        assert client.close_code == 4001
        capture = await side.capture()
        assert (capture.status, capture.error_type, capture.part, capture.last) == (101, None, 0, True)
        assert side.server.outbox.compared == 1
        assert side.server.outbox.mismatched == 0


async def test_the_capture_holds_what_each_side_said_and_when() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, request = await side.upstream.request()
        assert (request.values("upgrade"), request.values("connection")) == (["websocket"], ["Upgrade"])
        await connection.send(SWITCHED + b"early")
        response = await client.response_head()
        assert [response.status, response.value("x-own"), response.value("connection")] == [101, "1", "Upgrade"]
        await client.send(b"from the client")
        assert await connection.take(15) == b"from the client"
        await connection.send(b", late")
        assert await client.take(11) == b"early, late"
        connection.close()
        assert await client.until_ended() == b""
        capture = await side.capture()
        assert (capture.request_body, capture.response_body) == (b"from the client", b"early, late")
        assert [offset for offset, _ in capture.arrivals] == [0, 5]
        assert [offset for offset, _ in capture.request_arrivals] == [0]
        assert capture.arrivals[0][1] <= capture.request_arrivals[0][1] <= capture.arrivals[1][1]
        assert (capture.error_type, capture.request_size, capture.response_size) == (None, 15, 11)


async def test_a_refused_upgrade_is_an_answer_like_any_other() -> None:
    async with sidecar_before(answering(response_bytes(401, body=b"no key"))) as side:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{side.address}/v1/realtime")
        assert (refused.value.response.status_code, refused.value.response.body) == (401, b"no key")
        assert (await side.capture()).status == 401


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        SWITCHED.replace(b"X-Own: 1", b"Content-Length: 3"),
    ],
    ids=["another protocol", "no protocol", "no connection option", "a body"],
)
async def test_a_switch_to_something_else_opens_no_tunnel(answer: bytes) -> None:
    async with sidecar_before(answering(answer)) as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        assert (await client.response()).status == 502
        assert (await side.capture()).error_type == "bad_response"


async def test_a_switch_that_nobody_asked_for_opens_no_tunnel() -> None:
    async with sidecar_before(answering(SWITCHED)) as side:
        assert (await (await side.client()).exchange("GET", "/v1/realtime")).status == 502


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_a_client_that_leaves_ends_the_upstreams_side(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await side.upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        getattr(client, way)()
        await connection.until_ended()
        connection.close()
        expected = None if way == "close" else "client_disconnect"
        assert (await side.capture()).error_type == expected
        await eventually(lambda: side.server.open_connections == side.server.upstream_connections == 0)


async def test_an_upstream_that_breaks_off_is_no_clean_end_for_the_client() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await side.upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        connection.abort()
        await client.until_ended()
        assert client.reset
        assert (await side.capture()).error_type == "upstream_reset"


async def test_a_long_connection_is_handed_over_in_parts_that_add_up() -> None:
    async def three_answers(connection: UpstreamConnection) -> None:
        await connection.request()
        await connection.send(SWITCHED)
        for payload in (b"a" * 600, b"b" * 600, b"c"):
            await connection.take(11)
            await connection.send(frame(TEXT, payload))
        connection.close()

    asked = [frame(TEXT, b"ask" + bytes([n]) * 2, masked=True) for n in range(3)]
    async with sidecar_before(three_answers, capture={"max_body": "1KiB"}) as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        await client.response_head()
        for each, size in zip(asked, (604, 604, 3), strict=True):
            await client.send(each)
            await client.take(size)
        captures = await side.captured(3)
        assert [(each.part, each.last, each.request_body) for each in captures] == [
            (0, False, asked[0]), (1, False, asked[1]), (2, True, asked[2]),
        ]  # fmt: skip
        assert [each.response_body[-1:] for each in captures] == [b"a", b"b", b"c"]
        assert len({each.id for each in captures}) == 3
        assert {each.trace.client_span_id for each in captures} == {captures[0].trace.client_span_id}
        assert (side.server.counters.parts, side.server.counters.requests) == (2, 1)
        assert side.server.budget.used == 0


async def test_compressed_messages_are_one_part_cut_at_its_bound() -> None:
    async with spliced(capture={"max_body": "1KiB"}) as (side, address):
        async with connect(address, compression="deflate") as client:
            noise = [bytes((n * n + k) % 251 for n in range(700)) for k in range(8)]
            assert await told(client, *noise) == noise
        capture = await side.capture()
        assert (capture.part, capture.last, capture.request_cut, capture.response_cut) == (0, True, True, True)
        assert len(capture.request_body) == 1024 < capture.request_size


async def test_a_slow_reader_holds_the_upstream_back() -> None:
    sent = 0

    async def flood(connection: UpstreamConnection) -> None:
        nonlocal sent
        await connection.request()
        await connection.send(SWITCHED)
        for _ in range(400):
            await connection.send(frame(TEXT, bytes(65536)))
            sent += 1
        connection.close()

    async with sidecar_before(flood) as side:
        client = await side.client()
        client.transport.pause_reading()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        await eventually(lambda: any(each.writing_paused for each in side.server.clients))
        assert sent < 400
        client.transport.resume_reading()
        await client.until_ended()
        assert sent == 400
        captures = await side.captured(len(side.captures))
        assert captures[-1].last


async def test_a_drain_lets_connections_end_and_then_ends_them() -> None:
    async with spliced() as (side, address):
        client = await connect(address)
        assert await told(client, "before") == ["before"]
        await side.server.drain(0.2)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        await side.capture()


async def test_what_browsers_carry_their_key_in_is_not_captured() -> None:
    async with sidecar_before(answering(response_bytes(401))) as side:
        fields = [*ASKED, ("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-planted")]
        await (await side.client()).exchange("GET", "/v1/realtime", fields)
        await side.capture()
        assert b"sk-planted" not in side.frames[0]
        assert side.upstream.requests[0].value("sec-websocket-protocol") == fields[-1][1]


async def test_many_connections_at_once_stay_apart() -> None:
    async with spliced() as (side, address):

        async def talk(number: int) -> bool:
            async with connect(address) as client:
                said = [f"{number}/{n}" for n in range(5)]
                return await told(client, *said) == said

        assert all(await asyncio.gather(*map(talk, range(20))))
        await side.captured(20)
        assert (side.server.outbox.compared, side.server.outbox.mismatched) == (20, 0)


async def test_what_a_client_sends_before_the_switch_is_passed_after_it() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED) + b"too ")
        connection, _ = await side.upstream.request()
        await client.send(b"early")
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCHED)
        assert [(await client.response_head()).status for _ in range(3)] == [100, 103, 101]
        assert await connection.take(9) == b"too early"
        await connection.send(SWITCHED)
        assert await client.take(len(SWITCHED)) == SWITCHED
        connection.close()
        await client.until_ended()
        assert (await side.capture()).request_body == b"too early"
        assert (side.server.outbox.compared, side.server.budget.used) == (1, 0)


async def test_a_client_that_was_done_before_the_switch_is_done_after_it() -> None:
    async with sidecar_before(half_close="serve") as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED) + b"all of it")
        connection, _ = await side.upstream.request()
        client.half_close()
        await eventually(lambda: all(each.half_closed for each in side.server.clients))
        await connection.send(SWITCHED)
        assert await connection.until_ended() == b"all of it"
        await connection.send(b"the answer")
        connection.close()
        assert (await client.until_ended()).endswith(b"\r\n\r\nthe answer")
        assert (await side.capture()).error_type is None


async def test_a_client_that_ends_in_the_turn_of_the_switch_has_said_what_it_said() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED) + b"all of it")
        connection, _ = await side.upstream.request()
        (served,) = side.server.clients
        assert served.upstream
        served.upstream.data_received(SWITCHED)
        assert served.eof_received()
        assert await connection.until_ended() == b"all of it"
        connection.close()
        await client.until_ended()
        assert (await side.capture()).request_body == b"all of it"


async def test_a_client_that_ends_while_the_upstream_is_slow_loses_nothing() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await side.upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        (served,) = side.server.clients
        served.hold_reading()  # as the upstream's full buffer does
        client.write(b"last words")
        client.half_close()
        waiting = select.poll()
        waiting.register(served.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        await eventually(lambda: bool(waiting.poll(0)))
        served.check(monotonic_ns())
        served.release_reading()
        assert await connection.until_ended() == b"last words"
        connection.close()
        await client.until_ended()
        capture = await side.capture()
        assert (capture.error_type, capture.request_body) == (None, b"last words")


async def test_both_sides_full_at_once_is_no_deadlock() -> None:
    said = frame(TEXT, bytes(60_000)) * 100
    async with sidecar_before(capture={"max_body": "64KiB"}) as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await side.upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        client.pause_reading()
        connection.pause_reading()
        client.write(said)
        connection.write(said)
        (served,) = side.server.clients
        await eventually(lambda: served.reading_held and served.writing_paused)
        client.resume_reading()
        connection.resume_reading()
        assert (await client.take(len(said)), await connection.take(len(said))) == (said, said)
        connection.close()
        await client.until_ended()
        captures = await side.captured(len(side.captures))
        assert sum(each.request_size for each in captures) == sum(each.response_size for each in captures) == len(said)
        assert [each.part for each in captures] == list(range(len(captures)))
        assert (captures[-1].last, side.server.budget.used) == (True, 0)


@pytest.mark.parametrize("way", ["client", "upstream", "idle", "drain"])
async def test_a_connection_that_is_cut_gives_its_copies_budget_back(way: str) -> None:
    async with sidecar_before(upstream={"idle_timeout": 0.3 if way == "idle" else 60}) as side:
        client = await side.client()
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await side.upstream.request()
        await connection.send(SWITCHED + b"\x81\x7fhalf a frame")
        await client.response_head()
        await client.until_received(b"half a frame")
        await client.send(b"\x81")
        await connection.take(1)
        assert side.server.budget.used == 15
        if way == "drain":
            await side.server.drain(0.1)
        elif way != "idle":
            {"client": client, "upstream": connection}[way].abort()
        capture = await side.capture()
        expected = {"client": "client_disconnect", "upstream": "upstream_reset", "idle": "idle_timeout"}
        assert capture.error_type == expected.get(way, "client_disconnect")
        assert (capture.request_body, capture.response_body) == (b"\x81", b"\x81\x7fhalf a frame")
        assert (side.server.budget.used, side.server.outbox.compared) == (0, 0)
        await eventually(lambda: side.server.upstream_connections == 0)


@pytest.mark.parametrize(
    "fields",
    [
        [*ASKED, ("Content-Length", "5")],
        [*ASKED, ("Transfer-Encoding", "chunked")],
        [*ASKED, ("Upgrade", "websocket")],
        [*ASKED[:1], ("Upgrade", "websocket, h2c"), *ASKED[2:]],
        [("Connection", "keep-alive"), *ASKED[1:]],
    ],
    ids=["a length", "chunks", "asked twice", "one of two", "not named"],
)
async def test_what_is_not_clearly_asked_for_is_not_asked_of_the_upstream(fields: list[tuple[str, str]]) -> None:
    async with sidecar_before(answering(SWITCHED)) as side:
        client = await side.client()
        body = {"Content-Length": b"hello", "Transfer-Encoding": b"0\r\n\r\n"}.get(fields[-1][0], b"")
        await client.send(request_bytes("GET", "/v1/realtime", fields) + body)
        assert (await client.response()).status == 502
        assert (side.upstream.requests[0].values("upgrade"), side.upstream.requests[0].values("connection")) == ([], [])
        assert side.server.budget.used == 0


async def test_a_request_with_a_body_is_not_upgraded_because_the_one_before_it_could_be() -> None:
    async with sidecar_before(answering(response_bytes(401, body=b"no key"))) as side:
        client = await side.client()
        for body in (b"", b"hello"):
            fields = [*ASKED, ("Content-Length", str(len(body)))]
            await client.send(request_bytes("GET", "/v1/realtime", fields) + body)
            assert (await client.response()).status == 401
        first, second = side.upstream.requests
        assert (first.values("upgrade"), second.values("upgrade")) == (["websocket"], [])


async def test_a_switch_behind_other_requests_on_the_same_connection() -> None:
    async with sidecar_before(answering(response_bytes(body=b"one"), response_bytes(body=b"two"), SWITCHED)) as side:
        client = await side.client()
        first = request_bytes("POST", "/v1/x", body=b"{}")
        await client.send(first + first + request_bytes("GET", "/v1/realtime", ASKED) + b"early")
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
        assert (await client.response_head()).status == 101
        connection = side.upstream.connections[-1]
        await eventually(lambda: connection.received == b"early")
        client.half_close()
        await connection.until_ended()
        connection.close()
        await client.until_ended()
        assert [each.status for each in await side.captured(3)] == [200, 200, 101]
        assert (side.server.outbox.compared, side.server.outbox.mismatched, side.server.budget.used) == (3, 0, 0)

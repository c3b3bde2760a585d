"""Clients that leave, dawdle, flood or ask for too much: the upstream is spared and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import socket
import tracemalloc
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from pipeline.records import Capture
from tests.support.raw_client import RawClient
from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import Sidecar, eventually, sidecar, sidecar_before
from tests.support.upstream import UpstreamConnection, answering

OK = response_bytes(body=b"ok")
CHAT = request_bytes("POST", "/v1/chat/completions", body=b"{}")
SOON = 0.25  # seconds from a client's leaving to the upstream's knowing
LEAVE = ["close", "abort"]  # FIN, RST


async def left(client: RawClient, way: str, connection: UpstreamConnection) -> float:
    """Seconds from the client's leaving to the end of the upstream's connection."""
    gone_at = asyncio.get_running_loop().time()
    getattr(client, way)()
    await connection.until_ended()
    assert connection.ended_at is not None
    return connection.ended_at - gone_at


async def one_disconnect(side: Sidecar, status: int | None, body: bytes) -> Capture:
    """Exactly one capture, of a client that left, with these bytes of the answer."""
    capture = await side.capture()
    assert (capture.error_type, capture.status) == ("client_disconnect", status)
    assert capture.response_body == body
    await eventually(lambda: side.server.open_connections == 0)
    assert len(side.captures) == 1
    return capture


# -- leaving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", LEAVE)
async def test_a_client_that_leaves_before_the_first_byte_cancels_the_upstream(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        assert await left(client, way, connection) < SOON
        capture = await one_disconnect(side, None, b"")
        assert (capture.request_body, capture.first_byte_at) == (b"{}", None)


@pytest.mark.parametrize("way", LEAVE)
async def test_a_client_that_leaves_mid_stream_cancels_the_upstream(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"data: 1\n\n", end=b""))
        await client.until_received(b"data: 1")
        assert await left(client, way, connection) < SOON
        await one_disconnect(side, 200, b"data: 1\n\n")


@pytest.mark.parametrize("way", LEAVE)
async def test_a_client_that_leaves_mid_body_of_a_plain_answer_cancels_the_upstream(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "100")], None) + b"part")
        await client.until_received(b"part")
        assert await left(client, way, connection) < SOON
        assert (await one_disconnect(side, 200, b"part")).response_size == 4


@pytest.mark.parametrize("way", LEAVE)
async def test_a_client_that_leaves_in_the_middle_of_its_upload_cancels_the_upstream(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Content-Length", "100")]) + b"part")
        connection = await side.upstream.connection()
        await connection.until_received(b"part")
        assert await left(client, way, connection) < SOON
        assert (await one_disconnect(side, None, b"")).request_body == b"part"


async def test_a_client_that_leaves_while_its_upload_is_stalled_cancels_the_upstream() -> None:
    async with sidecar_before(capture={"max_body": 0}) as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Content-Length", str(2**40))]))
        connection = await side.upstream.connection()
        await connection.request_head()
        connection.pause_reading()
        await client.push(bytes(2**16), 2**27)
        client.abort()
        assert (await side.capture()).error_type == "client_disconnect"
        connection.resume_reading()
        await connection.until_ended()


@pytest.mark.parametrize("way", LEAVE)
async def test_a_client_that_leaves_with_requests_in_the_pipeline_has_them_dropped(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT * 3)
        connection, _ = await side.upstream.request()
        assert await left(client, way, connection) < SOON
        await one_disconnect(side, None, b"")
        assert len(side.upstream.connections) == 1


async def test_a_client_that_leaves_while_its_upstream_is_being_connected_is_one_capture() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with sidecar({"llm": {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}}) as side:
            client = await side.client()
            await client.send(CHAT)
            await eventually(lambda: side.server.open_connections == 1)
            client.close()
            await one_disconnect(side, None, b"")


async def test_a_client_that_leaves_between_requests_is_no_exchange() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.exchange()
        client.close()
        await eventually(lambda: side.server.open_connections == 0)
        assert [capture.error_type for capture in side.captures] == [None]


async def test_a_client_that_leaves_in_the_middle_of_a_head_is_no_exchange() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(CHAT[:20])
        client.close()
        await eventually(lambda: side.server.open_connections == 0)
        assert (side.captures, side.upstream.connections) == ([], [])


async def test_the_pool_is_not_given_a_connection_whose_client_left() -> None:
    async with sidecar_before() as side:
        client, other = await side.client(), await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "9")], None) + b"part")
        await client.until_received(b"part")
        await left(client, "close", connection)
        await other.send(CHAT)
        second, _ = await side.upstream.request(1)
        await second.send(OK)
        assert (await other.response()).content == b"ok"


async def test_half_close_means_gone_by_default() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        assert await left(client, "half_close", connection) < SOON
        await one_disconnect(side, None, b"")


@pytest.mark.parametrize("moment", ["with the request", "before the answer", "during the answer"])
async def test_half_close_serve_delivers_the_whole_answer(moment: str) -> None:
    async with sidecar_before(half_close="serve") as side:
        client = await side.client()
        await client.send(CHAT)
        if moment == "with the request":
            client.half_close()
        connection, _ = await side.upstream.request()
        if moment == "before the answer":
            client.half_close()
        await connection.send(chunked_response(b"one", end=b""))
        await client.until_received(b"one")
        if moment == "during the answer":
            client.half_close()
        await connection.send(chunked(b"two"))
        assert (await client.response()).content == b"onetwo"
        assert await client.until_ended() == b""
        assert (await side.capture()).error_type is None


async def test_half_close_serve_still_notices_a_client_that_is_really_gone() -> None:
    async with sidecar_before(half_close="serve") as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"one", end=b""))
        await client.until_received(b"one")
        client.abort()
        await connection.until_ended()
        await one_disconnect(side, 200, b"one")


async def test_half_close_serve_answers_a_pipeline_that_is_too_long_to_gather() -> None:
    count = 2000
    async with sidecar_before(half_close="serve") as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        client.write(CHAT * (count - 1))
        client.half_close()
        await eventually(lambda: all(one.reading_held for one in side.server.clients))
        for one in side.server.clients:
            one.check(monotonic_ns())
        await connection.send(OK)
        for _ in range(count - 1):
            await connection.request()
            await connection.send(OK)
        assert {one.error_type for one in await side.captured(count)} == {None}


# -- back-pressure --------------------------------------------------------------------------------------------------

BLOCK = bytes(2**16)
MUCH = 2**26
KERNEL = 2**25  # what four socket buffers may hold between them
HELD = 2**19  # bytes of Python's heap that one stalled connection may cost


@pytest.fixture
def heap() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("heap")
async def test_a_client_that_does_not_read_stops_the_upstream_and_costs_little_memory() -> None:
    async with sidecar_before(capture={"max_body": 1000}) as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", str(MUCH))], None))
        await client.response_head()
        client.pause_reading()
        before = tracemalloc.get_traced_memory()[0]
        pushed = await connection.push(BLOCK, MUCH)
        assert pushed < KERNEL
        assert tracemalloc.get_traced_memory()[0] - before < HELD
        client.resume_reading()
        rest = asyncio.ensure_future(connection.push(BLOCK, MUCH - pushed, stall=5))
        body = await client.take(MUCH)
        assert (len(body), body.count(0), await rest) == (MUCH, MUCH, MUCH - pushed)
        assert (await side.capture()).response_size == MUCH


@pytest.mark.usefixtures("heap")
async def test_an_upstream_that_does_not_read_stops_the_client_and_costs_little_memory() -> None:
    async with sidecar_before(capture={"max_body": 1000}) as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Content-Length", str(MUCH))]))
        connection = await side.upstream.connection()
        await connection.request_head()
        connection.pause_reading()
        before = tracemalloc.get_traced_memory()[0]
        pushed = await client.push(BLOCK, MUCH)
        assert pushed < KERNEL
        assert tracemalloc.get_traced_memory()[0] - before < HELD
        connection.resume_reading()
        rest = asyncio.ensure_future(client.push(BLOCK, MUCH - pushed, stall=5))
        assert len(await connection.take(MUCH)) == MUCH
        await rest
        await connection.send(OK)
        assert (await client.response()).content == b"ok"
        assert (await side.capture()).request_size == MUCH


@pytest.mark.usefixtures("heap")
async def test_an_endless_pipeline_is_not_gathered() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        await side.upstream.request()
        before = tracemalloc.get_traced_memory()[0]
        assert await client.push(CHAT * 500, MUCH) < KERNEL
        assert tracemalloc.get_traced_memory()[0] - before < HELD


@pytest.mark.usefixtures("heap")
async def test_a_client_that_does_not_read_its_refusals_is_not_read_either() -> None:
    async with sidecar_before(routes=[{"prefix": "/only", "upstream": "llm"}]) as side:
        client = await side.client()
        client.pause_reading()
        before = tracemalloc.get_traced_memory()[0]
        assert await client.push(request_bytes() * 500, MUCH) < KERNEL
        assert tracemalloc.get_traced_memory()[0] - before < 4 * HELD


async def test_one_slow_reader_does_not_slow_another() -> None:
    async with sidecar_before(capture={"max_body": 1000}) as side:
        slow, quick = await side.client(), await side.client()
        await slow.send(CHAT)
        first, _ = await side.upstream.request(0)
        await first.send(response_bytes(200, [("Content-Length", str(MUCH))], None))
        await slow.response_head()
        slow.pause_reading()
        await first.push(BLOCK, MUCH, stall=0.1)
        await quick.send(CHAT)
        second, _ = await side.upstream.request(1)
        await second.send(OK)
        assert (await quick.response()).content == b"ok"


# -- limits ---------------------------------------------------------------------------------------------------------


async def refused(side: Sidecar, client: RawClient, *statuses: int) -> None:
    """One refusal in JSON, the connection closed after it, and nothing forwarded."""
    response = await client.response()
    assert response.status in statuses
    assert response.value("content-type") == "application/json"
    assert json.loads(response.content)["error"]["message"]
    assert response.value("connection") == "close"
    assert await client.until_ended() == b""
    assert (side.upstream.requests, side.captures) == ([], [])


@pytest.mark.parametrize("finished", [True, False])
async def test_a_header_larger_than_allowed_is_431(finished: bool) -> None:
    data = request_bytes(headers=[("X-Big", "a" * 3000)])
    async with sidecar_before(answering(OK), limits={"max_header_size": 2048}) as side:
        client = await side.client()
        await client.send(data if finished else data[:2500])
        await refused(side, client, 431)


async def test_a_request_line_larger_than_allowed_is_414_or_431() -> None:
    async with sidecar_before(answering(OK), limits={"max_header_size": 2048}) as side:
        client = await side.client()
        await client.send(request_bytes(target="/" + "a" * 3000))
        await refused(side, client, 414, 431)


async def test_as_many_headers_as_allowed_pass_and_one_more_is_431() -> None:
    fields = [(f"X-{number}", "1") for number in range(9)]
    async with sidecar_before(answering(OK), limits={"max_header_count": 10}) as side:
        assert (await (await side.client()).exchange(headers=fields)).status == 200
        client = await side.client()
        await client.send(request_bytes(headers=[*fields, ("X-Last", "1")]))
        assert (await client.response()).status == 431
        assert await client.until_ended() == b""
        assert len(side.upstream.requests) == 1


async def test_a_header_that_does_not_end_in_time_is_408() -> None:
    async with sidecar_before(answering(OK), limits={"header_timeout": 0.1}) as side:
        client = await side.client()
        await client.send(CHAT[:30])
        await refused(side, client, 408)


async def test_a_header_that_drips_is_408_all_the_same() -> None:
    async def drip(client: RawClient) -> None:
        await client.send(b"GET / HTTP/1.1\r\nX-Drip: ")
        while not client.ended.is_set():
            client.write(b"a")
            await asyncio.wait([asyncio.ensure_future(client.ended.wait())], timeout=0.02)

    async with sidecar_before(answering(OK), limits={"header_timeout": 0.1}) as side:
        client = await side.client()
        await drip(client)
        await refused(side, client, 408)


async def test_a_body_that_stops_coming_ends_the_exchange() -> None:
    async with sidecar_before(limits={"body_timeout": 0.1}) as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Content-Length", "100")]) + b"part")
        connection = await side.upstream.connection()
        await connection.until_ended()
        assert (await client.response()).status == 408
        assert await client.until_ended() == b""
        assert (await side.capture()).request_body == b"part"


async def test_one_connection_too_many_is_503_with_retry_after_and_room_is_made_again() -> None:
    async with sidecar_before(answering(OK), limits={"max_connections": 2}) as side:
        clients = [await side.client() for _ in range(2)]
        for client in clients:
            assert (await client.exchange()).status == 200
        third = await side.client()
        await third.send(request_bytes())
        response = await third.response()
        assert (response.status, response.value("x-should-retry")) == (503, "true")
        assert int(response.value("retry-after") or 0) >= 1
        assert await third.until_ended() == b""
        assert (await clients[0].exchange()).status == 200
        clients[1].close()
        third.close()
        await eventually(lambda: side.server.open_connections == 1)
        assert (await (await side.client()).exchange()).status == 200

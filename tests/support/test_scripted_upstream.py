"""The test support is right by itself: the raw client against the scripted upstream, nothing between them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.raw_client import RawClient
from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.upstream import ScriptedUpstream, UpstreamConnection, answering


async def test_every_byte_of_a_request_is_recorded() -> None:
    async with (
        ScriptedUpstream(answering(response_bytes(body=b"hi"))) as upstream,
        await RawClient.open(upstream.port) as client,
    ):
        await client.send_byte_by_byte(request_bytes("POST", "/a?b=c", [("X-Two", "1"), ("x-two", "2")], b"body"))
        response = await client.response()
        assert (response.status, response.content) == (200, b"hi")
        [request] = upstream.requests
        assert (request.method, request.target, request.body.content) == ("POST", "/a?b=c", b"body")
        assert request.values("X-TWO") == ["1", "2"]


async def test_chunk_boundaries_are_kept_and_removed() -> None:
    trailer = b"0\r\nX-Sum: 1\r\n\r\n"
    async with (
        ScriptedUpstream(answering(chunked_response(b"ab", b"cde", end=trailer))) as upstream,
        await RawClient.open(upstream.port) as client,
    ):
        response = await client.exchange()
        assert response.body.raw == chunked(b"ab", b"cde", end=trailer)
        assert (response.content, response.body.chunks) == (b"abcde", [b"ab", b"cde"])


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_an_early_end_is_an_incomplete_body(way: str) -> None:
    async with ScriptedUpstream() as upstream, await RawClient.open(upstream.port) as client:
        await client.send(request_bytes())
        connection, _ = await upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "9")], None) + b"half")
        await client.until_received(b"half")
        getattr(connection, way)()
        response = await client.response()
        assert (response.body.complete, response.body.raw) == (False, b"half")
        assert client.reset == (way == "abort")


async def test_half_close_is_seen_and_does_not_stop_the_other_direction() -> None:
    async with ScriptedUpstream() as upstream, await RawClient.open(upstream.port) as client:
        await client.send(request_bytes())
        client.half_close()
        connection, _ = await upstream.request()
        await connection.until_ended()
        await connection.send(response_bytes(body=b"late"))
        assert (await client.response()).content == b"late"


async def test_a_peer_that_does_not_read_stops_a_push() -> None:
    async with ScriptedUpstream() as upstream, await RawClient.open(upstream.port) as client:
        client.pause_reading()
        connection = await upstream.connection()
        assert await connection.push(bytes(2**16), 2**27) < 2**26


async def test_a_failing_script_fails_the_test() -> None:
    failed = asyncio.Event()

    async def wrong(connection: UpstreamConnection) -> None:
        failed.set()
        raise LookupError("the script is wrong")

    with pytest.raises(LookupError):
        async with ScriptedUpstream(wrong) as upstream, await RawClient.open(upstream.port):
            await failed.wait()

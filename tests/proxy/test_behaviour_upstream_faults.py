"""What a client sees when the upstream fails: an honest refusal before the head, an incomplete message after it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import sidecar, sidecar_before
from tests.support.upstream import ScriptedUpstream, UpstreamConnection, answering, silence

OK = response_bytes(body=b"ok")
CHAT = request_bytes("POST", "/v1/chat/completions", body=b"{}")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that stays reserved and refuses connections."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose connections never come about: its backlog is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


# -- before the head ------------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_502_in_openais_shape_and_may_be_retried(closed_port: int) -> None:
    async with sidecar({"llm": {"url": f"http://127.0.0.1:{closed_port}"}}) as side:
        response = await (await side.client()).exchange("POST", "/v1/chat/completions", body=b"{}")
        assert (response.status, response.value("content-type")) == (502, "application/json")
        assert response.value("x-should-retry") == "true"
        assert set(json.loads(response.content)["error"]) == {"message", "type", "param", "code"}
        capture = await side.capture()
        assert (capture.error_type, capture.status, capture.request_body) == ("connect_error", None, b"{}")


async def test_a_refused_connection_is_502_in_anthropics_shape_on_its_path(closed_port: int) -> None:
    async with sidecar({"llm": {"url": f"http://127.0.0.1:{closed_port}"}}) as side:
        response = await (await side.client()).exchange("POST", "/v1/messages?beta=true", body=b"{}")
        error = json.loads(response.content)
        assert (response.status, response.value("x-should-retry")) == (502, "true")
        assert (error["type"], set(error["error"])) == ("error", {"type", "message"})


async def test_a_host_that_no_resolver_takes_is_502_and_not_silence() -> None:
    async with sidecar({"llm": {"url": f"http://{'é' * 70}.test"}}) as side:
        assert (await (await side.client()).exchange()).status == 502
        assert (await side.capture()).error_type == "connect_error"


async def test_a_client_connection_outlives_a_refused_upstream(closed_port: int) -> None:
    async with sidecar({"llm": {"url": f"http://127.0.0.1:{closed_port}"}}) as side:
        client = await side.client()
        for _ in range(3):
            assert (await client.exchange("POST", body=b"some body")).status == 502
        await side.captured(3)


async def test_a_name_that_does_not_resolve_is_502() -> None:
    async with sidecar({"llm": {"url": "http://no-such-host.invalid"}}) as side:
        response = await (await side.client()).exchange("POST", body=b"{}")
        assert (response.status, response.value("x-should-retry")) == (502, "true")
        assert (await side.capture()).error_type == "connect_error"


async def test_a_connection_that_never_comes_about_times_out(deaf_port: int) -> None:
    async with sidecar({"llm": {"url": f"http://127.0.0.1:{deaf_port}", "connect_timeout": 0.2}}) as side:
        response = await (await side.client()).exchange("POST", body=b"{}")
        assert response.status in (502, 504)
        assert response.value("x-should-retry") == "true"
        assert (await side.capture()).error_type == "connect_timeout"


async def test_no_first_byte_in_time_is_504_and_not_to_be_retried() -> None:
    async with sidecar_before(silence, upstream={"first_byte_timeout": 0.2}) as side:
        client = await side.client()
        response = await client.exchange("POST", "/v1/chat/completions", body=b"{}")
        assert (response.status, response.value("x-should-retry")) == (504, "false")
        assert json.loads(response.content)["error"]["message"]
        capture = await side.capture()
        assert (capture.error_type, capture.status) == ("first_byte_timeout", None)
        await (await side.upstream.connection()).until_ended()


async def test_the_first_byte_clock_starts_when_the_request_is_whole() -> None:
    async with sidecar_before(upstream={"first_byte_timeout": 0.3}, limits={"body_timeout": 30}) as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Content-Length", "2")]) + b"a")
        connection = await side.upstream.connection()
        await connection.until_received(b"a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await client.until_ended()
        await client.send(b"b")
        await connection.request()
        await connection.send(OK)
        assert (await client.response()).content == b"ok"


@pytest.mark.parametrize("way", ["abort", "close"])
async def test_a_connection_that_ends_before_the_head_is_502(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        getattr(connection, way)()
        response = await client.response()
        assert (response.status, response.value("x-should-retry") is not None) == (502, True)
        capture = await side.capture()
        assert (capture.error_type, capture.status) == ("upstream_reset", None)


@pytest.mark.parametrize("way", ["abort", "close"])
async def test_a_connection_that_ends_in_the_middle_of_the_head_is_502(way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        getattr(connection, way)()
        assert (await client.response()).status == 502
        assert (await side.capture()).error_type == "upstream_reset"


FIELDS = b"HTTP/1.1 200 OK\r\n%b\r\n\r\nhello"
BAD_HEADS = {
    "garbage": b"this is not HTTP\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "binary": bytes(range(256)) + b"\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "two-digit status": b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
    "four-digit status": b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
    "status in words": b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello",
    "conflicting lengths": FIELDS % b"Content-Length: 5\r\nContent-Length: 4",
    "the same length twice": FIELDS % b"Content-Length: 5\r\nContent-Length: 5",
    "a list of lengths": FIELDS % b"Content-Length: 5, 5",
    "negative length": FIELDS % b"Content-Length: -5",
    "signed length": FIELDS % b"Content-Length: +5",
    "hexadecimal length": FIELDS % b"Content-Length: 0x5",
    "empty length": FIELDS % b"Content-Length:",
    "overflowing length": FIELDS % b"Content-Length: 99999999999999999999999",
    "length and encoding": FIELDS % b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "encoding and length": FIELDS % b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "chunked twice": FIELDS % b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "unknown encoding": FIELDS % b"Transfer-Encoding: xchunked",
    "empty encoding": FIELDS % b"Transfer-Encoding:",
    "chunked not last": FIELDS % b"Transfer-Encoding: chunked, identity",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "one bare LF": FIELDS % b"X-A: 1\nContent-Length: 5",
    "bare CR": FIELDS % b"X-A: 1\rX-B: 2\r\nContent-Length: 5",
    "obs-fold": FIELDS % b"X-A: 1\r\n folded\r\nContent-Length: 5",
    "space before the colon": FIELDS % b"Content-Length : 5",
    "no colon": FIELDS % b"X-A\r\nContent-Length: 5",
    "empty name": FIELDS % b": x\r\nContent-Length: 5",
    "NUL in a value": FIELDS % b"X-A: a\0b\r\nContent-Length: 5",
    "space in a name": FIELDS % b"X A: 1\r\nContent-Length: 5",
    "101 nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X-A: 0123456789\r\n" * 30_000 + b"\r\n",
    "endless line": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 400_000,
}


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS)
async def test_a_head_that_is_not_clearly_one_is_502_and_none_of_it_is_forwarded(head: bytes) -> None:
    async with sidecar_before(answering(head)) as side:
        client = await side.client()
        await client.send(CHAT)
        response = await client.response()
        assert (response.status, response.value("x-should-retry") is not None) == (502, True)
        assert b"hello" not in response.body.raw
        assert (await side.capture()).error_type == "bad_response"
        await side.upstream.connections[0].until_ended()


# -- after the head -------------------------------------------------------------------------------------------------

UNFINISHED = {
    "length": response_bytes(200, [("Content-Length", "100")], None) + b"part",
    "chunked": chunked_response(b"part", end=b""),
    "middle of a chunk": chunked_response(end=b"64\r\npart"),
    "middle of a chunk size": chunked_response(b"part", end=b"6"),
    "middle of the last chunk": chunked_response(b"part", end=b"0\r\n"),
    "middle of the trailers": chunked_response(b"part", end=b"0\r\nX-A: 1\r\n"),
}


@pytest.mark.parametrize("way", ["close", "abort"])
@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
async def test_a_body_cut_short_by_the_upstream_stays_cut_short(unfinished: bytes, way: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(unfinished)
        await client.until_received(b"part")
        getattr(connection, way)()
        response = await client.response()
        assert (response.status, response.body.complete) == (200, False)
        assert client.received == b""
        assert response.body.raw in unfinished
        assert response.body.raw.count(b"part") == 1
        capture = await side.capture()
        assert (capture.error_type, capture.status, capture.response_body) == ("upstream_reset", 200, b"part")


async def test_a_reset_in_a_body_without_framing_is_not_told_as_a_clean_end() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [], None) + b"part")
        await client.until_received(b"part")
        connection.abort()
        assert not (await client.response()).body.complete
        assert (await side.capture()).error_type == "upstream_reset"


BAD_CHUNKS = [b"zz\r\nhello\r\n0\r\n\r\n", b"-1\r\nhello", b"5\r\nhelloXX0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
              b"5\nhello\n0\n\n", b"ffffffffffffffffff\r\nhello", b"5;a=\nb\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n",
              b"1_0\r\nhello", b"\r\nhello", b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"]  # fmt: skip


@pytest.mark.parametrize("framing", BAD_CHUNKS)
async def test_broken_chunks_from_the_upstream_end_the_message_incomplete(framing: bytes) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"part", end=b""))
        await client.until_received(b"part")
        await connection.send(framing)
        seen = await client.until_ended()
        assert (seen.count(b"part"), seen.endswith(b"0\r\n\r\n")) == (1, False)
        assert (await side.capture()).error_type in ("bad_response", "upstream_reset")
        await connection.until_ended()


@pytest.mark.parametrize("unfinished", [UNFINISHED["length"], UNFINISHED["chunked"]], ids=["length", "chunked"])
async def test_silence_in_the_middle_of_a_body_ends_it_incomplete(unfinished: bytes) -> None:
    async with sidecar_before(upstream={"idle_timeout": 0.2}) as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(unfinished)
        response = await client.response()
        assert (response.body.complete, response.body.raw.count(b"part")) == (False, 1)
        capture = await side.capture()
        assert (capture.error_type, capture.response_body) == ("idle_timeout", b"part")
        await connection.until_ended()


async def test_a_slow_stream_that_keeps_talking_is_not_silent() -> None:
    async with sidecar_before(upstream={"idle_timeout": 0.6, "first_byte_timeout": 0.6}) as side:
        client = await side.client()
        await client.send(CHAT)
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(end=b""))
        for _ in range(4):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.25):
                    await client.until_ended()
            await connection.send(chunked(b"tick", end=b""))
        await connection.send(chunked())
        assert (await client.response()).content == b"tick" * 4


# -- what else comes on a connection --------------------------------------------------------------------------------


async def test_bytes_nobody_asked_for_on_an_idle_connection_end_it() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(OK)
        await client.response()
        await connection.send(response_bytes(body=b"poison"))
        await connection.until_ended()
        await client.send(request_bytes(target="/next"))
        second, _ = await side.upstream.request(1)
        await second.send(OK)
        assert (await client.response()).content == b"ok"


@pytest.mark.parametrize("answer", [response_bytes(body=b"ok"), chunked_response(b"ok"),
                                    response_bytes(204, [], None, reason="None")])  # fmt: skip
async def test_bytes_after_the_end_of_an_answer_are_never_forwarded(answer: bytes) -> None:
    async with sidecar_before(answering(answer + response_bytes(body=b"poison"), answer)) as side:
        client = await side.client()
        first = await client.exchange()
        assert first.body.content == (b"" if first.status == 204 else b"ok")
        await side.upstream.connections[0].until_ended()
        second = await client.exchange(target="/next")
        assert second.status == first.status
        assert (b"poison" in second.body.raw, b"poison" in client.received) == (False, False)
        assert len(side.upstream.connections) == 2


async def test_a_pooled_connection_closed_while_idle_is_not_used_again() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(OK)
        await client.response()
        connection.half_close()
        await connection.until_ended()
        await client.send(CHAT)
        second, _ = await side.upstream.request(1)
        await second.send(OK)
        assert (await client.response()).content == b"ok"


async def closing_the_second_time(connection: UpstreamConnection) -> None:
    await connection.request()
    await connection.send(OK)
    await connection.until(lambda: bool(connection.received))
    connection.close()


async def test_a_stale_connection_does_not_fail_a_get() -> None:
    async with sidecar_before(closing_the_second_time) as side:
        client = await side.client()
        for _ in range(4):
            assert (await client.exchange()).content == b"ok"
        assert [capture.error_type for capture in await side.captured(4)] == [None] * 4


async def test_a_stale_connection_is_an_honest_502_or_no_problem_for_a_post() -> None:
    async with sidecar_before(closing_the_second_time) as side:
        client = await side.client()
        await client.exchange("POST", body=b"{}")
        response = await client.exchange("POST", body=b"{}")
        assert response.status == 200 or (response.status, response.value("x-should-retry")) == (502, "true")
        await side.captured(2)


async def test_a_failing_upstream_does_not_touch_another() -> None:
    routes = [{"prefix": "/good", "upstream": "good"}, {"prefix": "/", "upstream": "bad"}]
    async with (
        ScriptedUpstream(answering(OK)) as good,
        ScriptedUpstream(answering(b"junk\r\n\r\n")) as bad,
        sidecar({"good": {"url": good.url}, "bad": {"url": bad.url}}, routes=routes) as side,
    ):
        client = await side.client()
        statuses = [(await client.exchange(target=target)).status for target in ("/good", "/bad") * 3]
        assert statuses == [200, 502] * 3


async def test_a_head_with_a_body_that_is_not_valid_in_the_same_packet_is_502() -> None:
    answer = response_bytes(200, [("Transfer-Encoding", "chunked")], None) + b"no size\r\n"
    async with sidecar_before(answering(answer)) as side:
        assert (await (await side.client()).exchange()).status == 502
        assert (await side.capture()).error_type == "bad_response"

"""What two parsers could read in two ways is refused, the connection closed, and nothing of it reaches the upstream."""

from __future__ import annotations

import json

import pytest

from tests.support.raw_http import request_bytes, response_bytes
from tests.support.sidecar import sidecar_before
from tests.support.upstream import ScriptedUpstream, answering

OK = response_bytes(body=b"ok")
GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n%b\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.test\r\n%b\r\n\r\nhello"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"

AMBIGUOUS = {
    "length and encoding": POST % b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "encoding and length": POST % b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "conflicting lengths": POST % b"Content-Length: 5\r\nContent-Length: 4",
    "the same length twice": POST % b"Content-Length: 5\r\nContent-Length: 5",
    "a list of lengths": POST % b"Content-Length: 5, 5",
    "negative length": POST % b"Content-Length: -5",
    "signed length": POST % b"Content-Length: +5",
    "hexadecimal length": POST % b"Content-Length: 0x5",
    "length with underscore": POST % b"Content-Length: 0_5",
    "length in words": POST % b"Content-Length: five",
    "empty length": POST % b"Content-Length:",
    "length with a space": POST % b"Content-Length: 1 5",
    "overflowing length": POST % b"Content-Length: 99999999999999999999999",
    "length over 64 bits": POST % b"Content-Length: 18446744073709551621",
    "empty encoding": POST % b"Transfer-Encoding:",
    "comma before chunked": POST % b"Transfer-Encoding: ,chunked",
    "comma after chunked": POST % b"Transfer-Encoding: chunked,",
    "xchunked": POST % b"Transfer-Encoding: xchunked",
    "chunked in quotes": POST % b'Transfer-Encoding: "chunked"',
    "vertical tab before chunked": POST % b"Transfer-Encoding: \x0bchunked",
    "chunked with a parameter": POST % b"Transfer-Encoding: chunked;a=b",
    "chunked twice": POST % b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked twice in one": POST % b"Transfer-Encoding: chunked, chunked",
    "chunked then identity": POST % b"Transfer-Encoding: chunked, identity",
    "identity": POST % b"Transfer-Encoding: identity",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon of an encoding": POST % b"Content-Length: 5\r\nTransfer-Encoding : chunked",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a.test\n\n",
    "bare LF after the request line": b"GET / HTTP/1.1\nHost: a.test\r\n\r\n",
    "bare LF after a header": GET % b"X-A: 1\nX-B: 2",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: a.test\r\n\n",
    "bare CR in a value": GET % b"X-A: 1\rX-B: 2",
    "bare CR in a name": GET % b"X-\rA: 1",
    "bare CR after the request line": b"GET / HTTP/1.1\rHost: a.test\r\n\r\n",
    "CR CR LF": GET % b"X-A: 1\r",
    "obs-fold": GET % b"X-A: 1\r\n folded",
    "obs-fold with a tab": GET % b"X-A: 1\r\n\tfolded",
    "folded encoding": POST % b"Transfer-Encoding:\r\n chunked",
    "space before the colon": GET % b"X-A : 1",
    "tab before the colon": GET % b"X-A\t: 1",
    "space before the colon of a length": POST % b"Content-Length : 5",
    "space before the first header": b"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
    "no colon": GET % b"X-A",
    "empty name": GET % b": 1",
    "space in a name": GET % b"X A: 1",
    "bracket in a name": GET % b"X(A): 1",
    "non-ASCII name": GET % b"X-\xc3\xa9: 1",
    "NUL in a name": GET % b"X\0A: 1",
    "NUL in a value": GET % b"X-A: a\0b",
    "control character in a value": GET % b"X-A: a\x01b",
    "DEL in a value": GET % b"X-A: a\x7fb",
    "two hosts": GET % b"Host: b.test",
    "the same host twice": GET % b"Host: a.test",
    "no host": b"GET / HTTP/1.1\r\nX-A: 1\r\n\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nHost: user@a.test\r\n\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a.test/path\r\n\r\n",
    "host with a comma": b"GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
    "host with a space": b"GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n",
    "host with a bad port": b"GET / HTTP/1.1\r\nHost: a.test:80a\r\n\r\n",
    "host with a scheme": b"GET / HTTP/1.1\r\nHost: http://a.test\r\n\r\n",
    "two spaces after the method": b"GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "two spaces before the version": b"GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "tab in the request line": b"GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
    "space at the end of the request line": b"GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "no slash in the target": b"GET a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "control character in the target": b"GET /a\x01b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "DEL in the target": b"GET /a\x7fb HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CR in the target": b"GET /a\rb HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "fragment in the target": b"GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "absolute target of another host": b"GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "absolute target with a longer host": b"GET http://a.test.evil/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "absolute target with a user": b"GET http://a.test@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "absolute target of another scheme": b"GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "authority as target": b"GET a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "space before the method": b" GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "no version number": b"GET / HTTP/\r\nHost: a.test\r\n\r\n",
    "lower-case version": b"GET / http/1.1\r\nHost: a.test\r\n\r\n",
    "version with three parts": b"GET / HTTP/1.1.1\r\nHost: a.test\r\n\r\n",
    "version HTTP/1.10": b"GET / HTTP/1.10\r\nHost: a.test\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
}
NOT_SERVED = {
    "CONNECT": b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    "CONNECT with a path": b"CONNECT / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "gzip, chunked": POST % b"Transfer-Encoding: gzip, chunked",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a.test\r\n\r\n",
    "HTTP/3": b"GET / HTTP/3\r\nHost: a.test\r\n\r\n",
}
CHUNKED = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_CHUNKS = {
    "0x size": b"0x5\r\nhello\r\n0\r\n\r\n",
    "signed size": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-1\r\nhello\r\n0\r\n\r\n",
    "size with underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "space after the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab after the size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "wrapping size": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size in words": b"five\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "size with a comma": b"5,\r\nhello\r\n0\r\n\r\n",
    "no CRLF after the data": b"5\r\nhello0\r\n\r\n",
    "data longer than its size": b"4\r\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR after the data": b"5\r\nhello\r0\r\n\r\n",
    "LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "endless extension": b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
    "last chunk with LF": b"5\r\nhello\r\n0\n\n",
    "trailer without a colon": b"5\r\nhello\r\n0\r\ntrailer\r\n\r\n",
    "trailer with a bare LF": b"5\r\nhello\r\n0\r\nX-A: 1\n\r\n",
    "folded trailer": b"5\r\nhello\r\n0\r\nX-A: 1\r\n folded\r\n\r\n",
    "endless trailers": b"5\r\nhello\r\n0\r\n" + b"X-A: 0123456789\r\n" * 10_000 + b"\r\n",
    "space before a trailer's colon": b"5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n",
}


@pytest.mark.parametrize("request_head", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_an_ambiguous_request_is_400_and_forwarded_to_nobody(request_head: bytes) -> None:
    await refused(request_head, 400)


@pytest.mark.parametrize("request_head", NOT_SERVED.values(), ids=NOT_SERVED)
async def test_what_is_not_served_is_refused_and_no_tunnel_is_opened(request_head: bytes) -> None:
    await refused(request_head, 400, 405, 501, 505)


async def refused(request: bytes, *statuses: int) -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request + HIDDEN)
        response = await client.response()
        assert response.status in statuses
        assert json.loads(response.content)["error"]["message"]
        assert (response.value("connection"), response.value("x-should-retry")) == ("close", "false")
        assert await client.until_ended() == b""
        assert (side.upstream.connections, side.captures) == ([], [])


@pytest.mark.parametrize("name", ["length and encoding", "bare LF after a header", "obs-fold", "two hosts", "no colon"])
async def test_an_ambiguous_request_is_refused_byte_by_byte_too(name: str) -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send_byte_by_byte(AMBIGUOUS[name])
        assert (await client.response()).status == 400
        assert await client.until_ended() == b""
        assert side.upstream.connections == []


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_a_request_with_broken_chunks_is_400_and_never_ends_at_the_upstream(body: bytes) -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(CHUNKED + body + HIDDEN)
        assert (await client.response()).status == 400
        assert await client.until_ended() == b""
        await unfinished_at_the_upstream(side.upstream)


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_broken_chunks_after_good_ones_are_400_and_the_upstream_is_cut_off(body: bytes) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(CHUNKED + b"4\r\ngood\r\n")
        connection = await side.upstream.connection()
        await connection.until_received(b"good")
        await client.send(body + HIDDEN)
        assert (await client.response()).status == 400
        assert await client.until_ended() == b""
        received = await connection.until_ended()
        assert b"hidden" not in received
        assert not received.endswith(b"0\r\n\r\n")


async def unfinished_at_the_upstream(upstream: ScriptedUpstream) -> None:
    for connection in upstream.connections:
        await connection.until_ended()
    assert upstream.requests == []


async def test_a_refusal_ends_a_pipeline_but_what_came_before_it_is_answered() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request_bytes(target="/good") + AMBIGUOUS["obs-fold"] + request_bytes(target="/after"))
        assert (await client.response()).content == b"ok"
        assert (await client.response()).status == 400
        assert await client.until_ended() == b""
        assert [request.target for request in side.upstream.requests] == ["/good"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST"])
@pytest.mark.parametrize("length", ["0", "3"])
async def test_a_body_belongs_to_its_request_whatever_the_method(method: str, length: str) -> None:
    body = b"abc"[: int(length)]
    async with sidecar_before(answering(response_bytes(204, [], None, reason="No Content"))) as side:
        client = await side.client()
        await client.send(request_bytes(method, "/first", body=body) + request_bytes(target="/second"))
        assert [(await client.response()).status for _ in range(2)] == [204, 204]
        assert [(one.target, one.content) for one in side.upstream.requests] == [("/first", body), ("/second", b"")]


@pytest.mark.parametrize("line", [b"get / HTTP/1.1", b"FOO / HTTP/1.1", b"G@T / HTTP/1.1"])
async def test_an_unknown_method_is_refused_or_forwarded_unchanged(line: bytes) -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(line + b"\r\nHost: a.test\r\n\r\n")
        response = await client.response()
        assert response.status in (200, 400, 405, 501)
        assert [request.start.encode() for request in side.upstream.requests] == [line] * (response.status == 200)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_body_that_is_not_valid_is_the_clients_failure_and_every_request_has_its_capture(begun: bool) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Transfer-Encoding", "chunked")]))
        if begun:
            await side.upstream.connection()
        await client.send(b"no size\r\n")
        assert (await client.response()).status == 400
        counters = side.server.counters
        assert (counters.invalid_requests, counters.failures) == (1, 0)
        assert counters.requests == len(side.captures)


async def test_a_body_that_is_not_valid_from_its_first_packet_on_is_no_request() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", headers=[("Transfer-Encoding", "chunked")]) + b"no size\r\n")
        assert (await client.response()).status == 400
        assert (side.server.counters.requests, side.captures) == (0, [])

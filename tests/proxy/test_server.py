"""What passes through the data plane: framing, order, reuse of connections, and every byte."""

from __future__ import annotations

import pytest

from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import eventually, sidecar_before
from tests.support.upstream import UpstreamConnection, answering

OK = response_bytes(body=b"ok")
BODY = bytes(range(256)) * 40


async def test_a_plain_exchange_passes_whole() -> None:
    async with sidecar_before(answering(response_bytes(201, [("X-Id", "7")], BODY, reason="Made It"))) as side:
        client = await side.client()
        response = await client.exchange("POST", "/v1/chat/completions?a=b", [("X-Id", "3")], BODY)
        assert (response.status, response.reason, response.version) == (201, "Made It", "HTTP/1.1")
        assert (response.value("x-id"), response.content) == ("7", BODY)
        [request] = side.upstream.requests
        assert (request.start, request.value("x-id")) == ("POST /v1/chat/completions?a=b HTTP/1.1", "3")
        assert request.content == BODY


# -- connections ----------------------------------------------------------------------------------------------------


async def test_both_sides_keep_their_connection_alive() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        for number in range(50):
            response = await client.exchange("POST", f"/{number}", body=b"%d" % number)
            assert response.content == b"ok"
        assert [request.target for request in side.upstream.requests] == [f"/{number}" for number in range(50)]
        assert len(side.upstream.connections) == 1


async def test_the_connection_used_last_is_reused_first() -> None:
    async with sidecar_before() as side:
        first, second = await side.client(), await side.client()
        await first.send(request_bytes(target="/first"))
        older, _ = await side.upstream.request(0)
        await second.send(request_bytes(target="/second"))
        newer, _ = await side.upstream.request(1)
        for connection, client in ((older, first), (newer, second)):
            await connection.send(OK)
            await client.response()
        await first.send(request_bytes(target="/third"))
        assert (await newer.request()).target == "/third"
        await newer.send(OK)
        await first.response()


async def test_no_more_idle_connections_are_kept_than_told() -> None:
    async with sidecar_before(upstream={"max_idle": 1}) as side:
        clients = [await side.client() for _ in range(3)]
        for index, client in enumerate(clients):
            await client.send(request_bytes())
            await side.upstream.request(index)
        for index, client in enumerate(clients):
            await side.upstream.connections[index].send(OK)
            await client.response()
        await eventually(lambda: sum(not one.ended.is_set() for one in side.upstream.connections) == 1)


async def test_an_idle_upstream_connection_is_closed_after_its_keepalive() -> None:
    async with sidecar_before(answering(OK), upstream={"keepalive": 0.1}) as side:
        await (await side.client()).exchange()
        connection = await side.upstream.connection()
        await connection.until_ended()


async def test_an_idle_client_connection_is_closed_after_its_keepalive() -> None:
    async with sidecar_before(answering(OK), limits={"keepalive": 0.1}) as side:
        client = await side.client()
        await client.exchange()
        assert await client.until_ended() == b""


async def test_connection_close_from_the_client_closes_it_after_the_answer() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        response = await client.exchange(headers=[("Connection", "close")])
        assert (response.content, response.value("connection")) == (b"ok", "close")
        assert await client.until_ended() == b""
        assert "close" not in side.upstream.requests[0].values("connection")


async def test_connection_close_from_the_upstream_is_not_passed_on_and_it_is_not_reused() -> None:
    closing = response_bytes(200, [("Connection", "close")], b"ok")
    async with sidecar_before(answering(closing)) as side:
        client = await side.client()
        for _ in range(2):
            response = await client.exchange()
            assert (response.content, response.values("connection")) == (b"ok", [])
        assert len(side.upstream.connections) == 2
        await side.upstream.connections[0].until_ended()


# -- pipelining -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["one packet", "two packets", "byte by byte"])
async def test_pipelined_requests_are_answered_in_order(how: str) -> None:
    async def echo(connection: UpstreamConnection) -> None:
        while not connection.ended.is_set():
            request = await connection.request()
            await connection.send(response_bytes(body=request.target.encode() + request.body.content))

    requests = [request_bytes("POST", "/one", body=b"1"), request_bytes("POST", "/two", body=b"22")]
    async with sidecar_before(echo) as side:
        client = await side.client()
        if how == "byte by byte":
            await client.send_byte_by_byte(b"".join(requests))
        else:
            for part in [b"".join(requests)] if how == "one packet" else requests:
                await client.send(part)
        assert [(await client.response()).content for _ in requests] == [b"/one1", b"/two22"]


async def test_a_pipelined_request_waits_for_the_answer_before_it() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes(target="/slow") + request_bytes(target="/fast"))
        connection, _ = await side.upstream.request()
        assert (len(side.upstream.connections), connection.received) == (1, b"")
        await connection.send(chunked_response(b"a", end=b""))
        await client.until_received(b"a\r\n")
        assert (len(side.upstream.connections), connection.received) == (1, b"")
        await connection.send(chunked(b"b"))
        assert (await client.response()).content == b"ab"
        assert (await connection.request()).target == "/fast"
        await connection.send(OK)
        assert (await client.response()).content == b"ok"


async def test_a_hundred_pipelined_requests_are_all_answered() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(b"".join(request_bytes(target=f"/{number}") for number in range(100)))
        for _ in range(100):
            assert (await client.response()).content == b"ok"
        assert [request.target for request in side.upstream.requests] == [f"/{number}" for number in range(100)]


# -- bodies ---------------------------------------------------------------------------------------------------------


async def test_everything_byte_by_byte_is_the_same() -> None:
    async def drip(connection: UpstreamConnection) -> None:
        await connection.request()
        await connection.send_byte_by_byte(chunked_response(b"abc", b"de", headers=[("X-Drip", "1")]))

    async with sidecar_before(drip) as side:
        client = await side.client()
        await client.send_byte_by_byte(request_bytes("POST", "/x", [("X-Drop", "2")], b"hello"))
        response = await client.response()
        assert (response.body.raw, response.value("x-drip")) == (chunked(b"abc", b"de"), "1")
        [request] = side.upstream.requests
        assert (request.content, request.value("x-drop")) == (b"hello", "2")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_001])
async def test_bodies_with_a_length_pass_whole_in_both_directions(size: int) -> None:
    body = (BODY * (size // len(BODY) + 1))[:size]
    async with sidecar_before(answering(response_bytes(body=body))) as side:
        response = await (await side.client()).exchange("POST", body=body)
        assert response.content == body
        assert side.upstream.requests[0].content == body
        assert side.upstream.requests[0].value("content-length") == str(size)


@pytest.mark.parametrize("extension", [b"", b";name=value", b';n="quoted; value"'])
async def test_a_chunked_response_keeps_its_chunk_boundaries(extension: bytes) -> None:
    framed = b"3%b\r\nabc\r\n00A%b\r\n0123456789\r\n0\r\n\r\n" % (extension, extension)
    head = response_bytes(200, [("Transfer-Encoding", "chunked")], None)
    async with sidecar_before(answering(head + framed)) as side:
        client = await side.client()
        for _ in range(2):
            assert (await client.exchange()).body.raw == framed
        assert len(side.upstream.connections) == 1


async def test_trailers_after_a_chunked_response_reach_the_client() -> None:
    end = b"0\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n"
    async with sidecar_before(answering(chunked_response(b"abc", end=end))) as side:
        client = await side.client()
        assert (await client.exchange()).body.raw == chunked(b"abc", end=end)
        assert (await client.exchange()).content == b"abc"


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
async def test_a_chunked_request_body_reaches_the_upstream_whole(how: str) -> None:
    data = request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"a", b"bc", BODY[:300])
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await (client.send(data) if how == "whole" else client.send_byte_by_byte(data))
        assert (await client.response()).content == b"ok"
        assert (await client.exchange(target="/next")).content == b"ok"
        first, second = side.upstream.requests
        assert (first.content, second.target) == (b"abc" + BODY[:300], "/next")


async def test_a_chunked_request_with_extensions_and_trailers_still_ends_where_it_ends() -> None:
    body = b"3;a=b\r\nabc\r\n0;last\r\nX-Trailer: 1\r\n\r\n"
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) + body)
        assert (await client.response()).content == b"ok"
        assert (await client.exchange(target="/next")).content == b"ok"
        assert [request.content for request in side.upstream.requests] == [b"abc", b""]


async def test_the_request_body_is_streamed_not_gathered() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Content-Length", "8")]) + b"half")
        connection = await side.upstream.connection()
        await connection.request_head()
        await connection.until_received(b"half")
        await client.send(b"rest")
        await connection.until_received(b"halfrest")
        await connection.send(OK)
        assert (await client.response()).content == b"ok"


async def test_a_chunked_request_body_is_streamed_not_gathered() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"half", end=b""))
        connection = await side.upstream.connection()
        await connection.until_received(b"half")
        await client.send(chunked(b"rest"))
        assert (await connection.request()).content == b"halfrest"
        await connection.send(OK)
        assert (await client.response()).content == b"ok"


async def test_an_early_answer_to_an_unfinished_upload_reaches_the_client() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Content-Length", "1000")]) + b"part")
        connection = await side.upstream.connection()
        await connection.until_received(b"part")
        await connection.send(response_bytes(413, [("Connection", "close")], b"too much", reason="No"))
        response = await client.response()
        assert (response.status, response.content) == (413, b"too much")


# -- streams --------------------------------------------------------------------------------------------------------


async def test_each_streamed_event_reaches_the_client_before_the_next_is_sent() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/v1/chat/completions", body=b"{}"))
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(headers=[("Content-Type", "text/event-stream")], end=b""))
        assert (await client.response_head()).status == 200
        for number in range(20):
            event = chunked(b"data: %d\n\n" % number, end=b"")
            await connection.send(event)
            assert await client.take(len(event)) == event
        await connection.send(b"0\r\n\r\n")
        assert await client.take(5) == b"0\r\n\r\n"


async def test_a_streamed_body_with_a_length_is_not_gathered_either() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "6")], None) + b"one")
        await client.until_received(b"one")
        await connection.send(b"two")
        assert (await client.response()).content == b"onetwo"


# -- responses without a body ---------------------------------------------------------------------------------------


async def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    async with sidecar_before(answering(response_bytes(200, [("Content-Length", "512")], None))) as side:
        client = await side.client()
        for _ in range(2):
            response = await client.exchange("HEAD")
            assert (response.status, response.value("content-length")) == (200, "512")
        assert len(side.upstream.connections) == 1


async def test_the_answer_to_head_may_be_chunked_and_still_has_no_body() -> None:
    async with sidecar_before(answering(response_bytes(200, [("Transfer-Encoding", "chunked")], None))) as side:
        client = await side.client()
        for _ in range(2):
            assert (await client.exchange("HEAD")).status == 200
        assert len(side.upstream.connections) == 1


@pytest.mark.parametrize("fields", [[], [("Content-Length", "5")]])
async def test_304_has_no_body_whatever_its_length_says(fields: list[tuple[str, str]]) -> None:
    async with sidecar_before(answering(response_bytes(304, fields, None, reason="Not Modified"), OK)) as side:
        client = await side.client()
        response = await client.exchange()
        assert (response.status, [(k, v) for k, v in response.headers if k == "Content-Length"]) == (304, fields)
        assert (await client.exchange()).content == b"ok"
        assert len(side.upstream.connections) == 1


async def test_204_has_no_body() -> None:
    async with sidecar_before(answering(response_bytes(204, [], None, reason="No Content"), OK)) as side:
        client = await side.client()
        assert (await client.exchange()).status == 204
        assert (await client.exchange()).content == b"ok"
        assert len(side.upstream.connections) == 1


# -- interim responses ----------------------------------------------------------------------------------------------


async def test_early_hints_reach_the_client_before_the_final_answer() -> None:
    hints = response_bytes(103, [("Link", "</a>"), ("Link", "</b>")], None, reason="Early Hints")
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(hints)
        early = await client.response()
        assert (early.status, early.values("link")) == (103, ["</a>", "</b>"])
        await connection.send(OK)
        assert (await client.response()).content == b"ok"
        assert (await side.capture()).status == 200


async def test_several_interim_responses_in_one_packet_with_the_final_one_all_pass() -> None:
    interim = response_bytes(102, [], None, reason="Processing")
    async with sidecar_before(answering(interim + interim + OK)) as side:
        client = await side.client()
        await client.send(request_bytes())
        assert [(await client.response()).status for _ in range(3)] == [102, 102, 200]


async def test_expect_100_continue_is_accepted_once_and_the_body_follows() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
        connection = await side.upstream.connection()
        head = await connection.request_head()
        assert head.value("expect") == "100-continue"
        await connection.send(response_bytes(100, [], None, reason="Continue"))
        assert (await client.response()).status == 100
        await client.send(b"body")
        assert await connection.take(4) == b"body"
        await connection.send(OK)
        response = await client.response()
        assert (response.status, response.content) == (200, b"ok")


async def test_expect_100_continue_refused_by_the_upstream_is_told_without_the_body() -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes("POST", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
        connection = await side.upstream.connection()
        await connection.request_head()
        await connection.send(response_bytes(417, [], b"no", reason="Expectation Failed"))
        response = await client.response()
        assert (response.status, response.content) == (417, b"no")
        capture = await side.capture()
        assert (capture.status, capture.request_size) == (417, 0)


async def test_a_connection_whose_expected_body_never_came_is_not_reused() -> None:
    async with sidecar_before() as side:
        client, other = await side.client(), await side.client()
        await client.send(request_bytes("POST", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
        connection = await side.upstream.connection()
        await connection.request_head()
        await connection.send(response_bytes(417, [], b"no", reason="Expectation Failed"))
        await client.response()
        await other.send(request_bytes(target="/other"))
        second, request = await side.upstream.request(1)
        assert request.target == "/other"
        await second.send(OK)
        assert (await other.response()).content == b"ok"


# -- other framings and versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_a_response_without_framing_ends_with_the_connection(version: str) -> None:
    async with sidecar_before() as side:
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(response_bytes(200, [], None, version=version) + b"some ")
        await client.until_received(b"some ")
        await connection.send(b"text")
        connection.close()
        assert (await client.response()).content == b"some text"
        capture = await side.capture()
        assert (capture.error_type, capture.response_body) == (None, b"some text")


async def test_an_http_1_0_client_is_answered_and_its_connection_closed() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request_bytes(host=None, version="HTTP/1.0"))
        assert (await client.response()).content == b"ok"
        assert await client.until_ended() == b""
        assert (await side.capture()).http_version == "1.0"


async def test_an_http_1_0_client_never_gets_chunk_framing() -> None:
    async with sidecar_before(answering(chunked_response(b"abc", b"def"))) as side:
        client = await side.client()
        await client.send(request_bytes(version="HTTP/1.0"))
        response = await client.response()
        assert (response.values("transfer-encoding"), response.content) == ([], b"abcdef")
        assert (await side.capture()).response_body == b"abcdef"


async def test_an_http_1_0_answer_with_a_length_passes_whole() -> None:
    async with sidecar_before(answering(response_bytes(body=b"old", version="HTTP/1.0"))) as side:
        for _ in range(2):
            assert (await (await side.client()).exchange()).content == b"old"
        assert len(side.upstream.connections) == 2


async def test_an_empty_line_before_the_request_is_ignored_or_refused() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(b"\r\n" + request_bytes())
        status = (await client.response()).status
        assert (status, len(side.upstream.requests)) in ((200, 1), (400, 0))


async def test_h2c_upgrade_is_never_offered_to_the_upstream() -> None:
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")]
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request_bytes(headers=fields))
        response = await client.response()
        assert response.status == 200 or 400 <= response.status < 500 or response.status == 501
        for request in side.upstream.requests:
            assert request.values("upgrade") == request.values("http2-settings") == []

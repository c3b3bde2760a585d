"""The client's side, where the unit tests of heads and framings and the behaviour of whole exchanges leave a gap."""

from __future__ import annotations

from tests.support.raw_http import request_bytes, response_bytes
from tests.support.sidecar import sidecar_before
from tests.support.upstream import answering


async def test_an_http_1_0_client_gets_no_interim_answer() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with sidecar_before(answering(interim + response_bytes(body=b"ok"))) as side:
        client = await side.client()
        await client.send(request_bytes(version="HTTP/1.0"))
        response = await client.response()
        assert (response.status, response.content) == (200, b"ok")

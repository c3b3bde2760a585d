"""The data plane beside a textbook reverse proxy on the same scripts: same status, headers and bytes, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw_client import RawClient
from tests.support.raw_http import HeaderList, chunked, request_bytes, response_bytes
from tests.support.sidecar import a_listener, sidecar
from tests.support.textbook_proxy import textbook_proxy
from tests.support.upstream import ScriptedUpstream, UpstreamConnection

# Framing and the hop are each proxy's own; our trace headers are the documented addition.
OWN = ("host", "traceparent", "connection", "keep-alive", "transfer-encoding", "content-length")
NO_BODY = (204, 304)


@dataclass(frozen=True)
class Script:
    """One exchange; bodies as pieces, each sent as a chunk when chunked."""

    method: str = "POST"
    target: str = "/v1/chat/completions"
    request_headers: tuple[tuple[str, str], ...] = ()
    request_body: tuple[bytes, ...] = ()
    request_chunked: bool = False
    status: int = 200
    reason: str = "OK"
    response_headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    response_body: tuple[bytes, ...] = ()
    response_chunked: bool = False

    @property
    def request(self) -> bytes:
        if not self.request_chunked:
            body = b"".join(self.request_body)
            return request_bytes(self.method, self.target, self.request_headers, body or None)
        fields = [*self.request_headers, ("Transfer-Encoding", "chunked")]
        return request_bytes(self.method, self.target, fields) + chunked(*self.request_body)

    @property
    def response(self) -> bytes:
        if self.status in NO_BODY:
            return response_bytes(self.status, self.response_headers, None, reason=self.reason)
        if self.response_chunked and self.method != "HEAD":
            fields = [*self.response_headers, ("Transfer-Encoding", "chunked")]
            return response_bytes(self.status, fields, None, reason=self.reason) + chunked(*self.response_body)
        whole = response_bytes(self.status, self.response_headers, b"".join(self.response_body), reason=self.reason)
        return whole[: whole.index(b"\r\n\r\n") + 4] if self.method == "HEAD" else whole


@dataclass(frozen=True)
class Seen:
    """What came out of a proxy on both sides."""

    request_line: str
    request_headers: HeaderList
    request_body: bytes
    status: int
    reason: str
    response_headers: HeaderList
    response_body: bytes


@asynccontextmanager
async def the_textbook(upstream: ScriptedUpstream) -> AsyncIterator[int]:
    runner, listener = textbook_proxy(upstream.url), a_listener()
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def ours(upstream: ScriptedUpstream) -> AsyncIterator[int]:
    async with sidecar({"llm": {"url": upstream.url}}) as side:
        assert isinstance(side.address, int)
        yield side.address


async def through(port: int, upstream: ScriptedUpstream, script: Script) -> Seen:
    """Play the script through the proxy on `port`, from a connection of its own."""
    upstream.requests.clear()
    async with await RawClient.open(port) as client:
        await client.send(script.request)
        response = await client.response(to=script.method)
    [request] = upstream.requests
    return Seen(
        request.start,
        request.headers_without(*OWN),
        request.content,
        response.status,
        response.reason,
        response.headers_without(*OWN),
        response.content,
    )


async def both(*scripts: Script) -> list[tuple[Seen, Seen]]:
    """Each script through our data plane and through the textbook's."""
    current: list[Script] = []

    async def answer(connection: UpstreamConnection) -> None:
        while True:
            if not await connection.until_spoken_to():
                return
            await connection.request()
            await connection.send(current[-1].response)

    seen = []
    async with ScriptedUpstream(answer) as upstream, ours(upstream) as our_port, the_textbook(upstream) as their_port:
        for script in scripts:
            current.append(script)
            seen.append((await through(our_port, upstream, script), await through(their_port, upstream, script)))
    return seen


JSON_BODY = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
DELTAS = (b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(9))
SSE = (*DELTAS, b"data: [DONE]\n\n")
WRITTEN = {
    "a chat completion": Script(request_body=(JSON_BODY,), response_body=(JSON_BODY,)),
    "a stream": Script(
        request_body=(JSON_BODY,),
        response_headers=(("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")),
        response_body=SSE,
        response_chunked=True,
    ),
    "a chunked upload": Script(request_body=(b"a", b"b" * 70_000, b"c"), request_chunked=True, response_body=(b"ok",)),
    "odd headers": Script(
        request_headers=(("X-B", "1"), ("x-a", ""), ("X-B", "2"), ("Accept-Encoding", "gzip, br"), ("COOKIE", "a=b")),
        response_headers=(("Content-Type", "text/plain"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-E", "")),
        request_body=(b"x",),
    ),
    "hop-by-hop headers": Script(
        request_headers=(("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "1"), ("TE", "trailers")),
        response_headers=(("Content-Type", "text/plain"), ("Connection", "X-Hop"), ("X-Hop", "1")),
    ),
    "HEAD": Script(method="HEAD", target="/v1/models", response_body=(b"0123456789",)),
    "204": Script(method="DELETE", status=204, reason="No Content", response_headers=()),
    "304": Script(method="GET", status=304, reason="Not Modified", response_headers=(("ETag", '"a"'),)),
    "429": Script(
        status=429,
        reason="Too Many Requests",
        response_headers=(("Content-Type", "application/json"), ("Retry-After", "2"), ("x-ratelimit-reset", "1s")),
        request_body=(b"{}",),
        response_body=(b'{"error":{}}',),
    ),
    "a redirect": Script(
        status=307, reason="Temporary", response_headers=(("Content-Type", "a/b"), ("Location", "http://x/"))
    ),
    "a query": Script(method="GET", target="/v1/models?a=%20b&c=%2F%2f&d=1+2&e", response_body=(b"[]",)),
    "compressed": Script(
        response_headers=(("Content-Type", "application/json"), ("Content-Encoding", "gzip")),
        response_body=(bytes.fromhex("1f8b0800000000000003cb48cdc9c907008610363605000000"),),
    ),
    "three megabytes": Script(request_body=(bytes(3_000_000),), response_body=(bytes(3_000_000),)),
}


@pytest.mark.parametrize("script", WRITTEN.values(), ids=WRITTEN)
async def test_a_written_script_comes_out_as_from_the_textbook(script: Script) -> None:
    [(we, they)] = await both(script)
    assert we == they


TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'", min_size=1, max_size=12)
HEADERS = st.lists(
    st.tuples(
        TOKEN.map(lambda name: f"X-{name}") | st.sampled_from(["X-Same", "x-same", "Accept", "accept-LANGUAGE"]),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30).map(str.strip),
    ),
    max_size=8,
).map(tuple)
PIECES = st.lists(st.binary(min_size=1, max_size=300), max_size=6).map(tuple)
TARGETS = st.builds(
    lambda parts, query: "/" + "/".join(parts) + query,
    st.lists(TOKEN, max_size=4),
    st.just("") | st.lists(TOKEN, min_size=1, max_size=3).map(lambda words: "?" + "&".join(words)),
)
SCRIPTS = st.builds(
    Script,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    target=TARGETS.filter(lambda target: not {".", ".."} & set(target.partition("?")[0].split("/"))),
    request_headers=HEADERS,
    request_body=PIECES,
    request_chunked=st.booleans(),
    status=st.sampled_from([200, 201, 204, 304, 400, 401, 404, 429, 500, 503]),
    reason=st.sampled_from(["OK", "Not A Standard Reason", "No"]),
    response_headers=HEADERS.map(lambda fields: (("Content-Type", "text/plain"), *fields)),
    response_body=PIECES,
    response_chunked=st.booleans(),
)


def spelt_one_way(script: Script) -> bool:
    """Does no header come in two spellings? The textbook's client would keep only the last."""
    sides = (script.request_headers, script.response_headers)
    return all(len({name for name, _ in side}) == len({name.lower() for name, _ in side}) for side in sides)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SCRIPTS.filter(spelt_one_way), min_size=1, max_size=5))
async def test_generated_scripts_come_out_as_from_the_textbook(scripts: list[Script]) -> None:
    for we, they in await both(*scripts):
        assert we == they


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SCRIPTS, st.data())
async def test_however_the_bytes_are_cut_into_packets_the_same_comes_out(script: Script, data: st.DataObject) -> None:
    def pieces(whole: bytes) -> list[bytes]:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    sent, answered = pieces(script.request), pieces(script.response)

    async def answer(connection: UpstreamConnection) -> None:
        await connection.request()
        for piece in answered:
            connection.write(piece)
            await asyncio.sleep(0)

    async with ScriptedUpstream(answer) as upstream, ours(upstream) as port:
        async with await RawClient.open(port) as client:
            for piece in sent:
                client.write(piece)
                await asyncio.sleep(0)
            response = await client.response(to=script.method)
        [request] = upstream.requests
        assert request.content == b"".join(script.request_body)
        assert request.headers_without(*OWN) == list(script.request_headers)
        assert response.headers_without(*OWN) == list(script.response_headers)
        assert response.raw_head + response.body.raw == script.response

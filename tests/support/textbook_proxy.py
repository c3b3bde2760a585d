"""The textbook reverse proxy: aiohttp on both sides, streaming both ways.

The reference our own data plane is compared with: in behaviour by the tests, in cost by `python -m bench`. What it
cannot do: of request headers whose names differ in case alone, aiohttp's client sends the last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
CLIENT_ADDS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
ADDED = web.RequestKey("added", list[str])
SERVER_ADDS = ("Date", "Server", "Content-Type")
LONGEST = 64 * 1024  # bytes of a request line or header field
UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", ClientSession)


def end_to_end(raw: tuple[tuple[bytes, bytes], ...], *also_dropped: str) -> CIMultiDict[str]:
    """The headers without the hop's own; order, case and duplicates stay."""
    pairs = [(name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")) for name, value in raw]
    named = ",".join(value for name, value in pairs if name.lower() == "connection").lower().split(",")
    dropped = {*HOP_BY_HOP, *also_dropped, *(name.strip() for name in named)}
    return CIMultiDict((name, value) for name, value in pairs if name.lower() not in dropped)


async def forward(request: web.Request) -> web.StreamResponse:
    """One exchange, both bodies as they come; 502 when the upstream gives no answer that can be read."""
    try:
        answer = await request.app[SESSION].request(
            request.method,
            URL(request.app[UPSTREAM] + request.raw_path, encoded=True),
            headers=end_to_end(request.raw_headers, "host"),
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        )
    except ClientError:
        return web.Response(status=502)
    async with answer:
        headers = end_to_end(answer.raw_headers)
        request[ADDED] = [name for name in SERVER_ADDS if name not in headers]
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def drop_what_aiohttp_adds(request: web.Request, response: web.StreamResponse) -> None:
    """Keeps the answer's headers the upstream's."""
    for name in request.get(ADDED, ()):
        response.headers.pop(name, None)


async def session(app: web.Application) -> AsyncIterator[None]:
    """One upstream session for the application's life, without limits of its own."""
    app[SESSION] = ClientSession(
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        skip_auto_headers=CLIENT_ADDS,
        auto_decompress=False,
        max_line_size=LONGEST,
        max_field_size=LONGEST,
    )
    yield
    await app[SESSION].close()


def textbook_proxy(upstream: str) -> web.AppRunner:
    """A runner to `setup()` and put a site on; `upstream` is an origin such as http://127.0.0.1:8000."""
    app = web.Application()
    app[UPSTREAM] = upstream.rstrip("/")
    app.cleanup_ctx.append(session)
    app.on_response_prepare.append(drop_what_aiohttp_adds)
    app.router.add_route("*", "/{path:.*}", forward)
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        max_line_size=LONGEST,
        max_field_size=LONGEST,
    )


async def serve(upstream: str, port: int) -> None:
    """Listens on loopback until cancelled."""
    runner = textbook_proxy(upstream)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.textbook_proxy", description=__doc__)
    parser.add_argument("--upstream", required=True, help="origin, like http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.upstream, options.port))


if __name__ == "__main__":
    main()

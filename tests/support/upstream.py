"""An upstream on a real socket that does exactly what a test tells it, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.raw_connection import PATIENCE, RawConnection
from tests.support.raw_http import Request, read_request, read_request_head


class UpstreamConnection(RawConnection):
    """One connection the proxy opened; driven by the test itself or by the upstream's script."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        super().__init__()
        self.upstream = upstream
        self.opened_at = asyncio.get_running_loop().time()
        self.bytes_received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.upstream.opened(self)

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        super().data_received(data)

    async def request(self) -> Request:
        """The next whole request."""
        request = await read_request(self)
        self.upstream.requests.append(request)
        return request

    async def request_head(self) -> Request:
        """The next request's head, its body left to `take`."""
        return await read_request_head(self)


Script = Callable[[UpstreamConnection], Awaitable[None]]


def answering(*responses: bytes) -> Script:
    """Answer each connection's requests with these, in order; the last one for all further requests."""

    async def script(connection: UpstreamConnection) -> None:
        served = 0
        while True:
            if not await connection.until_spoken_to():
                return
            await connection.request()
            await connection.send(responses[min(served, len(responses) - 1)])
            served += 1

    return script


async def silence(connection: UpstreamConnection) -> None:
    """Never answer."""


class ScriptedUpstream:
    """Listens on a free port of 127.0.0.1; without a script the test drives each connection itself.

    What goes wrong in a script is raised when the upstream closes, unless its connection had ended.
    """

    def __init__(self, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.connections: list[UpstreamConnection] = []
        self.requests: list[Request] = []
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: UpstreamConnection(self), "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            await connection.gone()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    def opened(self, connection: UpstreamConnection) -> None:
        self.connections.append(connection)
        self._opened.set()
        if self.script:
            task = asyncio.ensure_future(self._run(self.script, connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, script: Script, connection: UpstreamConnection) -> None:
        try:
            await script(connection)
        except Exception as failure:
            if not connection.ended.is_set():
                self._failures.append(failure)

    async def connection(self, index: int = 0) -> UpstreamConnection:
        """The connection opened as number `index`; waits for it."""
        async with asyncio.timeout(PATIENCE):
            while len(self.connections) <= index:
                self._opened.clear()
                await self._opened.wait()
        return self.connections[index]

    async def request(self, index: int = 0) -> tuple[UpstreamConnection, Request]:
        """Connection number `index` and the next whole request on it; for upstreams without a script."""
        connection = await self.connection(index)
        return connection, await connection.request()

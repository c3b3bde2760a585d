"""The data plane in this process on a free port, in front of a scripted upstream, with its captures at hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.settings import Proxy
from pipeline import frame
from pipeline.records import Capture
from proxy.server import ProxyServer
from tests.support.raw_client import RawClient
from tests.support.raw_connection import PATIENCE
from tests.support.upstream import Script, ScriptedUpstream


class Sidecar:
    """A running ProxyServer; `frames` and `captures` grow as exchanges end."""

    upstream: ScriptedUpstream

    def __init__(self, settings: Proxy, accept: Callable[[bytes], bool]) -> None:
        self.frames: list[bytes] = []
        self.captures: list[Capture] = []
        self.server = ProxyServer(settings, self.offer)
        self.address: int | Path = 0
        self.faults: list[dict[str, Any]] = []
        self._accept = accept
        self._captured = asyncio.Event()
        self._clients: list[RawClient] = []

    def offer(self, data: bytes) -> bool:
        self.frames.append(bytes(data))
        self.captures.append(frame.decode(self.frames[-1]))
        self._captured.set()
        return self._accept(self.frames[-1])

    async def start(self, listener: socket.socket) -> None:
        name = listener.getsockname()
        self.address = Path(name) if listener.family == socket.AF_UNIX else name[1]
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.faults.append(context))
        await self.server.start(listener)

    async def client(self, *, tls: ssl.SSLContext | None = None, host: str = "localhost") -> RawClient:
        """A new client connection; closed with the sidecar."""
        client = await RawClient.open(self.address, tls=tls, host=host)
        self._clients.append(client)
        return client

    async def captured(self, count: int = 1) -> list[Capture]:
        """Wait until `count` exchanges have ended, no more and no fewer; their captures."""
        async with asyncio.timeout(PATIENCE):
            while len(self.captures) < count:
                self._captured.clear()
                await self._captured.wait()
        assert len(self.captures) == count, f"{len(self.captures)} captures instead of {count}"
        return self.captures

    async def capture(self) -> Capture:
        """Wait for the one exchange to end; its capture."""
        return (await self.captured(1))[0]

    async def stop(self) -> None:
        for client in self._clients:
            await client.gone()
        self.server.close()
        await eventually(lambda: self.server.open_connections == 0)


async def eventually(true: Callable[[], bool]) -> None:
    """Wait for a state that has no event of its own."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - nobody else could set an event
            await asyncio.sleep(0.005)


def a_listener(path: Path | None = None) -> socket.socket:
    """A listening socket: a Unix one at `path`, otherwise a free port of 127.0.0.1."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def sidecar(
    upstreams: Mapping[str, Mapping[str, Any]],
    *,
    listener: socket.socket | None = None,
    accept: Callable[[bytes], bool] = lambda data: True,
    **proxy: Any,
) -> AsyncIterator[Sidecar]:
    """A sidecar with these upstreams and further `proxy` settings; fails if anything was raised inside the loop."""
    side = Sidecar(Proxy.model_validate({"upstreams": upstreams, **proxy}), accept)
    await side.start(listener or a_listener())
    try:
        yield side
    finally:
        await side.stop()
    assert not side.faults, f"unhandled in the event loop: {side.faults}"


@asynccontextmanager
async def sidecar_before(
    script: Script | None = None, *, path: str = "", upstream: Mapping[str, Any] | None = None, **proxy: Any
) -> AsyncIterator[Sidecar]:
    """A sidecar with one scripted upstream called llm; `path` is its base path, `upstream` its further settings."""
    async with ScriptedUpstream(script) as scripted:
        llm = {"url": scripted.url + path, **(upstream or {})}
        async with sidecar({"llm": llm}, **proxy) as side:
            side.upstream = scripted
            yield side

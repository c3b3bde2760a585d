"""One proxy process: accepts clients, connects to upstreams, and hands every finished exchange to `offer`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from socket import AF_UNIX, socket
from time import monotonic_ns
from typing import Final

from config.settings import Proxy, Upstream
from pipeline.frame import (
    BAD_REQUEST_BODY,
    BODY_TIMEOUT,
    CLIENT_DISCONNECT,
    CONNECT_ERROR,
    CONNECT_TIMEOUT,
    TLS_ERROR,
    Frame,
    encode,
)
from proxy.client import ClientConnection
from proxy.flight import Flight
from proxy.headers import KINDS
from proxy.outbox import Outbox
from proxy.routing import Origin, Routes
from proxy.tee import Budget
from proxy.upstream import Pool, UpstreamConnection

TICK: Final = 0.2  # seconds; the resolution of every time-out but connecting
BACKLOG: Final = 4096
CLIENT_FAULTS: Final = frozenset((BAD_REQUEST_BODY, BODY_TIMEOUT))


class Counters:
    """What this process has seen since it started; published by whoever runs it."""

    __slots__ = (
        "client_disconnects", "cut", "failures", "invalid_requests", "parts", "refusals", "rejected_connections",
        "requests",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = 0
        self.refusals = 0  # answers of our own
        self.invalid_requests = 0
        self.rejected_connections = 0
        self.failures = 0  # flights that ended with an error of the upstream's side
        self.client_disconnects = 0
        self.cut = 0  # captures with a body cut
        self.parts = 0  # captures of spliced connections that were not their last


class ProxyServer:
    """Built inside a running loop; `start` it on a listening socket."""

    def __init__(
        self, settings: Proxy, offer: Callable[[bytes], bool], salt: bytes = b"", exposed: Iterable[str] = ()
    ) -> None:
        self.settings = settings
        KINDS.expose(exposed)  # headers that are captured although their names look like credentials
        self.salt = salt  # with which a request's API key is hashed for its capture; empty: it is not
        self.offer = offer
        self.routes = Routes(settings)
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        self.pools = {name: Pool(origin, self.outbox) for name, origin in self.routes.origins.items()}
        self.budget = Budget(settings.capture.buffer)
        self.counters = Counters()
        self.clients: set[ClientConnection] = set()
        self.draining = False
        self._server: asyncio.Server | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._contexts = {
            name: upstream_tls(upstream)
            for name, upstream in settings.upstreams.items()
            if upstream.url.startswith("https")
        }

    @property
    def open_connections(self) -> int:
        """Clients connected now."""
        return len(self.clients)

    @property
    def active_requests(self) -> int:
        """Flights under way."""
        return sum(client.flight is not None for client in self.clients)

    @property
    def upstream_connections(self) -> int:
        """Connections to upstreams, busy and idle."""
        return sum(len(pool.connections) for pool in self.pools.values())

    async def start(self, listener: socket) -> None:
        """Accept on a bound socket."""
        listener.setblocking(False)
        context = listen_tls(self.settings) if self.settings.tls else None
        create = self._loop.create_unix_server if listener.family == AF_UNIX else self._loop.create_server
        self._server = await create(lambda: ClientConnection(self), sock=listener, ssl=context, backlog=BACKLOG)
        self._tick = self._loop.call_later(TICK, self._sweep)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline for others' work, not for ours
        """Accept no more, let what is in flight finish for `timeout` seconds, then close."""
        self.draining = True
        if self._server:
            self._server.close()
        for client in list(self.clients):
            client.drain()
        self._empty.clear()
        if self.clients:
            try:
                async with asyncio.timeout(timeout):
                    await self._empty.wait()
            except TimeoutError:
                pass
        self.close()
        if self.clients:
            await self._empty.wait()  # what was cut lands before the caller counts

    def close(self) -> None:
        """Close everything now; what is in flight is captured as far as it came."""
        self.draining = True
        if self._server:
            self._server.close()
        if self._tick:
            self._tick.cancel()
        for client in list(self.clients):
            client.transport.abort()
        for task in self._connecting:
            task.cancel()
        for pool in self.pools.values():
            pool.close()

    # -- what connections tell ------------------------------------------------------------------------------------

    def admit(self, client: ClientConnection) -> bool:
        """Is there room for one more?"""
        self.clients.add(client)
        if len(self.clients) > self.settings.limits.max_connections:
            self.counters.rejected_connections += 1
            return False
        return True

    def forget(self, client: ClientConnection) -> None:
        """It is closed."""
        self.clients.discard(client)
        if not self.clients:
            self._empty.set()

    def landed(self, frame: Frame, error_type: str | None) -> None:
        """A flight is over; its copy is offered and never waited for."""
        counters = self.counters
        if error_type is not None:
            if error_type == CLIENT_DISCONNECT:
                counters.client_disconnects += 1
            elif error_type not in CLIENT_FAULTS:
                counters.failures += 1
        if frame.request_cut or frame.response_cut:
            counters.cut += 1
        self.offer(encode(frame))

    def landed_part(self, frame: Frame) -> None:
        """A part of a spliced connection is over, the connection is not."""
        self.counters.parts += 1
        self.counters.cut += frame.request_cut or frame.response_cut
        self.offer(encode(frame))

    def soon(self, callback: Callable[[], None]) -> None:
        """Call it in the loop's next turn."""
        self._loop.call_soon(callback)

    def connect(self, client: ClientConnection, flight: Flight) -> asyncio.Task[None]:
        """Open a connection for this flight."""
        task = self._loop.create_task(self._connect(client, flight))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return task

    async def _connect(self, client: ClientConnection, flight: Flight) -> None:
        origin = flight.match.origin
        try:
            async with asyncio.timeout(origin.settings.connect_timeout or None):
                upstream = await self._open(origin)
        except TimeoutError:
            error_type = CONNECT_TIMEOUT
        except ssl.SSLError:
            error_type = TLS_ERROR
        except (OSError, ValueError):  # ValueError: no resolver or certificate could have such a name
            error_type = CONNECT_ERROR
        else:
            client.connected(flight, upstream)
            return
        client.connecting = None
        client.waiting = []
        client.upstream_failed(flight, error_type)

    async def _open(self, origin: Origin) -> UpstreamConnection:
        pool = self.pools[origin.name]
        context = self._contexts.get(origin.name)
        _, upstream = await self._loop.create_connection(
            lambda: UpstreamConnection(pool),
            origin.host,
            origin.port,
            ssl=context,
            server_hostname=(origin.settings.tls.server_name or origin.host) if context else None,
        )
        return upstream

    def _sweep(self) -> None:
        """One coarse clock for everybody: cheaper than a timer for each request."""
        self._tick = self._loop.call_later(TICK, self._sweep)
        now = monotonic_ns()
        for client in list(self.clients):
            client.check(now)
        for pool in self.pools.values():
            pool.sweep(now)


def upstream_tls(upstream: Upstream) -> ssl.SSLContext:
    """Verification is always on; there is no switch for it."""
    context = ssl.create_default_context(cafile=upstream.tls.ca)
    context.set_alpn_protocols(["http/1.1"])
    if client := upstream.tls.client:
        context.load_cert_chain(client.cert, client.key)
    return context


def listen_tls(settings: Proxy) -> ssl.SSLContext:
    """The certificate clients see."""
    assert settings.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls.cert, settings.tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context

"""The upstream's side: one connection, and the pool of those that wait for the next request.

A connection belongs to one flight at a time and goes back to the pool only after an answer that ended where its
framing says, with nothing behind it. The pool is last in, first out: the warmest connection is used, the others age.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pipeline.frame import BAD_RESPONSE, UPSTREAM_RESET
from proxy.framing import SPLICED, Chunked, Framing, FramingError
from proxy.heads import BadHead, ResponseHead, read_response_head
from proxy.memo import HeadShapes
from proxy.outbox import Outbox
from proxy.rewrite import client_head
from proxy.routing import Origin
from proxy.witness import Witness

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.flight import Flight

SECOND: Final = 1_000_000_000
LEAVE_WITHIN: Final = 30.0  # seconds an upstream may take for the last bytes of a client that has gone
FRESH: Final = 5_000_000  # ns: a connection used this lately is not asked whether its peer has gone


class UpstreamConnection(asyncio.Protocol):
    """Reads answers and passes them on as they come."""

    __slots__ = (
        "buffer", "client", "expires_at", "flight", "outbox", "pool", "reading_held", "reused", "transport", "used_at",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.outbox = pool.outbox
        self.client: ClientConnection | None = None
        self.flight: Flight | None = None
        self.buffer = b""  # an unfinished response head
        self.reading_held = False
        self.reused = False
        self.used_at = 0
        self.expires_at = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports do not subclass asyncio's
        self.pool.connections.add(self)

    def begin(self, client: ClientConnection, flight: Flight, data: bytes) -> None:
        """Send the first bytes of a request; what comes back is its answer."""
        self.client = client
        self.flight = flight
        flight.sent_at = flight.active_at = monotonic_ns()
        if client.writing_paused:
            self.hold_reading()
        self.outbox.write(self.transport, data)

    def data_received(self, data: bytes) -> None:
        flight = self.flight
        if flight is None:  # nobody asked: whatever this is, it is no answer
            self.transport.abort()
            return
        flight.active_at = now = monotonic_ns()
        if flight.response_framing is None:
            self.read_head(flight, data, now)
        else:
            self.pass_body(flight, flight.response_framing, b"", data, now)

    def read_head(self, flight: Flight, data: bytes, now: int) -> None:
        """Interim heads are passed on; the final one starts the body."""
        if not flight.first_byte_at:
            flight.first_byte_at = now
        if self.buffer:
            data, self.buffer = self.buffer + data, b""
        request = flight.request
        while (end := data.find(b"\r\n\r\n")) >= 0:
            raw, data = data[: end + 4], data[end + 4 :]
            if request.method != b"HEAD" and (recalled := self.pool.shapes.recall(raw)):
                self.begin_body(flight, raw, *recalled, data, now)
                return
            try:
                head = read_response_head(raw, request.method, upgrades=request.upgrades)
            except BadHead:
                self.fail(BAD_RESPONSE)
                return
            if head.framing is not None:
                self.pool.shapes.learn(head)
                self.begin_body(flight, raw, head, head.framing, data, now)
                return
            assert self.client
            if request.version != b"1.0":  # which knows no interim answers
                self.outbox.write(self.client.transport, client_head(raw, head, close=False))
        assert self.client
        too_large = len(data) > self.client.server.settings.limits.max_header_size
        if too_large or not b"HTTP/1.".startswith(data[:7]) or data.count(b"\n") != data.count(b"\r\n"):
            self.fail(BAD_RESPONSE)
        else:
            self.buffer = data

    def begin_body(
        self, flight: Flight, raw: bytes, head: ResponseHead, framing: Framing, data: bytes, now: int
    ) -> None:
        """The final head, and what came with it."""
        client = self.client
        assert client
        flight.response_raw = raw
        flight.response = head
        flight.response_framing = framing
        flight.replay = None
        if framing is SPLICED:
            client.begin_splice(flight)
        close = client.closes_after(flight, head, framing) and framing is not SPLICED
        if flight.request.version == b"1.0" and isinstance(framing, Chunked):
            framing.payload = []
            flight.unchunked = framing
        raw = client_head(raw, head, close=close, chunked=flight.unchunked is None)
        self.pass_body(flight, framing, raw, data, now)

    def pass_body(self, flight: Flight, framing: Framing, head: bytes, data: bytes, now: int) -> None:
        """The hot path of a stream: client first, copy second."""
        try:
            size = framing.feed(data)
        except FramingError:
            if head:
                flight.response = None  # the client has seen nothing of it
            self.fail(BAD_RESPONSE)
            return
        extra = size != len(data)
        if extra:
            data = data[:size]
        client = self.client
        assert client
        passed = data if flight.unchunked is None else flight.unchunked.take_payload()
        if head and framing.done:
            self.outbox.write_whole(client.transport, head + passed)
        else:
            if head:
                passed = head + passed
                flight.witness = Witness()
            witness = flight.witness
            witness.came(passed)  # type: ignore[union-attr]  # it began with the head
            self.outbox.write(client.transport, passed, witness)
        if data:
            flight.response_tee.add(data, now)
            if flight.splice is not None:
                client.copied_spliced(flight, flight.splice, data)
        if framing.done:
            self.finish(flight, extra, now)

    def finish(self, flight: Flight, extra: bool, now: int) -> None:
        """The answer is whole: let the connection go, then tell the client's side."""
        client, head = self.client, flight.response
        assert client
        assert head
        self.client = self.flight = None
        if head.keep_alive and flight.request_done and not extra:
            self.pool.put(self, head.keep_alive_timeout, now)
        else:
            self.transport.abort()  # whatever it was still to be sent, nobody needs it any more
        client.answered(flight)

    def fail(self, error_type: str) -> None:
        """This connection is of no more use to anyone."""
        client, flight = self.client, self.flight
        self.client = self.flight = None
        self.transport.abort()
        if client and flight:
            client.upstream_failed(flight, error_type, reused=self.reused)

    def abandon(self) -> None:
        """The client has gone: close now, so the upstream can stop working."""
        self.client = self.flight = None
        self.transport.abort()

    def leave(self) -> None:
        """The client has said all that it had to say: close once that has been sent, or will not be."""
        self.client = self.flight = None
        self.outbox.close(self.transport)
        asyncio.get_running_loop().call_later(LEAVE_WITHIN, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.forget(self)
        client, flight = self.client, self.flight
        self.client = self.flight = None
        if not client or not flight:
            return
        framing = flight.response_framing
        if framing is not None and exc is None and framing.ends_cleanly_at_eof():
            client.answered(flight)
        else:
            client.upstream_failed(flight, UPSTREAM_RESET, reused=self.reused)

    def hold_reading(self) -> None:
        """The client does not take what comes: let it wait in the upstream's socket."""
        if not self.reading_held:
            self.reading_held = True
            self.transport.pause_reading()

    def release_reading(self) -> None:
        """It does again."""
        if self.reading_held:
            self.reading_held = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        if self.client:
            self.client.hold_reading()

    def resume_writing(self) -> None:
        if self.client:
            self.client.release_reading()

    def peer_has_gone(self) -> bool:
        """Is there something to read on an idle connection: its end, or bytes nobody asked for?"""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP)
        return bool(poll.poll(0))


class Pool:
    """The connections to one origin."""

    def __init__(self, origin: Origin, outbox: Outbox) -> None:
        self.origin = origin
        self.outbox = outbox
        self.shapes = HeadShapes()
        self._keepalive = int(origin.settings.keepalive * SECOND)
        self._max_idle = origin.settings.max_idle
        self.connections: set[UpstreamConnection] = set()
        self.idle: deque[UpstreamConnection] = deque()

    def take(self, now: int) -> UpstreamConnection | None:
        """The connection used last that is still good."""
        while self.idle:
            connection = self.idle.pop()
            transport = connection.transport
            if transport.is_closing():
                continue
            stale = now - connection.used_at > FRESH and connection.peer_has_gone()
            if stale or now >= connection.expires_at:
                transport.abort()
                continue
            return connection
        return None

    def put(self, connection: UpstreamConnection, timeout_hint: float | None, now: int) -> None:
        """Keep it for the next request, for as long as both sides want to."""
        keepalive = self._keepalive
        if timeout_hint is not None:
            keepalive = min(keepalive, int((timeout_hint - 1) * SECOND))
        transport = connection.transport
        full = len(self.idle) >= self._max_idle
        if keepalive <= 0 or full or transport.is_closing() or transport.get_write_buffer_size():
            transport.close()  # an upstream that answered without reading would not read the next request either
            return
        connection.used_at = now
        connection.expires_at = now + keepalive
        connection.reused = True
        connection.release_reading()
        self.idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """It is closed."""
        self.connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def sweep(self, now: int) -> None:
        """Close what has been idle too long."""
        for connection in [each for each in self.idle if each.expires_at <= now]:
            self.idle.remove(connection)
            connection.transport.close()

    def close(self) -> None:
        """Close every connection now."""
        for connection in list(self.connections):
            connection.transport.abort()

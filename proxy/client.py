"""The client's side: reads requests strictly, one after the other, and sees to it that each gets one end.

reading a head ──▶ in flight ──▶ answered ──▶ reading the next head (pipelined bytes wait in `buffer`)
      │                │
      ▼                ▼
   refused      client gone · upstream failed            every flight ends in exactly one `landed`
"""

from __future__ import annotations

import asyncio
import select
import struct
from socket import SO_LINGER, SOL_SOCKET
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pipeline.frame import (
    BAD_REQUEST_BODY,
    BAD_RESPONSE,
    BODY_TIMEOUT,
    CLIENT_DISCONNECT,
    CONNECT_ERROR,
    CONNECT_TIMEOUT,
    FIRST_BYTE_TIMEOUT,
    IDLE_TIMEOUT,
    TLS_ERROR,
    UPSTREAM_RESET,
)
from proxy.flight import Flight
from proxy.framing import NO_BODY, SPLICED, UNTIL_CLOSE, Framing, FramingError
from proxy.headers import credential_hash
from proxy.heads import BadHead, RequestHead, ResponseHead, read_request_head
from proxy.memo import Remembered, remember
from proxy.refusals import refusal
from proxy.rewrite import trace_of, upstream_head
from proxy.routing import Match
from proxy.splice import Splice
from proxy.trace_context import Trace

if TYPE_CHECKING:
    from proxy.server import ProxyServer
    from proxy.upstream import UpstreamConnection

SECOND: Final = 1_000_000_000
MAX_WAITING: Final = 64 * 1024  # bytes held for an upstream that is not connected yet, or for the next request
LINGER: Final = 2 * SECOND  # how long a client may go on sending what nobody reads any more
REPLAYABLE: Final = 64 * 1024
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))

# error type → status, message, is trying again honest advice? (False where the upstream may have done the work)
UPSTREAM_FAILURES: Final = {
    CONNECT_ERROR: (502, b"The upstream could not be reached.", True),
    CONNECT_TIMEOUT: (504, b"The upstream did not accept a connection in time.", True),
    TLS_ERROR: (502, b"The upstream's TLS certificate or handshake was refused.", False),
    UPSTREAM_RESET: (502, b"The upstream closed the connection before it answered.", True),
    BAD_RESPONSE: (502, b"The upstream's answer is not valid HTTP/1.1.", False),
    FIRST_BYTE_TIMEOUT: (504, b"The upstream did not begin to answer in time.", False),
}


class ClientConnection(asyncio.Protocol):
    """One connection from a client."""

    __slots__ = (
        "buffer", "closing", "connecting", "flight", "half_closed", "head_since", "idle_since", "lingering_since",
        "peer", "reading_held", "remembered", "server", "transport", "upstream", "waiting", "writing_paused",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: ProxyServer) -> None:
        self.server = server
        self.buffer = b""  # an unfinished head, or pipelined requests
        self.flight: Flight | None = None
        self.upstream: UpstreamConnection | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.waiting: list[bytes] = []  # request bytes for an upstream that is not connected yet
        self.writing_paused = False
        self.reading_held = False
        self.remembered: Remembered | None = None
        self.closing = False  # no further request will be read
        self.half_closed = False
        self.lingering_since = 0
        self.idle_since = 0
        self.head_since = 0  # when the unfinished head in `buffer` began

    # -- the transport's side -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports do not subclass asyncio's
        self.idle_since = monotonic_ns()
        peer = transport.get_extra_info("peername")
        self.peer: tuple[str, int] = (peer[0], peer[1]) if isinstance(peer, tuple) else ("", 0)
        if not self.server.admit(self):
            self.refuse(503, b"too_many_connections", b"Sidelight has as many connections as it may.", retry=True)

    def data_received(self, data: bytes) -> None:
        flight = self.flight
        if flight is None:
            if self.closing:
                return
            if self.buffer:
                data, self.buffer = self.buffer + data, b""
            self.read_request(data)
        elif flight.splice is not None:
            self.pass_spliced(flight, flight.splice, data)
        elif flight.request_done:
            self.buffer += data
            if len(self.buffer) > MAX_WAITING:
                self.hold_reading()
        else:
            self.pass_body(flight, data)

    def eof_received(self) -> bool:
        """A FIN: has the client gone, or only finished sending? One setting decides, because TCP cannot say."""
        self.half_closed = True
        if self.flight is not None and self.flight.splice is not None:
            return self.end_spliced_side(self.flight, self.flight.splice)
        if self.flight is not None and self.server.settings.half_close == "serve":
            return self.flight.request_done
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.forget(self)
        flight = self.flight
        if flight is not None:
            if flight.splice is not None and self.half_closed and self.upstream is not None:
                self.land(flight, None)
                self.upstream.leave()
                self.upstream = None
            else:
                self.land(flight, CLIENT_DISCONNECT)
                self.drop_upstream()

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self.upstream:
            self.upstream.hold_reading()
        elif self.flight is None and not self.closing:
            self.hold_reading()

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self.upstream:
            self.upstream.release_reading()
        elif self.flight is None and not self.closing:
            self.read_next()

    def hold_reading(self) -> None:
        """The bytes have nowhere to go: let them wait in the client's socket."""
        if not self.reading_held:
            self.reading_held = True
            self.transport.pause_reading()

    def release_reading(self) -> None:
        """They have again."""
        if self.reading_held and not self.transport.is_closing():
            self.reading_held = False
            self.transport.resume_reading()

    # -- requests -------------------------------------------------------------------------------------------------

    def read_request(self, data: bytes) -> None:
        """Bytes that begin with a request head."""
        limits = self.server.settings.limits
        if data.startswith(b"\r\n"):  # one empty line before a request is old custom (RFC 9112 §2.2)
            data = data[2:]
        end = data.find(b"\r\n\r\n")
        if (end if end >= 0 else len(data)) > limits.max_header_size:
            self.refuse(431, b"header_too_large", b"The request's header is larger than Sidelight accepts.")
        elif end >= 0:
            self.head_since = 0
            self.read_head(data[: end + 4], data[end + 4 :], limits.max_header_count)
        elif data.count(b"\n") != data.count(b"\r\n") or data[:1] == b"\n":
            self.refuse_bad_request(400)
        else:
            self.buffer = data
            if data and not self.head_since:
                self.head_since = monotonic_ns()

    def read_head(self, raw: bytes, rest: bytes, max_fields: int) -> None:
        """A whole head: the last one again but for its length, or one to be read."""
        remembered = self.remembered
        if remembered is not None and (recalled := remembered.recall(raw)) is not None:
            head, framing, trace, sent = recalled
            self.begin(raw, head, framing, remembered.match, trace, sent, rest)
            return
        try:
            head = read_request_head(raw, max_fields)
        except BadHead as error:
            self.refuse_bad_request(error.status)
            return
        match = self.server.routes.find(head.target)
        if match is None:
            self.refuse_unrouted(head, rest)
            return
        if self.server.salt:
            head.credential = credential_hash(head.fields, self.server.salt)
        trace = trace_of(head.trace_fields)
        sent = upstream_head(head, match, trace)
        self.remembered = remember(head, match, sent, trace)
        self.begin(raw, head, head.framing, match, trace, sent, rest)

    def begin(
        self, raw: bytes, head: RequestHead, framing: Framing, match: Match, trace: Trace, data: bytes, rest: bytes
    ) -> None:
        """Send the head on as `data`, with as much body as came with it."""
        server = self.server
        flight = Flight(raw, head, framing, match, trace, server.settings.capture.max_body, server.budget)
        if not head.keep_alive:
            self.closing = True
        if framing is NO_BODY:
            flight.request_done = True
            self.buffer = rest
        else:
            try:
                size = framing.feed(rest)
            except FramingError:
                self.refuse_bad_request(400)
                return
            if size != len(rest):
                self.buffer, rest = rest[size:], rest[:size]
            flight.request_done = framing.done
            flight.request_tee.add(rest)
            data += rest
        if flight.request_done and len(data) <= REPLAYABLE:
            flight.replay = data
        server.counters.requests += 1
        self.flight = flight
        self.dispatch(flight, data)

    def dispatch(self, flight: Flight, data: bytes) -> None:
        """Send on a connection that is waiting, or on a new one once it stands."""
        upstream = self.server.pools[flight.match.origin.name].take(flight.began)
        if upstream is not None:
            self.upstream = upstream
            upstream.begin(self, flight, data)
        else:
            self.connect(flight, data)

    def connect(self, flight: Flight, data: bytes) -> None:
        """Open a connection for this flight; the bytes wait for it."""
        self.waiting = [data]
        self.connecting = self.server.connect(self, flight)

    def connected(self, flight: Flight, upstream: UpstreamConnection) -> None:
        """The new connection stands."""
        self.connecting = None
        self.upstream = upstream
        data, self.waiting = b"".join(self.waiting), []
        upstream.begin(self, flight, data)
        self.release_reading()

    def pass_body(self, flight: Flight, data: bytes) -> None:
        """Request bytes, as they come."""
        framing = flight.request_framing
        try:
            size = framing.feed(data)
        except FramingError:
            self.drop_upstream()
            self.land(flight, BAD_REQUEST_BODY)
            self.refuse_bad_request(400, begun=flight.response is not None)
            return
        flight.active_at = monotonic_ns()
        if size != len(data):
            self.buffer, data = data[size:], data[:size]
        flight.request_done = framing.done
        flight.request_tee.add(data)
        if self.upstream is not None:
            self.server.outbox.write(self.upstream.transport, data)
        else:
            self.waiting.append(data)
            if sum(map(len, self.waiting)) > MAX_WAITING:
                self.hold_reading()

    # -- spliced --------------------------------------------------------------------------------------------------

    def begin_splice(self, flight: Flight) -> None:
        """The upstream switched: what the client sends from now on, or has sent already, is no request."""
        flight.begin_splice(self.server.settings.capture.max_body, self.server.budget)
        self.closing = True
        self.release_reading()
        if self.buffer or self.half_closed:
            self.server.soon(self.pass_early)

    def pass_early(self) -> None:
        """What the client sent before it could know of the switch, and that it said no more."""
        flight = self.flight
        if flight is None or flight.splice is None:
            return
        if self.half_closed:
            if not self.end_spliced_side(flight, flight.splice):
                self.close()
        elif self.buffer:
            self.pass_spliced(flight, flight.splice, b"")

    def pass_spliced(self, flight: Flight, splice: Splice, data: bytes) -> None:
        """The client's bytes, as they come."""
        assert self.upstream
        if self.buffer:  # from before the switch
            data, self.buffer = self.buffer + data, b""
        flight.active_at = now = monotonic_ns()
        self.server.outbox.write(self.upstream.transport, data)
        splice.feed(splice.client, data)
        flight.request_tee.add(data, now)
        self.end_full_part(flight, splice)

    def copied_spliced(self, flight: Flight, splice: Splice, data: bytes) -> None:
        """The upstream's bytes have passed and are copied."""
        splice.feed(splice.upstream, data)
        self.end_full_part(flight, splice)

    def end_full_part(self, flight: Flight, splice: Splice) -> None:
        """Hand over the copy of a spliced connection before it is full."""
        if splice.is_full(flight.request_tee, flight.response_tee):
            self.end_part(flight, splice)

    def end_part(self, flight: Flight, splice: Splice) -> None:
        """What was said so far goes to the pipeline; what follows is another part."""
        server, now = self.server, monotonic_ns()
        server.landed_part(flight.frame(self.peer, now, last=False))
        tees = splice.next_part(server.settings.capture.max_body, server.budget, now)
        flight.request_tee, flight.response_tee = tees

    def end_spliced_side(self, flight: Flight, splice: Splice) -> bool:
        """The client will say no more; the upstream may. True: this side stays open for it."""
        upstream = self.upstream
        if self.buffer:
            self.pass_spliced(flight, splice, b"")
        if upstream is None or not self.transport.can_write_eof() or not upstream.transport.can_write_eof():
            return False
        self.server.outbox.flush()
        if not upstream.transport.is_closing():
            upstream.transport.write_eof()
        return True

    # -- ends of a flight -----------------------------------------------------------------------------------------

    def closes_after(self, flight: Flight, head: ResponseHead, framing: Framing) -> bool:
        """Will this connection close after this answer? Then the client is told."""
        if not flight.request_done or framing is UNTIL_CLOSE or head.version == b"1.0" or self.server.draining:
            self.closing = True
        return self.closing

    def answered(self, flight: Flight) -> None:
        """The client has been sent a whole answer."""
        self.upstream = None
        if flight.witness is not None:
            self.server.outbox.conclude(flight.witness)
        self.land(flight, None)
        if not flight.request_done:
            self.close_lingering()
        elif self.closing or (self.half_closed and not self.buffer):
            self.close()
        else:
            self.read_next()

    def read_next(self) -> None:
        """Go on with what was pipelined, or wait; who takes no answers is asked for no more questions."""
        if self.writing_paused:
            self.hold_reading()
            return
        self.release_reading()
        if self.buffer:
            self.server.soon(self.read_pipelined)

    def read_pipelined(self) -> None:
        """From the loop, not from the end of the last flight: a thousand requests in one packet are no recursion."""
        if self.flight is None and self.buffer and not self.closing and not self.writing_paused:
            data, self.buffer = self.buffer, b""
            self.read_request(data)

    def upstream_failed(self, flight: Flight, error_type: str, *, reused: bool = False) -> None:
        """No whole answer will come. Before its head the client is told why; after it, the connection just ends."""
        self.upstream = None
        if flight.response is None and not flight.first_byte_at and reused and self.replay(flight):
            return
        self.land(flight, error_type)
        if flight.response is None:
            status, message, retry = UPSTREAM_FAILURES[error_type]
            self.refuse(status, error_type.encode(), message, target=flight.request.target, retry=retry, flight=flight)
        elif flight.response_framing in (UNTIL_CLOSE, SPLICED):
            reset(self.transport)  # a FIN would be a made-up ending
        else:
            self.close()

    def replay(self, flight: Flight) -> bool:
        """A kept connection died unanswered under an idempotent request: send that again, on a new one."""
        data, flight.replay = flight.replay, None
        if data is None or flight.request.method not in IDEMPOTENT:
            return False
        self.connect(flight, data)
        return True

    def land(self, flight: Flight, error_type: str | None) -> None:
        """The one end of every flight: its copy goes to the pipeline."""
        self.flight = None
        self.idle_since = now = monotonic_ns()
        flight.error_type = error_type
        self.server.landed(flight.frame(self.peer, now), error_type)

    def drop_upstream(self) -> None:
        """Nobody waits for the answer any more."""
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        if self.upstream is not None:
            self.upstream.abandon()
            self.upstream = None

    # -- our own answers ------------------------------------------------------------------------------------------

    def refuse_bad_request(self, status: int, *, begun: bool = False) -> None:
        """What two parsers could read differently is answered and then not read any further."""
        self.server.counters.invalid_requests += 1
        if begun:
            self.close()
        else:
            self.refuse(status, b"invalid_request", b"Sidelight does not forward a request that is not valid HTTP/1.1.")

    def refuse_unrouted(self, head: RequestHead, rest: bytes) -> None:
        """No upstream for this path; a request without a body does not cost the connection."""
        message = b"No route of Sidelight matches this path."
        if head.framing is NO_BODY and head.keep_alive:
            self.buffer = rest
            self.server.counters.refusals += 1
            answer = refusal(404, b"no_route", message, target=head.target, retry=False, close=False)
            self.server.outbox.write(self.transport, answer)
            self.read_next()
        else:
            self.refuse(404, b"no_route", message, target=head.target)

    def refuse(
        self,
        status: int,
        code: bytes,
        message: bytes,
        *,
        target: bytes = b"",
        retry: bool = False,
        flight: Flight | None = None,
    ) -> None:
        """Answer in the upstream's place. The connection goes on only after a request that was read to its end."""
        self.server.counters.refusals += 1
        close = self.closing or flight is None or not flight.request_done or self.server.draining
        body_wanted = flight is None or flight.request.method != b"HEAD"
        answer = refusal(status, code, message, target=target, retry=retry, close=close)
        head_end = answer.index(b"\r\n\r\n") + 4
        self.server.outbox.write(self.transport, answer if body_wanted else answer[:head_end])
        if close:
            self.close_lingering()
        else:
            self.read_next()

    def close(self) -> None:
        """Close once everything said has been sent; nothing more is read."""
        self.closing = True
        self.server.outbox.close(self.transport)

    def close_lingering(self) -> None:
        """Say that no more will come, and let the client finish its sentence, so that it can read the answer."""
        self.closing = True
        self.buffer = b""
        self.head_since = 0
        if self.half_closed or not self.transport.can_write_eof():
            self.close()
            return
        self.server.outbox.flush()
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self.lingering_since = monotonic_ns()
        self.release_reading()

    # -- time -----------------------------------------------------------------------------------------------------

    def check(self, now: int) -> None:
        """Called every tick: has somebody been silent too long?"""
        flight = self.flight
        if flight is not None:
            if self.reading_held and self.has_gone():
                self.transport.abort()
            else:
                self.check_flight(flight, now)
            return
        limits = self.server.settings.limits
        if self.lingering_since:
            if now - self.lingering_since > LINGER:
                self.transport.abort()
        elif self.head_since:
            if now - self.head_since > limits.header_timeout * SECOND:
                self.refuse(408, b"header_timeout", b"The request's header did not end in time.", retry=True)
        elif now - self.idle_since > limits.keepalive * SECOND:
            if self.transport.is_closing() or self.writing_paused:  # it does not take what it asked for
                self.transport.abort()
            else:
                self.close()

    def has_gone(self) -> bool:
        """Asked of the kernel while reading is paused, because then no event would tell."""
        poll = select.poll()
        events = select.POLLHUP | select.POLLERR
        spliced = self.flight is not None and self.flight.splice is not None  # then a FIN has a meaning of its own
        if self.server.settings.half_close == "cancel" and not spliced:
            events |= getattr(select, "POLLRDHUP", 0)
        poll.register(self.transport.get_extra_info("socket").fileno(), events)
        return bool(poll.poll(0))

    def check_flight(self, flight: Flight, now: int) -> None:
        settings = flight.match.origin.settings
        silence = (now - flight.active_at) / SECOND
        splice = flight.splice
        if splice is not None and splice.is_old(flight.request_tee, flight.response_tee, flight.active_at, now):
            self.end_part(flight, splice)
        if flight.response is not None:
            if settings.idle_timeout and silence > settings.idle_timeout:
                self.time_out(flight, IDLE_TIMEOUT)
        elif not flight.request_done and not self.reading_held and not flight.first_byte_at:
            if silence > self.server.settings.limits.body_timeout:
                self.drop_upstream()
                self.land(flight, BODY_TIMEOUT)
                self.refuse(408, b"body_timeout", b"The request's body did not end in time.", retry=True)
        elif settings.first_byte_timeout and self.upstream and silence > settings.first_byte_timeout:
            self.time_out(flight, FIRST_BYTE_TIMEOUT)

    def time_out(self, flight: Flight, error_type: str) -> None:
        self.drop_upstream()
        self.upstream_failed(flight, error_type)

    # -- drain ----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Finish what is in flight, then close; an idle connection closes now."""
        self.closing = True
        if self.flight is None and not self.lingering_since:
            self.close()


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset, so that the peer cannot take what it has for the whole."""
    if sock := transport.get_extra_info("socket"):
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

"""One exchange in flight: what the two connections share about it, and the Frame it becomes when it is over."""

from __future__ import annotations

from time import monotonic_ns, time_ns

from pipeline.frame import Frame
from proxy.framing import Chunked, Framing
from proxy.headers import without_lines
from proxy.heads import RequestHead, ResponseHead
from proxy.routing import Match
from proxy.splice import Splice
from proxy.tee import TAIL, Budget, Tee
from proxy.trace_context import Trace
from proxy.witness import Witness


class Flight:
    """Mutable, short-lived, touched by one loop only. `began` and `active_at` are monotonic ns."""

    __slots__ = (
        "active_at", "began", "error_type", "first_byte_at", "match", "replay", "request", "request_done",
        "request_framing", "request_raw", "request_tee", "response", "response_framing", "response_raw",
        "response_tee", "sent_at", "splice", "started_at", "trace", "unchunked", "witness",
    )  # fmt: skip

    def __init__(
        self,
        raw: bytes,
        request: RequestHead,
        framing: Framing,
        match: Match,
        trace: Trace,
        limit: int,
        budget: Budget,
    ) -> None:
        self.began = self.active_at = monotonic_ns()
        self.started_at = time_ns()
        self.request_raw = raw  # the head as it came; `request` says what it means
        self.request = request
        self.request_framing = framing
        self.match = match
        self.trace = trace
        self.request_tee = Tee(limit, budget)
        self.response_tee = Tee(limit, budget, TAIL)
        self.request_done = False
        self.response_raw = b""
        self.response: ResponseHead | None = None
        self.response_framing: Framing | None = None
        self.sent_at = 0
        self.first_byte_at = 0
        self.replay: bytes | None = None  # the whole request as it went upstream, while it may be sent again
        self.error_type: str | None = None
        self.unchunked: Chunked | None = None  # the response framing, when the client (HTTP/1.0) must not see it
        self.witness: Witness | None = None  # of an answer in several pieces
        self.splice: Splice | None = None  # after a 101

    def begin_splice(self, limit: int, budget: Budget) -> None:
        """What passes from now on is no longer HTTP; its copies begin empty."""
        assert self.response
        extensions = b",".join(v for name, v in self.response.fields if name.lower() == b"sec-websocket-extensions")
        self.splice = Splice(b"deflate" not in extensions.lower(), limit, monotonic_ns())
        self.request_tee.release()
        self.request_tee, self.response_tee = Tee(limit, budget), Tee(limit, budget)

    def frame(self, client: tuple[str, int], now: int, *, last: bool = True) -> Frame:
        """Everything known of the exchange, or of this part of it; the copies are released."""
        trace, request, response = self.trace, self.request, self.response
        request_tee, response_tee = self.request_tee, self.response_tee
        frame = Frame(
            self.started_at,
            self.began,
            self.sent_at,
            self.first_byte_at,
            now,
            trace.trace_id,
            trace.server_span_id,
            trace.client_span_id,
            trace.parent_span_id,
            trace.flags,
            trace.tracestate,
            self.match.place,
            client[0],
            client[1],
            without_lines(self.request_raw, request.secret_names),
            without_lines(self.response_raw, response.secret_names) if response else b"",
            request_tee.pieces,
            response_tee.pieces,
            request_tee.size,
            response_tee.size,
            request_tee.cut or not self.request_done,  # an answer may come before the request has ended
            response_tee.cut,
            response_tee.marks,
            self.error_type,
        )
        if request.credential:
            frame.credential = request.credential
        if response_tee.tail:
            frame.response_tail = response_tee.tail
        if self.splice is not None:
            frame.request_marks, frame.part, frame.last = request_tee.marks, self.splice.part, last
        request_tee.release()
        response_tee.release()
        return frame

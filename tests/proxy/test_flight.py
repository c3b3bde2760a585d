"""What one exchange leaves behind: its Frame, read back as the Capture everybody else sees."""

from __future__ import annotations

from time import monotonic_ns, time_ns
from typing import Any

from config.settings import Upstream
from pipeline.frame import decode, encode
from pipeline.records import Capture
from proxy.flight import Flight
from proxy.heads import read_request_head, read_response_head
from proxy.rewrite import trace_of
from proxy.routing import Match, Origin
from proxy.tee import Budget

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRETS = (b"Authorization: Bearer canary", b"X-API-KEY: canary", b"cookie: a=canary", b"Proxy-Authorization: canary")
REQUEST = b"\r\n".join([b"POST /v1/x?a=b HTTP/1.1", b"Host: a.test", b"X-A:  1 ", b"x-a:2", *SECRETS, b"", b""])
RESPONSE = b"HTTP/1.1 201 Made\r\nSet-Cookie: canary\r\nContent-Type: text/plain\r\nset-cookie: canary\r\n\r\n"


def flight(raw: bytes = REQUEST, limit: int = 100, budget: Budget | None = None, **upstream: Any) -> Flight:
    request = read_request_head(raw, 100)
    origin = Origin("up", Upstream.model_validate({"url": "https://up.test/base", "provider": "openai"} | upstream))
    match, trace = Match("/v1", False, origin, "https"), trace_of(request.trace_fields)
    return Flight(raw, request, request.framing, match, trace, limit, budget or Budget(1000))


def answered(over: Flight) -> Flight:
    over.response, over.response_raw = read_response_head(RESPONSE, b"POST"), RESPONSE
    return over


def landed(over: Flight) -> Capture:
    return decode(encode(over.frame(("127.0.0.1", 54321), monotonic_ns())))


def test_a_flight_becomes_a_capture_of_everything_known() -> None:
    over = flight(REQUEST.replace(b"x-a:2", b"traceparent: " + PARENT + b"\r\ntracestate: v=1"))
    over.request_tee.add(b"ques")
    over.request_tee.add(b"tion")
    over.request_done = True
    answered(over)
    over.sent_at, over.first_byte_at = over.began + 5, over.began + 7
    over.response_tee.add(b"ans", over.began + 8)
    over.response_tee.add(b"wer", over.began + 9)
    capture = landed(over)
    assert (capture.upstream, capture.route, capture.provider, capture.scheme) == ("up", "/v1", "openai", "https")
    assert (capture.method, capture.target, capture.http_version, capture.status) == ("POST", "/v1/x?a=b", "1.1", 201)
    assert (capture.server_address, capture.server_port) == ("up.test", 443)
    assert (capture.client_address, capture.client_port) == ("127.0.0.1", 54321)
    assert (capture.request_body, capture.response_body) == (b"question", b"answer")
    assert (capture.request_size, capture.response_size) == (8, 6)
    assert (capture.sent_at, capture.first_byte_at, capture.arrivals) == (5, 7, ((0, 8), (3, 9)))
    assert (capture.trace.trace_id, capture.trace.parent_span_id) == (PARENT[3:35].decode(), PARENT[36:52].decode())
    assert (capture.trace.client_span_id, capture.trace.tracestate) == (over.trace.client_span_id.decode(), "v=1")
    assert (capture.request_cut, capture.response_cut, capture.error_type) == (False, False, None)


def test_no_credential_is_in_the_frame() -> None:
    over = flight()
    answered(over)
    frame = over.frame(("", 0), monotonic_ns())
    assert b"canary" not in encode(frame)
    assert frame.request_head == b"POST /v1/x?a=b HTTP/1.1\r\nHost: a.test\r\nX-A:  1 \r\nx-a:2\r\n\r\n"
    assert frame.response_head == b"HTTP/1.1 201 Made\r\nContent-Type: text/plain\r\n\r\n"


def test_a_flight_that_failed_before_an_answer_says_so_and_holds_what_was_sent() -> None:
    over = flight()
    over.request_tee.add(b"half")
    over.error_type = "connect_error"
    capture = landed(over)
    assert (capture.status, capture.response_headers, capture.response_body) == (None, (), b"")
    assert (capture.sent_at, capture.first_byte_at, capture.arrivals) == (None, None, ())
    assert (capture.request_body, capture.error_type) == (b"half", "connect_error")


def test_a_cut_copy_says_so_and_knows_the_whole_size() -> None:
    over = flight(limit=10)
    answered(over)
    over.request_tee.add(bytes(25))
    over.response_tee.add(bytes(10))
    capture = landed(over)
    assert (capture.request_cut, len(capture.request_body), capture.request_size) == (True, 10, 25)
    assert (capture.response_cut, len(capture.response_body), capture.response_size) == (False, 10, 10)


def test_the_copies_are_released_with_the_frame_and_not_before() -> None:
    budget = Budget(1000)
    over = flight(budget=budget)
    over.request_tee.add(b"question")
    over.response_tee.add(b"answer")
    assert budget.used == 14
    frame = over.frame(("", 0), monotonic_ns())
    assert (budget.used, frame.request_body, frame.response_body) == (0, [b"question"], [b"answer"])


def test_the_times_are_of_now_and_of_one_clock_each() -> None:
    before, before_monotonic = time_ns(), monotonic_ns()
    over = flight()
    frame = over.frame(("", 0), monotonic_ns())
    assert before <= frame.started_at <= time_ns()
    assert before_monotonic <= frame.began <= frame.ended_at <= monotonic_ns()


def test_the_ids_of_captures_are_unique_and_sort_by_their_start() -> None:
    captures = [landed(flight()) for _ in range(500)]
    ids = [capture.id for capture in captures]
    assert len(set(ids)) == 500
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids)
    by_time = sorted(captures, key=lambda capture: capture.started_at)
    assert [one.started_at for one in sorted(captures, key=lambda one: one.id)] == [one.started_at for one in by_time]

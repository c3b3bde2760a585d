"""Heads read strictly: what is refused by name, and for mutated heads what h11 reads in them."""

from __future__ import annotations

import re
from collections.abc import Callable

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.framing import NO_BODY, UNTIL_CLOSE, Chunked, Counted, Framing
from proxy.heads import BadHead, RequestHead, ResponseHead, read_request_head, read_response_head
from proxy.refusals import refusal


def request(*lines: bytes, start: bytes = b"POST /v1/x?a=b HTTP/1.1", host: bytes = b"Host: a.test") -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *lines, b"", b""])


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *lines, b"", b""])


def read(raw: bytes) -> RequestHead:
    return read_request_head(raw, 100)


def meaning(framing: Framing | None) -> str | int | None:
    """A framing as what can be compared: a length, or its name."""
    if isinstance(framing, Counted):
        return framing.remaining
    if framing is NO_BODY:
        return 0
    return type(framing).__name__ if framing else None


# -- requests that are served -----------------------------------------------------------------------------------------


def test_a_request_head_is_what_it_says_and_keeps_its_bytes() -> None:
    raw = request(b"X-A:  1 ", b"x-a:2", b"Content-Length: 12")
    head = read(raw)
    assert (head.raw, head.method, head.target, head.version) == (raw, b"POST", b"/v1/x?a=b", b"1.1")
    assert [name for name, _ in head.fields] == [b"Host", b"X-A", b"x-a", b"Content-Length"]
    assert (head.host, head.host_name, head.keep_alive) == (b"a.test", b"Host", True)
    assert meaning(head.framing) == 12


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], 0),
        ([b"Content-Length: 0"], 0),
        ([b"Content-Length: 00"], 0),
        ([b"content-length:\t007"], 7),
        ([b"Content-Length: 999999999999999999"], 10**18 - 1),
        ([b"TRANSFER-ENCODING: Chunked"], "Chunked"),
    ],
)
def test_the_body_ends_where_the_fields_say(lines: list[bytes], expected: object) -> None:
    assert meaning(read(request(*lines)).framing) == expected


@pytest.mark.parametrize(
    ("start", "lines", "keep_alive"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: keep-alive"], True),
        (b"GET / HTTP/1.1", [b"Connection: Close"], False),
        (b"GET / HTTP/1.1", [b"Connection: te", b"connection: x-a ,close"], False),
        (b"GET / HTTP/1.0", [], False),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_whether_the_connection_goes_on(start: bytes, lines: list[bytes], keep_alive: bool) -> None:
    assert read(request(*lines, start=start)).keep_alive is keep_alive


@pytest.mark.parametrize("host", [b"a", b"a.test:8080", b"127.0.0.1", b"[::1]:80", b"[2001:db8::1]", b"a_b-c~d"])
def test_a_host_may_be_a_name_or_an_address_with_a_port(host: bytes) -> None:
    assert read(request(host=b"hOst: " + host)).host == host


def test_only_http_1_0_may_leave_out_the_host() -> None:
    assert read(request(start=b"GET / HTTP/1.0", host=b"")).host_name == b""
    with pytest.raises(BadHead):
        read(request(host=b""))


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"http://a.test/x?y", b"/x?y"), (b"HTTP://A.TEST/", b"/"), (b"https://a.test", b"/"), (b"//x", b"//x")],
)
def test_an_absolute_target_for_this_host_is_its_path(target: bytes, expected: bytes) -> None:
    assert read(request(start=b"GET %s HTTP/1.1" % target)).target == expected


def test_the_fields_that_stay_on_the_hop_are_listed_in_their_own_spelling() -> None:
    head = read(request(b"Connection: x-hop, close", b"X-HOP: 1", b"te: x", b"Upgrade: h2c", b"x-hop: 2", b"X: y"))
    assert sorted(head.hop_names) == [b"Connection", b"Upgrade", b"X-HOP", b"te", b"x-hop"]


def test_a_field_that_is_both_named_and_known_is_listed_once() -> None:
    head = read(request(b"Connection: keep-alive, proxy-connection", b"Keep-Alive: 5", b"Proxy-Connection: x"))
    assert sorted(head.hop_names) == [b"Connection", b"Keep-Alive", b"Proxy-Connection"]


def test_a_websocket_that_is_asked_for_stays_asked_for() -> None:
    head = read(request(b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", start=b"GET /ws HTTP/1.1"))
    assert (head.upgrades, head.hop_names) == (True, [b"Connection"])


@pytest.mark.parametrize(
    ("start", "fields"),
    [
        (b"GET /ws HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: h2c"]),
        (b"GET /ws HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: websocket, h2c"]),
        (b"GET /ws HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: websocket"]),
        (b"GET /ws HTTP/1.1", [b"Connection: close", b"Upgrade: websocket"]),
        (b"GET /ws HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3"]),
        (b"GET /ws HTTP/1.0", [b"Connection: Upgrade", b"Upgrade: websocket"]),
        (b"POST /ws HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 0"]),
    ],
)
def test_any_other_upgrade_is_not_taken_up_and_the_request_goes_on(start: bytes, fields: list[bytes]) -> None:
    head = read(request(*fields, start=start))
    assert not head.upgrades
    assert b"Upgrade" in head.hop_names


def test_credentials_and_trace_fields_are_listed() -> None:
    head = read(request(b"AUTHORIZATION: Bearer x", b"TraceParent: t", b"baggage: b", b"x-api-key: k", b"X: y"))
    assert head.secret_names == [b"AUTHORIZATION", b"x-api-key"]
    assert head.trace_fields == [(b"TraceParent", b"t"), (b"baggage", b"b")]


# -- requests that are refused ----------------------------------------------------------------------------------------

REFUSED_LINES = {
    "two lengths": [b"Content-Length: 5", b"content-length: 5"],
    "list of lengths": [b"Content-Length: 5, 5"],
    "signed length": [b"Content-Length: +5"],
    "negative length": [b"Content-Length: -5"],
    "hex length": [b"Content-Length: 0x5"],
    "empty length": [b"Content-Length:"],
    "length with a word": [b"Content-Length: 5 x"],
    "length beyond integers": [b"Content-Length: 9999999999999999999"],
    "length and chunks": [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    "chunks and length": [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    "chunks twice": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    "chunks in a list": [b"Transfer-Encoding: chunked, chunked"],
    "another coding": [b"Transfer-Encoding: gzip"],
    "chunks after another coding": [b"Transfer-Encoding: gzip, chunked"],
    "chunks before another coding": [b"Transfer-Encoding: chunked, gzip"],
    "identity": [b"Transfer-Encoding: identity"],
    "empty coding": [b"Transfer-Encoding:"],
    "almost chunked": [b"Transfer-Encoding: xchunked"],
    "chunked in quotes": [b'Transfer-Encoding: "chunked"'],
    "chunked with a control": [b"Transfer-Encoding: \x0bchunked"],
    "two hosts": [b"host: a.test"],
    "space before the colon": [b"Content-Length : 5"],
    "folded line": [b"X: a", b" b"],
    "folded coding": [b"Transfer-Encoding:", b" chunked"],
    "no name": [b": x"],
    "no colon": [b"X"],
    "bare LF": [b"X: a\nY: b"],
    "bare CR": [b"X: a\rY: b"],
    "bare LF before the end": [b"X: a\n"],
    "NUL in a value": [b"X: a\0b"],
    "NUL in a name": [b"X\0: a"],
    "name beyond ASCII": [b"X\xff: a"],
    "Connection names Host": [b"Connection: host"],
    "Connection names the length": [b"Connection: Content-Length", b"Content-Length: 5"],
    "Connection names the coding": [b"Connection: transfer-encoding", b"Transfer-Encoding: chunked"],
    "Connection names what the WebSocket is agreed with": [b"Connection: upgrade, sec-websocket-key"],
    "Connection names the credential": [b"Connection: close, Authorization"],
}


@pytest.mark.parametrize("lines", REFUSED_LINES.values(), ids=REFUSED_LINES)
def test_ambiguous_fields_are_refused(lines: list[bytes]) -> None:
    with pytest.raises(BadHead) as refused:
        read(request(*lines))
    assert refused.value.status == 400


REFUSED_HOSTS = [b"", b"a b", b"a,b", b"a/b", b"a@b", b"a:b", b"a:123456", b"[::1", b"a#b", b"a?b", b"a\\b", b"\xff"]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_what_is_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(BadHead):
        read(request(host=b"Host: " + host))


REFUSED_STARTS = {
    "no version": b"GET /",
    "two spaces before the target": b"GET  / HTTP/1.1",
    "two spaces behind it": b"GET /  HTTP/1.1",
    "tab": b"GET\t/ HTTP/1.1",
    "space behind the version": b"GET / HTTP/1.1 ",
    "space before the method": b" GET / HTTP/1.1",
    "lower-case method": b"get / HTTP/1.1",
    "lower-case version": b"GET / http/1.1",
    "unknown method": b"GETT / HTTP/1.1",
    "control in the target": b"GET /\x01 HTTP/1.1",
    "byte beyond ASCII in the target": b"GET /\xc3\xa9 HTTP/1.1",
    "fragment": b"GET /#x HTTP/1.1",
    "asterisk": b"OPTIONS * HTTP/1.1",
    "no slash": b"GET x HTTP/1.1",
    "another host": b"GET http://b.test/ HTTP/1.1",
    "a longer host": b"GET http://a.test.evil/ HTTP/1.1",
    "a user": b"GET http://a.test@evil/ HTTP/1.1",
    "another scheme": b"GET ftp://a.test/ HTTP/1.1",
    "HTTP/1.2": b"GET / HTTP/1.2",
    "RTSP": b"GET / RTSP/1.0",
    "RTSP as its own method": b"DESCRIBE / RTSP/1.0",
    "RTSP/1.1": b"OPTIONS / RTSP/1.1",
    "ICE": b"SOURCE /  ICE/1.0",
}


@pytest.mark.parametrize("start", REFUSED_STARTS.values(), ids=REFUSED_STARTS)
def test_what_is_no_plain_request_line_is_refused(start: bytes) -> None:
    with pytest.raises(BadHead):
        read(request(start=start))


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"CONNECT a.test:443 HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
    ],
)
def test_a_method_or_version_that_is_not_served_has_its_own_status(start: bytes, status: int) -> None:
    with pytest.raises(BadHead) as refused:
        read(request(start=start))
    assert refused.value.status == status


@pytest.mark.parametrize("before", [b"\r\n", b"\n", b"\0", b"\xef\xbb\xbf", b" "])
def test_what_does_not_begin_with_a_request_line_is_refused(before: bytes) -> None:
    with pytest.raises(BadHead):
        read(before + request())
    with pytest.raises(BadHead):
        read(before + b"\r\n\r\n")


def test_more_fields_than_allowed_are_refused_with_their_own_status() -> None:
    lines = [b"X-%d: 1" % number for number in range(9)]
    assert len(read_request_head(request(*lines), 10).fields) == 10
    with pytest.raises(BadHead) as refused:
        read_request_head(request(*lines), 9)
    assert refused.value.status == 431


@pytest.mark.parametrize("status", [400, 405, 431, 505])
def test_every_status_of_a_refused_head_can_be_answered(status: int) -> None:
    assert refusal(status, b"x", b"y", retry=False, close=True).startswith(b"HTTP/1.1 %d " % status)


# -- responses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "start", "lines", "expected"),
    [
        (b"GET", b"HTTP/1.1 200 OK", [], "UntilClose"),
        (b"GET", b"HTTP/1.1 200 OK", [b"Content-Length: 0"], 0),
        (b"GET", b"HTTP/1.1 200 OK", [b"content-LENGTH: 12"], 12),
        (b"GET", b"HTTP/1.1 200 ", [b"Transfer-Encoding: chunked"], "Chunked"),
        (b"HEAD", b"HTTP/1.1 200 OK", [b"Content-Length: 12"], 0),
        (b"HEAD", b"HTTP/1.1 200 OK", [b"Transfer-Encoding: chunked"], 0),
        (b"HEAD", b"HTTP/1.1 404 Not Found", [], 0),
        (b"GET", b"HTTP/1.1 204 No Content", [], 0),
        (b"GET", b"HTTP/1.1 304 Not Modified", [b"Content-Length: 12"], 0),
        (b"GET", b"HTTP/1.1 100 Continue", [], None),
        (b"GET", b"HTTP/1.1 103 Early Hints", [b"Link: </x>"], None),
        (b"GET", b"HTTP/1.0 200 OK", [], "UntilClose"),
        (b"POST", b"HTTP/1.1 599 \xff", [b"Content-Length: 1"], 1),
    ],
)
def test_the_answer_ends_where_its_head_and_the_method_say(
    method: bytes, start: bytes, lines: list[bytes], expected: object
) -> None:
    head = read_response_head(response(*lines, start=start), method)
    assert (meaning(head.framing), head.raw) == (expected, response(*lines, start=start))


@pytest.mark.parametrize(
    ("start", "lines", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK", [b"Content-Length: 2"], True),
        (b"HTTP/1.1 200 OK", [], False),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 2", b"Connection: CLOSE"], False),
        (b"HTTP/1.0 200 OK", [b"Content-Length: 2"], False),
        (b"HTTP/1.0 200 OK", [b"Content-Length: 2", b"Connection: Keep-Alive"], True),
        (b"HTTP/1.0 200 OK", [b"Connection: Keep-Alive"], False),
        (b"HTTP/1.1 204 No Content", [], True),
    ],
)
def test_an_upstream_connection_is_kept_only_after_an_answer_with_an_end(
    start: bytes, lines: list[bytes], keep_alive: bool
) -> None:
    assert read_response_head(response(*lines, start=start), b"GET").keep_alive is keep_alive


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ([], None),
        ([b"Keep-Alive: timeout=5, max=100"], 5.0),
        ([b"keep-alive: max=100,timeout=72"], 72.0),
        ([b"Keep-Alive: max=100"], None),
        ([b"Keep-Alive: timeout=x"], None),
        ([b"Keep-Alive: "], None),
    ],
)
def test_the_keep_alive_hint_is_read(lines: list[bytes], hint: float | None) -> None:
    assert read_response_head(response(*lines), b"GET").keep_alive_timeout == hint


def test_the_hop_and_secret_fields_of_an_answer_are_listed() -> None:
    head = read_response_head(response(b"Connection: x-hop", b"X-Hop: 1", b"Set-Cookie: s", b"Keep-Alive: x"), b"GET")
    assert sorted(head.hop_names) == [b"Connection", b"Keep-Alive", b"X-Hop"]
    assert head.secret_names == [b"Set-Cookie"]


@pytest.mark.parametrize(
    "lines",
    [lines for name, lines in REFUSED_LINES.items() if name != "two hosts"],
    ids=[name for name in REFUSED_LINES if name != "two hosts"],
)
def test_an_ambiguous_answer_is_a_bad_gateway(lines: list[bytes]) -> None:
    with pytest.raises(BadHead) as refused:
        read_response_head(response(*lines), b"GET")
    assert refused.value.status == 502


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1  200 OK",
        b"HTTP/1.1 2x0", b"HTTP/1.1 099 X", b"HTTP/1.1 000 X", b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK", b"RTSP/1.0 200 OK", b"ICY 200 OK", b"200 OK", b"HTTP/1.1200 OK", b"HTTP/1.1\t200 OK",
        b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 OK\nX: y",
    ],
)  # fmt: skip
def test_what_is_no_plain_status_line_is_a_bad_gateway(start: bytes) -> None:
    with pytest.raises(BadHead) as refused:
        read_response_head(response(start=start), b"GET")
    assert refused.value.status == 502


def test_chunks_in_an_http_1_0_answer_are_a_bad_gateway() -> None:
    with pytest.raises(BadHead):
        read_response_head(response(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK"), b"GET")


# -- second opinion: h11 ----------------------------------------------------------------------------------------------

SPICE = [
    b" ", b"\t", b"\r", b"\n", b"\r\n", b"\0", b":", b",", b";", b"#", b"\x0b", b"\x7f", b"\x80", b"0", b"+",
    b"HTTP/1.0", b"RTSP/1.0", b"CONNECT", b"http://a.test", b"chunked", b"close", b"\r\nContent-Length: 3",
    b"\r\n folded", b"\r\nTransfer-Encoding: chunked", b"\r\nHost: b", b"\r\nConnection: close",
    b"\r\nContent-Length : 3",
]  # fmt: skip
REQUESTS = [
    request(),
    request(b"Content-Length: 12", b"X-A: b c"),
    request(b"Transfer-Encoding: chunked", b"Authorization: Bearer x"),
    request(b"Connection: keep-alive, x-hop", b"X-Hop: 1", start=b"GET / HTTP/1.1"),
    request(b"Content-Length: 5", start=b"PUT /a HTTP/1.0", host=b""),
    request(start=b"GET http://a.test/x HTTP/1.1"),
    request(b"Upgrade: websocket", b"Connection: upgrade", start=b"GET /ws HTTP/1.1"),
]
RESPONSES = [
    response(b"Content-Length: 12", b"Content-Type: text/plain"),
    response(b"Transfer-Encoding: chunked", b"Connection: keep-alive"),
    response(),
    response(start=b"HTTP/1.1 204 No Content"),
    response(b"Link: </x>", start=b"HTTP/1.1 103 Early Hints"),
    response(b"Content-Length: 5", b"Connection: keep-alive", start=b"HTTP/1.0 404 Not Found"),
]


@st.composite
def mutated(draw: st.DrawFn, heads: list[bytes]) -> bytes:
    """A valid head with one to three places overwritten, cut or spiced; through its first empty line, as it is cut."""
    data = draw(st.sampled_from(heads))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        removed = draw(st.sampled_from([0, 1, 1, 2, 8]))
        inserted = draw(st.sampled_from(SPICE) | st.binary(max_size=2))
        data = data[:start] + inserted + data[start + removed :]
    end = data.find(b"\r\n\r\n")
    return data[: end + 4] if end >= 0 else data + b"\r\n\r\n"


def accepted(reader: Callable[[bytes], RequestHead | ResponseHead], raw: bytes) -> RequestHead | ResponseHead | None:
    try:
        return reader(raw)
    except BadHead:
        return None


def path_of(target: bytes) -> bytes:
    """What an absolute target asks of its own host."""
    return target if target.startswith(b"/") else re.sub(rb"^https?://[^/]*", b"", target, flags=re.IGNORECASE) or b"/"


def body_in(fields: h11.Headers) -> str | int:
    """A request body by h11's fields, which it has made unambiguous."""
    values = dict(fields)
    return "Chunked" if b"transfer-encoding" in values else int(values.get(b"content-length", b"0"))


@settings(max_examples=400)
@given(mutated(REQUESTS))
@example(request(start=b"GET / RTSP/1.1"))
@example(request(start=b"SOURCE /  ICE/1.0", host=b""))
def test_a_request_that_is_served_is_the_same_to_h11(raw: bytes) -> None:
    head = accepted(read, raw)
    if head is None:
        return
    assert isinstance(head, RequestHead)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, path_of(event.target), event.http_version) == (head.method, head.target, head.version)
    assert list(event.headers) == [(name.lower(), value.rstrip(b" \t")) for name, value in head.fields]
    assert body_in(event.headers) == meaning(head.framing)
    if not connection.trailing_data[0] and meaning(head.framing) == 0:
        assert isinstance(connection.next_event(), h11.EndOfMessage)
        if connection.their_state is not h11.MIGHT_SWITCH_PROTOCOL:  # which hides whether it would close
            assert head.keep_alive is (connection.their_state is h11.DONE)


def to_h11(raw: bytes, method: bytes) -> tuple[h11.Connection, h11.Event | type]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    return connection, connection.next_event()


@settings(max_examples=400)
@given(mutated(RESPONSES), st.sampled_from([b"GET", b"POST", b"HEAD"]))
@example(response(start=b"HTTP/1.1 099 X"), b"GET")
def test_an_answer_that_is_passed_on_is_the_same_to_h11(raw: bytes, method: bytes) -> None:
    head = accepted(lambda raw: read_response_head(raw, method), raw)
    if head is None:
        return
    assert isinstance(head, ResponseHead)
    connection, event = to_h11(raw, method)
    if head.framing is None:
        assert isinstance(event, h11.InformationalResponse)
    else:
        assert isinstance(event, h11.Response)
    assert (event.status_code, event.http_version) == (head.status, head.version)
    assert list(event.headers) == [(name.lower(), value.rstrip(b" \t")) for name, value in head.fields]
    if head.framing is None:
        return
    assert isinstance(connection.next_event(), h11.EndOfMessage) is (meaning(head.framing) == 0)
    if isinstance(head.framing, Counted | Chunked):
        assert body_in(event.headers) == meaning(Chunked() if isinstance(head.framing, Chunked) else head.framing)
    elif head.framing is UNTIL_CLOSE:
        assert body_in(event.headers) == 0

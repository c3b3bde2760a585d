"""Heads on their way: the documented lines change, every other one is the same bytes in the same order."""

from __future__ import annotations

from typing import Any, Literal

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Upstream
from proxy.heads import BadHead, RequestHead, read_request_head, read_response_head
from proxy.rewrite import client_head, trace_of, upstream_head
from proxy.routing import Match, Origin
from proxy.trace_context import Trace

Mode = Literal["participate", "passthrough", "none"]
MODES: tuple[Mode, ...] = ("participate", "passthrough", "none")
HOPS = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings", b"proxy-authorization"}
TRACE = {b"traceparent", b"tracestate", b"baggage"}
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = b"00-11111111111111111111111111111111-2222222222222222-01"


def head_of(*lines: bytes, start: bytes = b"GET /v1/x HTTP/1.1", host: bytes = b"Host: a.test") -> RequestHead:
    return read_request_head(b"\r\n".join([start, *([host] if host else []), *lines, b"", b""]), 1000)


def match(mode: Mode = "participate", prefix: str = "/", strip: bool = False, **changes: Any) -> Match:
    settings = Upstream.model_validate({"url": "http://up.test:8080", "trace_context": mode} | changes)
    return Match(prefix, strip, Origin("up", settings))


def sent(head: RequestHead, route: Match | None = None) -> tuple[bytes, Trace]:
    trace = trace_of(head.trace_fields)
    return upstream_head(head, route or match("passthrough"), trace), trace


def lines_of(raw: bytes) -> list[bytes]:
    """The start line and the field lines."""
    assert raw.endswith(b"\r\n\r\n")
    assert raw.count(b"\r\n\r\n") == 1
    return raw[:-4].split(b"\r\n")


def name_of(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def others(raw: bytes, changed: set[bytes]) -> list[bytes]:
    """The field lines whose names are not among the changed."""
    return [line for line in lines_of(raw)[1:] if name_of(line) not in changed]


def values(raw: bytes, name: bytes) -> list[bytes]:
    return [line.partition(b":")[2].strip(b" \t") for line in lines_of(raw)[1:] if name_of(line) == name]


# -- requests, one change at a time -----------------------------------------------------------------------------------


def test_only_the_host_changes_in_a_plain_request() -> None:
    head = head_of(b"x-a:1", b"X-A:  2 \t", b"Y:", host=b"hOsT:a.test", start=b"POST /v1/x?a=%20b HTTP/1.1")
    assert sent(head)[0] == head.raw.replace(b"hOsT:a.test", b"hOsT: up.test:8080")


def test_an_old_request_becomes_http_1_1_with_a_host() -> None:
    head = head_of(b"X: HTTP/1.0", start=b"GET /HTTP/1.0 HTTP/1.0", host=b"")
    assert sent(head)[0] == b"GET /HTTP/1.0 HTTP/1.1\r\nX: HTTP/1.0\r\nHost: up.test:8080\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"GET /ollama/x?y=/ollama HTTP/1.1", b"GET /base/x?y=/ollama HTTP/1.1"),
        (b"GET /ollama HTTP/1.0", b"GET /base/ HTTP/1.1"),
        (b"OPTIONS http://a.test/ollama/x HTTP/1.1", b"OPTIONS /base/x HTTP/1.1"),
    ],
)
def test_the_route_changes_the_path_alone(start: bytes, expected: bytes) -> None:
    route = match("passthrough", "/ollama", True, url="http://up.test/base")
    raw, _ = sent(head_of(start=start), route)
    assert lines_of(raw) == [expected, b"Host: up.test"]


@pytest.mark.parametrize("target", [b"http://a.test/x?y", b"HTTP://A.test/x?y"])
def test_an_absolute_target_goes_on_in_origin_form(target: bytes) -> None:
    raw, _ = sent(head_of(start=b"GET " + target + b" HTTP/1.1"))
    assert lines_of(raw)[0] == b"GET /x?y HTTP/1.1"


def test_every_spelling_and_repetition_of_a_hop_field_stays_here() -> None:
    head = head_of(b"TE: a", b"te: b", b"Te: c", b"te: d", b"Connection: x-hop", b"X-Hop: 1", b"x-hop: 2", b"X-Hop: 3")
    assert lines_of(sent(head)[0]) == [b"GET /v1/x HTTP/1.1", b"Host: up.test:8080"]


def test_a_name_in_connection_that_no_field_has_changes_nothing() -> None:
    assert lines_of(sent(head_of(b"Connection: x-hop", b"X-Hope: 1"))[0])[1:] == [b"Host: up.test:8080", b"X-Hope: 1"]


def test_what_the_upstream_sets_replaces_and_what_it_removes_goes() -> None:
    route = match("passthrough", headers={"set": {"Authorization": "Bearer ours"}, "remove": ["X-Gone"]})
    head = head_of(b"AUTHORIZATION: theirs", b"x-gone: 1", b"X-GONE: 2", b"x-kept: 3", b"authorization: more")
    raw, _ = sent(head, route)
    assert lines_of(raw)[1:] == [b"Host: up.test:8080", b"x-kept: 3", b"Authorization: Bearer ours"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["tracestate", "baggage"])
def test_a_trace_field_that_the_upstream_removes_is_gone(mode: Mode, name: str) -> None:
    lines = (b"traceparent: " + OTHER, b"traceparent: junk", b"tracestate: a=1", b"baggage: b=2")
    for head in (head_of(*lines), head_of(*lines[2:]), head_of(*lines[:1])):
        raw, _ = sent(head, match(mode, headers={"remove": [name]}))
        assert values(raw, name.encode()) == []


@pytest.mark.parametrize("mode", MODES)
def test_baggage_may_be_named_by_connection(mode: Mode) -> None:
    raw, _ = sent(head_of(b"Connection: baggage", b"baggage: b=2", b"Baggage: c=3"), match(mode))
    assert values(raw, b"baggage") == []


# -- trace context ----------------------------------------------------------------------------------------------------


def test_participating_makes_our_span_the_parent_in_the_callers_own_line() -> None:
    head = head_of(b"TraceParent: " + PARENT, b"x-a: 1", b"tracestate: a=1", b"Tracestate: b=2", b"baggage: c=3")
    raw, trace = sent(head, match())
    assert trace.tracestate == b"a=1,b=2"
    assert raw == head.raw.replace(PARENT, trace.traceparent()).replace(b"a.test", b"up.test:8080")


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [b"traceparent: junk"],
        [b"traceparent: " + PARENT, b"Traceparent: " + OTHER],
        [b"traceparent: " + PARENT, b"traceparent: " + OTHER],
        [b"traceparent: junk", b"traceparent: junk", b"traceparent: " + OTHER],
    ],
)
def test_without_one_valid_parent_the_upstream_is_told_of_a_new_trace_alone(parents: list[bytes]) -> None:
    raw, trace = sent(head_of(*parents, b"tracestate: a=1", b"tracestate: b=2", b"baggage: c=3"), match())
    assert (trace.parent_span_id, trace.tracestate) == (b"", b"")
    assert (values(raw, b"traceparent"), values(raw, b"tracestate")) == ([trace.traceparent()], [])
    assert values(raw, b"baggage") == [b"c=3"]


@pytest.mark.parametrize("line", [b"traceparent:%s", b"traceparent: %s ", b"traceparent:\t%s\t"])
def test_the_space_around_a_parent_is_no_part_of_it(line: bytes) -> None:
    assert trace_of(head_of(line % PARENT).trace_fields).parent_span_id == b"00f067aa0ba902b7"


def test_passthrough_changes_no_trace_field() -> None:
    head = head_of(b"traceparent: " + PARENT, b"traceparent: x", b"tracestate: a=1", b"baggage: c=3")
    assert sent(head)[0] == head.raw.replace(b"a.test", b"up.test:8080")


def test_none_tells_a_stranger_nothing() -> None:
    head = head_of(b"traceparent: " + PARENT, b"traceparent: x", b"tracestate: a=1", b"Baggage: c=3", b"x: y")
    assert lines_of(sent(head, match("none"))[0])[1:] == [b"Host: up.test:8080", b"x: y"]


# -- requests, everything at once -------------------------------------------------------------------------------------

NAMES = [
    b"x-a", b"x-b", b"x-hop", b"x-set", b"x-gone", b"accept", b"authorization", b"connection", b"te", b"upgrade",
    b"keep-alive", b"proxy-authorization", b"traceparent", b"tracestate", b"baggage", b"x-te", b"te-x", b"xhost",
]  # fmt: skip
VALUES = st.sampled_from([b"", b"1", b" a b ", b"Host: x", b"te: y", b"\xff", b"a:b", PARENT, OTHER])
OPTIONS = st.lists(st.sampled_from([b"close", b"x-hop", b"X-B", b"te", b"baggage", b"upgrade", b"none"]), max_size=3)


@st.composite
def a_line(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(NAMES))
    value = b", ".join(draw(OPTIONS)) if name == b"connection" else draw(VALUES)
    spelled = draw(st.sampled_from([name, name.title(), name.upper()]))
    return spelled + draw(st.sampled_from([b":", b": ", b":\t "])) + value


@st.composite
def requests(draw: st.DrawFn) -> RequestHead:
    start = draw(st.sampled_from([b"GET / HTTP/1.1", b"POST /v1/x?y=%2f HTTP/1.1", b"PUT /v1 HTTP/1.0"]))
    lines = draw(st.lists(a_line(), max_size=8)) + draw(st.sampled_from([[], [b"Content-Length: 5"]]))
    lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from([b"Host: a.test", b"HOST:a.test:80"])))
    return head_of(*lines, start=start, host=b"")


def routes() -> st.SearchStrategy[Match]:
    """Every mode, with and without the route's and the upstream's own changes."""
    changes = st.sampled_from([{}, {"set": {"X-Set": "ours"}}, {"remove": ["x-gone"], "set": {"X-Set": "ours"}}])
    return st.builds(
        lambda mode, strip, headers: match(mode, "/v1" if strip else "/", strip, headers=headers),
        st.sampled_from(MODES),
        st.booleans(),
        changes,
    )


def changed_names(head: RequestHead, route: Match) -> set[bytes]:
    """The names that the documented list lets change."""
    named = {option.strip().lower() for value in values(head.raw, b"connection") for option in value.split(b",")}
    mode = route.origin.settings.trace_context
    trace = {"participate": {b"traceparent", b"tracestate"}, "none": TRACE, "passthrough": set()}[mode]
    return {b"host"} | HOPS | named | trace | set(route.origin.removed)


@settings(max_examples=300)
@given(requests(), routes())
def test_every_line_that_is_not_on_the_list_goes_on_byte_for_byte(head: RequestHead, route: Match) -> None:
    raw, _ = sent(head, route)
    changed = changed_names(head, route)
    assert others(raw, changed) == others(head.raw, changed)
    expected = head.method + b" " + route.upstream_target(head.target) + b" HTTP/1.1"
    assert lines_of(raw)[0] == expected


@settings(max_examples=300)
@given(requests(), routes())
def test_what_is_on_the_list_is_as_documented(head: RequestHead, route: Match) -> None:
    raw, trace = sent(head, route)
    names = [name_of(line) for line in lines_of(raw)[1:]]
    assert values(raw, b"host") == [b"up.test:8080"]
    assert not HOPS & set(names)
    assert values(raw, b"x-gone") == [] or b"x-gone" not in route.origin.removed
    assert values(raw, b"x-set") == [b"ours"] or b"x-set" not in route.origin.removed
    match route.origin.settings.trace_context:
        case "participate":
            assert values(raw, b"traceparent") == [trace.traceparent()]
            assert values(raw, b"tracestate") == [] or trace.parent_span_id
        case "none":
            assert not TRACE & set(names)


@settings(max_examples=300)
@given(requests(), routes())
def test_the_head_that_goes_on_is_one_request_of_the_same_length_to_h11(head: RequestHead, route: Match) -> None:
    raw, _ = sent(head, route)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (head.method, route.upstream_target(head.target))
    assert [value for name, value in event.headers if name == b"content-length"] == values(head.raw, b"content-length")
    assert connection.trailing_data == (b"", False)


# -- responses --------------------------------------------------------------------------------------------------------

RESPONSE_NAMES = [b"x-a", b"x-b", b"x-hop", b"set-cookie", b"connection", b"keep-alive", b"upgrade", b"te", b"date"]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        name = draw(st.sampled_from(RESPONSE_NAMES))
        value = b", ".join(draw(OPTIONS)) if name == b"connection" else draw(VALUES)
        lines.append(draw(st.sampled_from([name, name.title(), name.upper()])) + b":" + value)
    lines += draw(st.sampled_from([[], [b"Content-Length: 5"], [b"TRANSFER-encoding: chunked"]]))
    start = draw(st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 404 ", b"HTTP/1.1 503 O: K"]))
    return b"\r\n".join([start, *lines, b"", b""])


@given(responses(), st.booleans(), st.booleans())
def test_an_answers_other_lines_go_on_byte_for_byte(raw: bytes, close: bool, chunked: bool) -> None:
    try:
        head = read_response_head(raw, b"GET")
    except BadHead:
        return
    chunked = chunked or not values(raw, b"transfer-encoding")
    named = {option.strip().lower() for value in values(raw, b"connection") for option in value.split(b",")}
    changed = HOPS | named | (set() if chunked else {b"transfer-encoding"})
    passed = client_head(raw, head, close=close, chunked=chunked)
    assert lines_of(passed)[0] == lines_of(raw)[0]
    assert others(passed, changed) == others(raw, changed)
    expected = [b"connection: close"] if close else []
    assert [line for line in lines_of(passed)[1:] if name_of(line) in changed] == expected


def test_an_answer_without_hop_fields_is_the_same_bytes() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length:5\r\nset-cookie: a\r\nSet-Cookie: b\r\n\r\n"
    assert client_head(raw, read_response_head(raw, b"GET"), close=False) == raw


def test_the_chunk_framing_is_taken_off_for_who_cannot_read_it() -> None:
    raw = b"HTTP/1.1 200 OK\r\nX: 1\r\ntransfer-Encoding: chunked\r\nY: 2\r\n\r\n"
    passed = client_head(raw, read_response_head(raw, b"GET"), close=True, chunked=False)
    assert passed == b"HTTP/1.1 200 OK\r\nX: 1\r\nY: 2\r\nconnection: close\r\n\r\n"

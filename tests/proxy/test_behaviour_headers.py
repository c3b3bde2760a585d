"""What happens to heads: nothing, but for the documented list."""

from __future__ import annotations

import json
import re

import pytest

from pipeline.records import Capture
from tests.support.raw_http import Request, request_bytes, response_bytes
from tests.support.sidecar import sidecar, sidecar_before
from tests.support.upstream import ScriptedUpstream, UpstreamConnection, answering

OK = response_bytes(body=b"ok")
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
ODD_HEADERS = [
    ("X-Zulu", "1"),
    ("accept", "*/*"),
    ("X-ALPHA", "a"),
    ("x-alpha", "b, c"),
    ("X-Alpha", ""),
    ("x-stainless-arch", "x64"),
    ("X-Weird!#$%&'*+-.^_`|~09", "token characters"),
    ("X-Latin", "caf\xe9 \xff"),
    ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
]


async def test_request_headers_keep_order_case_and_duplicates() -> None:
    async with sidecar_before(answering(OK)) as side:
        await (await side.client()).exchange("POST", headers=ODD_HEADERS, body=b"x")
        [request] = side.upstream.requests
        assert request.headers_without("host", "traceparent", "connection") == [*ODD_HEADERS, ("Content-Length", "1")]


async def test_response_headers_keep_order_case_and_duplicates_and_nothing_is_added() -> None:
    fields = [*ODD_HEADERS, ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Set-Cookie", "a=1")]
    async with sidecar_before(answering(response_bytes(200, fields, b"x"))) as side:
        response = await (await side.client()).exchange()
        assert response.headers == [*fields, ("Content-Length", "1")]


async def test_only_the_named_headers_are_added_to_a_request() -> None:
    async with sidecar_before(answering(OK)) as side:
        await (await side.client()).exchange()
        [request] = side.upstream.requests
        assert [name.lower() for name, _ in request.headers_without("connection")] == ["host", "traceparent"]


async def test_spacing_around_values_does_not_change_them() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(b"GET / HTTP/1.1\r\nHost:a.test\r\nX-A:1\r\nX-B: \t 2 \t\r\nX-C:\r\n\r\n")
        assert (await client.response()).status == 200
        [request] = side.upstream.requests
        assert [request.value(name) for name in ("x-a", "x-b", "x-c")] == ["1", "2", ""]


async def test_host_becomes_the_upstreams() -> None:
    async with sidecar_before(answering(OK)) as side:
        await (await side.client()).exchange()
        assert side.upstream.requests[0].values("host") == [side.upstream.authority]


async def test_host_is_given_to_the_upstream_when_an_old_client_sent_none() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        await client.send(request_bytes(host=None, version="HTTP/1.0"))
        await client.response()
        assert side.upstream.requests[0].values("host") == [side.upstream.authority]


# -- hop-by-hop -----------------------------------------------------------------------------------------------------

HOP_BY_HOP = [
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Upgrade", "foo/2"),
    ("X-Private", "1"),
    ("x-private", "2"),
    ("X-Private", "3"),
]
CONNECTION = ("Connection", "keep-alive, X-Private,TE , upgrade")


async def test_hop_by_hop_request_headers_stay_on_the_hop_with_all_those_connection_names() -> None:
    async with sidecar_before(answering(OK)) as side:
        await (await side.client()).exchange(headers=[CONNECTION, *HOP_BY_HOP, ("X-Public", "yes")])
        [request] = side.upstream.requests
        assert request.headers_without("host", "traceparent", "connection") == [("X-Public", "yes")]
        assert "x-private" not in "".join(request.values("connection")).lower()


async def test_hop_by_hop_response_headers_stay_on_the_hop_with_all_those_connection_names() -> None:
    fields = [CONNECTION, *HOP_BY_HOP[:2], *HOP_BY_HOP[4:], ("X-Public", "yes")]
    async with sidecar_before(answering(response_bytes(200, fields, b"ok"))) as side:
        response = await (await side.client()).exchange()
        assert response.headers_without("connection") == [("X-Public", "yes"), ("Content-Length", "2")]
        assert "x-private" not in "".join(response.values("connection")).lower()


@pytest.mark.parametrize("name", ["authorization", "Content-Length", "HOST", "x-api-key", "transfer-encoding"])
async def test_a_connection_header_cannot_take_away_what_the_message_means(name: str) -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        fields = [("Authorization", "Bearer x"), ("X-Api-Key", "y"), ("Connection", f"keep-alive, {name}")]
        assert (await client.exchange("POST", headers=fields, body=b"abc")).status == 400
        assert await client.until_ended() == b""
        assert side.upstream.requests == []


# -- per-upstream changes -------------------------------------------------------------------------------------------


async def test_an_upstreams_headers_replace_the_clients_own() -> None:
    changes = {"set": {"Authorization": "Bearer ours", "X-New": "1"}, "remove": ["X-Client", "cookie"]}
    fields = [("authorization", "Bearer theirs"), ("AUTHORIZATION", "Bearer again"), ("x-client", "1"),
              ("X-Client", "2"), ("Cookie", "a"), ("X-Keep", "k")]  # fmt: skip
    async with sidecar_before(answering(OK), upstream={"headers": changes}) as side:
        await (await side.client()).exchange(headers=fields)
        [request] = side.upstream.requests
        assert request.values("authorization") == ["Bearer ours"]
        assert (request.value("x-new"), request.value("x-keep")) == ("1", "k")
        assert request.values("x-client") == request.values("cookie") == []


async def test_an_upstreams_headers_are_not_in_the_capture() -> None:
    async with sidecar_before(answering(OK), upstream={"headers": {"set": {"X-Plain": "from-config"}}}) as side:
        await (await side.client()).exchange()
        await side.capture()
        assert b"from-config" not in side.frames[0]


# -- routes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "upstream", "seen"),
    [
        ("/v1/chat/completions?a=1&b=%20", "openai", "/v1/chat/completions?a=1&b=%20"),
        ("/ollama/api/chat?x=1", "ollama", "/api/chat?x=1"),
        ("/ollama", "ollama", "/"),
        ("/ollama?x=1", "ollama", "/?x=1"),
        ("/ollama/", "ollama", "/"),
        ("/ollama/v1/models", "special", "/ollama/v1/models"),
        ("/ollamas/api", "openai", "/ollamas/api"),
        ("//ollama/x", "openai", "//ollama/x"),
        ("/a/../b/%2e%2e/c", "openai", "/a/../b/%2e%2e/c"),
    ],
)
async def test_the_longest_matching_prefix_decides_and_may_be_stripped(target: str, upstream: str, seen: str) -> None:
    routes = [
        {"prefix": "/", "upstream": "openai"},
        {"prefix": "/ollama", "upstream": "ollama", "strip_prefix": True},
        {"prefix": "/ollama/v1", "upstream": "special"},
    ]
    names = ("openai", "ollama", "special")
    async with (
        ScriptedUpstream(answering(OK)) as one,
        ScriptedUpstream(answering(OK)) as two,
        ScriptedUpstream(answering(OK)) as three,
    ):
        scripted = dict(zip(names, (one, two, three), strict=True))
        urls = {name: {"url": server.url} for name, server in scripted.items()}
        async with sidecar(urls, routes=routes) as side:
            assert (await (await side.client()).exchange(target=target)).status == 200
            assert {name: [request.target for request in server.requests] for name, server in scripted.items()} == {
                name: [seen] if name == upstream else [] for name in names
            }
            capture = await side.capture()
            assert (capture.upstream, capture.target) == (upstream, target)


@pytest.mark.parametrize("base", ["/base", "/base/"])
async def test_the_upstreams_base_path_comes_before_the_clients(base: str) -> None:
    async with sidecar_before(answering(OK), path=base) as side:
        await (await side.client()).exchange(target="/v1/models?q=/x")
        assert side.upstream.requests[0].target == "/base/v1/models?q=/x"


async def test_a_stripped_prefix_and_a_base_path_go_together() -> None:
    routes = [{"prefix": "/ollama", "upstream": "llm", "strip_prefix": True}]
    async with sidecar_before(answering(OK), path="/base", routes=routes) as side:
        await (await side.client()).exchange(target="/ollama/api/chat")
        assert side.upstream.requests[0].target == "/base/api/chat"


@pytest.mark.parametrize("body", [None, b"some body"])
async def test_no_route_is_404_in_json_and_no_exchange(body: bytes | None) -> None:
    async with sidecar_before(answering(OK), routes=[{"prefix": "/v1", "upstream": "llm"}]) as side:
        response = await (await side.client()).exchange("POST" if body else "GET", "/elsewhere", body=body)
        assert (response.status, response.value("content-type")) == (404, "application/json")
        assert response.value("x-should-retry") == "false"
        assert json.loads(response.content)["error"]["message"]
        assert (await (await side.client()).exchange(target="/v1/x")).content == b"ok"
        assert [capture.target for capture in await side.captured(1)] == ["/v1/x"]


async def test_an_absolute_target_with_the_same_host_is_served_in_origin_form() -> None:
    async with sidecar_before(answering(OK)) as side:
        response = await (await side.client()).exchange(target="http://sidecar.test/v1/x?y=1")
        assert response.status == 200
        assert side.upstream.requests[0].target == "/v1/x?y=1"


# -- trace context --------------------------------------------------------------------------------------------------


async def traced(mode: str, fields: list[tuple[str, str]]) -> tuple[Request, Capture]:
    """One exchange with these headers; what the upstream saw, and the capture."""
    async with sidecar_before(answering(OK), upstream={"trace_context": mode}) as side:
        await (await side.client()).exchange(headers=fields)
        return side.upstream.requests[0], await side.capture()


def fresh(request: Request, capture: Capture) -> bool:
    """Was the upstream told of a new, sampled trace, the captured one? (03: sampled, and the id is random.)"""
    trace = capture.trace
    told = re.fullmatch("00-(.*)-(.*)-0[13]", request.value("traceparent") or "")
    return told is not None and told.groups() == (trace.trace_id, trace.client_span_id)


@pytest.mark.parametrize("flags", ["01", "00"])
async def test_participating_continues_the_callers_trace_with_our_client_span(flags: str) -> None:
    request, capture = await traced("participate", [("Traceparent", f"00-{TRACE_ID}-{SPAN_ID}-{flags}"),
                                                    ("TraceState", "a=1,b=2")])  # fmt: skip
    assert request.value("traceparent") == f"00-{TRACE_ID}-{capture.trace.client_span_id}-{flags}"
    assert request.value("tracestate") == "a=1,b=2"
    assert (capture.trace.trace_id, capture.trace.parent_span_id) == (TRACE_ID, SPAN_ID)
    assert (capture.trace.sampled, capture.trace.tracestate) == (flags == "01", "a=1,b=2")
    assert len({SPAN_ID, capture.trace.client_span_id, capture.trace.server_span_id}) == 3


@pytest.mark.parametrize(
    "invalid",
    [
        "garbage",
        "",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01-extra",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID}-{SPAN_ID}-0x",
    ],
)
async def test_an_invalid_traceparent_starts_a_new_trace_and_drops_the_tracestate(invalid: str) -> None:
    request, capture = await traced("participate", [("traceparent", invalid), ("tracestate", "a=1")])
    assert fresh(request, capture)
    assert request.values("tracestate") == []
    assert capture.trace.trace_id not in (TRACE_ID, "0" * 32)
    assert (capture.trace.parent_span_id, capture.trace.tracestate) == (None, None)


async def test_two_traceparents_are_no_traceparent() -> None:
    request, capture = await traced("participate", [("traceparent", TRACEPARENT), ("Traceparent", TRACEPARENT)])
    assert fresh(request, capture)
    assert capture.trace.trace_id != TRACE_ID


async def test_a_future_traceparent_version_is_continued_as_version_00() -> None:
    request, capture = await traced("participate", [("traceparent", f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future")])
    assert request.value("traceparent") == f"00-{TRACE_ID}-{capture.trace.client_span_id}-01"


async def test_without_a_traceparent_a_new_trace_is_begun() -> None:
    request, capture = await traced("participate", [])
    assert fresh(request, capture)
    assert capture.trace.parent_span_id is None


async def test_every_exchange_on_a_connection_has_its_own_span_and_id() -> None:
    async with sidecar_before(answering(OK)) as side:
        client = await side.client()
        for _ in range(3):
            await client.exchange(headers=[("traceparent", TRACEPARENT)])
        captures = await side.captured(3)
        assert len({capture.trace.client_span_id for capture in captures}) == 3
        assert len({capture.id for capture in captures}) == 3
        assert {capture.trace.trace_id for capture in captures} == {TRACE_ID}


@pytest.mark.parametrize(
    "fields", [[("Traceparent", TRACEPARENT), ("tracestate", "a=1")], [("traceparent", "junk")], []]
)
async def test_passthrough_leaves_the_trace_headers_alone(fields: list[tuple[str, str]]) -> None:
    request, _ = await traced("passthrough", fields)
    assert [field for field in request.headers if field[0].lower().startswith("trace")] == fields


async def test_none_tells_the_upstream_nothing_of_the_trace() -> None:
    fields = [("Traceparent", TRACEPARENT), ("tracestate", "a=1"), ("Tracestate", "b=1"), ("X-Keep", "1")]
    request, capture = await traced("none", fields)
    assert request.headers_without("host", "connection") == [("X-Keep", "1")]
    assert capture.trace.trace_id == TRACE_ID


async def alike(connection: UpstreamConnection) -> None:
    """Answers whose heads differ in values alone; to a HEAD the head only, as to a GET."""
    number = 0
    while True:
        if not await connection.until_spoken_to():
            return
        request = await connection.request()
        number += 1
        fields = [("x-request-id", f"req_{number}"), ("Set-Cookie", "a=canary"), ("X-Odd", "")]
        answer = response_bytes(200, fields, b"x" * number)
        await connection.send(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else answer)


async def test_answers_with_heads_alike_are_told_apart_by_their_values_lengths_and_methods() -> None:
    async with sidecar_before(alike) as side:
        client = await side.client()
        methods = [*["GET"] * 8, "HEAD", "GET", "HEAD", "POST"]
        for number, method in enumerate(methods, start=1):
            response = await client.exchange(method)
            assert (response.status, response.value("x-request-id")) == (200, f"req_{number}")
            assert response.value("content-length") == str(number)
            assert response.content == (b"" if method == "HEAD" else b"x" * number)
        captures = await side.captured(len(methods))
        told = [dict(capture.response_headers) for capture in captures]
        assert [fields["x-request-id"] for fields in told] == [f"req_{n}" for n, _ in enumerate(methods, start=1)]
        assert all("Set-Cookie" not in fields and fields["X-Odd"] == "" for fields in told)
        assert side.server.outbox.compared == len(methods)


async def test_an_answer_that_breaks_the_shape_of_those_before_it_is_refused() -> None:
    good = response_bytes(200, [("X-A", "1")], b"ok")
    bad = good.replace(b"X-A: 1", b"X-A: 1\x00")
    async with sidecar_before(answering(*[good] * 8, bad)) as side:
        client = await side.client()
        statuses = [(await client.exchange()).status for _ in range(9)]
        assert statuses == [*[200] * 8, 502]


async def test_every_caller_on_one_connection_keeps_its_own_trace() -> None:
    async with sidecar_before(answering(response_bytes(body=b"ok"))) as side:
        client = await side.client()
        parents = [f"00-{number:032x}-{number:016x}-0{number % 2}" for number in range(1, 9)]
        for parent in parents:
            await client.exchange("POST", headers=[("traceparent", parent), ("tracestate", "v=1")], body=b"x")
        for parent, request, capture in zip(parents, side.upstream.requests, await side.captured(8), strict=True):
            assert (capture.trace.trace_id, capture.trace.parent_span_id) == (parent[3:35], parent[36:52])
            assert request.value("traceparent") == f"{parent[:36]}{capture.trace.client_span_id}{parent[52:]}"
            assert (request.value("tracestate"), capture.trace.tracestate) == ("v=1", "v=1")

"""The longest prefix at a segment border, and the path its upstream is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Proxy, Upstream
from proxy.routing import Match, Origin, Routes


def origin(url: str = "http://up.test", **changes: Any) -> Origin:
    return Origin("up", Upstream.model_validate({"url": url} | changes))


def routes(*prefixes: str, **changes: Any) -> Routes:
    """One upstream for each prefix, of the same name."""
    return Routes(
        Proxy.model_validate(
            {
                "upstreams": {prefix: {"url": "http://up.test/base"} for prefix in prefixes},
                "routes": [{"prefix": prefix, "upstream": prefix, **changes} for prefix in prefixes],
            }
        )
    )


def found(table: Routes, target: bytes) -> str | None:
    match = table.find(target)
    return match.origin.name if match else None


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/", "/"),
        (b"/x", "/"),
        (b"/v1", "/v1"),
        (b"/v1/", "/v1"),
        (b"/v1?a=b", "/v1"),
        (b"/v1/x?a=/v1/chat", "/v1"),
        (b"/v1/chat", "/v1/chat/"),
        (b"/v1/chat/x", "/v1/chat/"),
        (b"/v1/chatter", "/v1"),
        (b"/v10", "/"),
        (b"/V1", "/"),
        (b"/x/v1", "/"),
        (b"//v1", "/"),
    ],
)
def test_the_longest_prefix_wins_at_a_segment_border(target: bytes, name: str) -> None:
    assert found(routes("/", "/v1/chat/", "/v1"), target) == name
    assert found(routes("/v1", "/", "/v1/chat/"), target) == name


@pytest.mark.parametrize("target", [b"/", b"/v2/x", b"/v10", b"/v1%2Fx", b"/?/v1/x"])
def test_a_path_without_a_route_has_no_match(target: bytes) -> None:
    assert routes("/v1", "/v2/y").find(target) is None


def test_one_upstream_without_routes_gets_everything() -> None:
    table = Routes(Proxy.model_validate({"upstreams": {"only": {"url": "http://up.test"}}}))
    assert found(table, b"/any?thing") == "only"


def test_the_first_of_two_equal_prefixes_wins() -> None:
    assert found(routes("/v1/", "/v1"), b"/v1/x") == "/v1/"


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), min_size=1, max_size=4)


@given(st.lists(SEGMENTS, min_size=1, max_size=5), SEGMENTS)
def test_a_match_is_the_longest_prefix_by_whole_segments(prefixes: list[list[str]], path: list[str]) -> None:
    names = {"/" + "/".join(prefix) for prefix in prefixes}
    segments = ["", *path]
    fitting = [name for name in names if segments[: len(parts := name.rstrip("/").split("/"))] == parts]
    name = found(routes(*sorted(names)), "/".join(segments).encode())
    assert (name is None) == (not fitting)
    if name is not None:
        assert name in fitting
        assert len(name.rstrip("/")) == max(len(other.rstrip("/")) for other in fitting)


# -- the path asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "prefix", "strip", "target", "expected"),
    [
        ("http://up.test", "/", False, b"/v1/x?a=b", b"/v1/x?a=b"),
        ("http://up.test/", "/", True, b"/v1/x", b"/v1/x"),
        ("http://up.test/base/", "/", False, b"/v1/x", b"/base/v1/x"),
        ("http://up.test", "/ollama", False, b"/ollama/api", b"/ollama/api"),
        ("http://up.test", "/ollama", True, b"/ollama/api?a=/ollama", b"/api?a=/ollama"),
        ("http://up.test", "/ollama/", True, b"/ollama/api", b"/api"),
        ("http://up.test", "/ollama", True, b"/ollama", b"/"),
        ("http://up.test", "/ollama", True, b"/ollama/", b"/"),
        ("http://up.test", "/ollama", True, b"/ollama?a=b", b"/?a=b"),
        ("http://up.test/base", "/ollama", True, b"/ollama?a=b", b"/base/?a=b"),
        ("http://up.test/base", "/a/b", True, b"/a/b//c/%2e", b"/base//c/%2e"),
    ],
)
def test_the_prefix_is_stripped_and_the_base_path_put_before(
    url: str, prefix: str, strip: bool, target: bytes, expected: bytes
) -> None:
    assert Match(prefix, strip, origin(url)).upstream_target(target) == expected


# -- origins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://up.test", "up.test", 80, b"up.test"),
        ("https://up.test", "up.test", 443, b"up.test"),
        ("https://up.test:443/v1", "up.test", 443, b"up.test"),
        ("http://up.test:443", "up.test", 443, b"up.test:443"),
        ("https://up.test:8443", "up.test", 8443, b"up.test:8443"),
        ("http://127.0.0.1:11434", "127.0.0.1", 11434, b"127.0.0.1:11434"),
        ("http://[::1]", "::1", 80, b"[::1]"),
        ("http://[::1]:8080/x", "::1", 8080, b"[::1]:8080"),
    ],
)
def test_an_origin_knows_where_it_is_and_what_its_host_field_says(
    url: str, host: str, port: int, authority: bytes
) -> None:
    place = origin(url)
    assert (place.host, place.port, place.authority) == (host, port, authority)


def test_what_an_upstream_sets_replaces_what_the_client_sent() -> None:
    place = origin(headers={"set": {"X-Key": "s\xe9cret", "B": "2"}, "remove": ["X-Gone"]})
    assert place.header_lines == b"X-Key: s\xe9cret\r\nB: 2\r\n"
    assert place.removed == {b"x-key", b"b", b"x-gone"}

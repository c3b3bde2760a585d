"""Each value means what it says, or is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import settings_from
from config.settings import Settings
from pipeline.errors import ConfigError

UPSTREAMS = {"openai": {"url": "https://api.openai.com"}}


def with_proxy(**proxy: Any) -> Settings:
    return settings_from({"proxy": {"upstreams": UPSTREAMS} | proxy})


def problem_of(**proxy: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        with_proxy(**proxy)
    assert len(refused.value.problems) == 1
    return refused.value.problems[0]


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (4096, 4096),
        ("4096", 4096),
        ("10B", 10),
        ("2KB", 2000),
        ("2KiB", 2048),
        ("1.5MiB", 1572864),
        ("64 MiB", 67108864),
        ("1GB", 10**9),
        ("1GiB", 2**30),
    ],
)
def test_a_size_is_bytes(written: object, size: int) -> None:
    assert with_proxy(capture={"max_body": written}).proxy.capture.max_body == size


@pytest.mark.parametrize("written", ["64M", "MiB", "-1", -1, "1e3", "1 TB", [], "9" * 400 + "GiB", 2**60, 1.5])
def test_what_is_no_size_is_refused_with_its_place(written: object) -> None:
    assert problem_of(capture={"max_body": written}).startswith("proxy.capture.max_body: ")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (2.5, 2.5),
        ("2.5", 2.5),
        ("200ms", 0.2),
        ("30s", 30.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("30d", 2592000.0),
    ],
)
def test_a_duration_is_seconds(written: object, seconds: float) -> None:
    assert with_proxy(limits={"drain": written}).proxy.limits.drain == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["soon", "-1s", -0.1, "1y", "1m30s", float("nan"), float("inf"), 1e300, "9" * 400])
def test_what_is_no_duration_is_refused_with_its_place(written: object) -> None:
    assert problem_of(limits={"drain": written}).startswith("proxy.limits.drain: ")


@pytest.mark.parametrize("address", ["127.0.0.1:4000", "[::1]:4000", "localhost:0", "unix:/run/sidelight.sock"])
def test_an_address_stays_as_it_was_written(address: str) -> None:
    assert with_proxy(listen=address).proxy.listen == address


@pytest.mark.parametrize("address", ["4000", 4000, ":4000", "host:", "host:http", "127.0.0.1:65536", "unix:", "", None])
def test_what_is_no_address_is_refused_with_an_example(address: object) -> None:
    problem = problem_of(listen=address)
    assert problem.startswith("proxy.listen: ")
    assert "127.0.0.1:4000" in problem


@pytest.mark.parametrize(
    "url", ["https://api.openai.com", "http://127.0.0.1:11434", "https://host/base/path", "http://[::1]:80"]
)
def test_a_url_is_an_origin_with_at_most_a_path(url: str) -> None:
    assert with_proxy(upstreams={"one": {"url": url}}).proxy.upstreams["one"].url == url


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com",
        "ftp://host",
        "http://",
        "http://[",
        "http://host:http",
        "http://host:99999",
        "http://host:0",
        "http://host#part",
        "http://ho st",
        "http://host\r\nX: y",
        7,
        None,
    ],
)
def test_what_is_no_usable_url_is_refused_with_its_place(url: object) -> None:
    assert problem_of(upstreams={"one": {"url": url}}).startswith("proxy.upstreams.one.url: ")


@pytest.mark.parametrize("url", ["https://user:canary-1@host", "https://host?key=canary-1", "https://host#canary-1"])
def test_a_refused_url_does_not_repeat_the_secret_in_it(url: str) -> None:
    assert "canary-1" not in problem_of(upstreams={"one": {"url": url}})


@pytest.mark.parametrize(
    ("proxy", "place"),
    [
        ({"workers": 0}, "proxy.workers"),
        ({"workers": 65}, "proxy.workers"),
        ({"workers": "many"}, "proxy.workers"),
        ({"half_close": "maybe"}, "proxy.half_close"),
        ({"upstreams": {}}, "proxy.upstreams"),
        ({"upstreams": {"one": {}}}, "proxy.upstreams.one.url"),
        ({"upstreams": {"one": None}}, "proxy.upstreams.one"),
        ({"routes": [{"prefix": "v1", "upstream": "openai"}]}, "proxy.routes[0].prefix"),
        ({"routes": [{"prefix": "/"}]}, "proxy.routes[0].upstream"),
        ({"routes": "all"}, "proxy.routes"),
        ({"capture": {"ring": 1024}}, "proxy.capture.ring"),
        ({"limits": {"max_header_count": 0}}, "proxy.limits.max_header_count"),
        ({"tls": {"cert": "cert.pem"}}, "proxy.tls.key"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(proxy: dict[str, Any], place: str) -> None:
    assert problem_of(**proxy).startswith(f"{place}: ")


@pytest.mark.parametrize("name", ["bad name", "bad:name", "", "näme", "a\nb"])
def test_a_header_name_that_is_no_token_is_refused(name: str) -> None:
    upstreams = {"one": {"url": "http://host", "headers": {"set": {name: "value"}}}}
    assert problem_of(upstreams=upstreams).startswith("proxy.upstreams.one.headers.set")


@pytest.mark.parametrize("value", ["canary-1\r\nX: y", "canary-1\n", "canary-1\x00"])
def test_a_header_value_with_a_control_character_is_refused_without_telling_it(value: str) -> None:
    problem = problem_of(upstreams={"one": {"url": "http://host", "headers": {"set": {"X-Key": value}}}})
    assert problem.startswith("proxy.upstreams.one.headers.set.X-Key: ")
    assert "canary" not in problem


def test_a_header_value_does_not_show_in_the_settings() -> None:
    upstreams = {"one": {"url": "http://host", "headers": {"set": {"Authorization": "Bearer canary-1"}}}}
    settings = with_proxy(upstreams=upstreams)
    assert "canary-1" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_cannot_be_changed() -> None:
    settings = with_proxy()
    with pytest.raises(ValueError, match="frozen"):
        settings.proxy.workers = 2


def test_the_defaults_are_the_documented_ports() -> None:
    settings = with_proxy()
    assert (settings.proxy.listen, settings.service.health) == ("127.0.0.1:4000", "127.0.0.1:13133")
    assert settings.store.retention == 30 * 86400

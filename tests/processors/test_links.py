from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.links import Links, host_of, links_of
from tests.support.records import an_exchange, answer


def judged(text: str, *allowed: str, threshold: float = 1.0) -> Evaluation:
    (evaluation,) = Links(allowed, threshold).process(an_exchange(output_messages=(answer(text),)))
    return evaluation


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("See https://example.com.", ["https://example.com"]),
        ("(See http://example.com/a_(b)?)", ["http://example.com/a_(b"]),
        (
            "[docs](https://example.com/x 'title') and **https://a.example/**",
            ["https://example.com/x 'title'", "https://a.example/"],
        ),
        ("[docs](<https://example.com/x>)", ["https://example.com/x"]),
        ('[docs](https://example.com/x "title")', ["https://example.com/x"]),
        ("访问https://example.com/路径。谢谢", ["https://example.com/路径"]),
        ("Siehe „https://example.de/größe“", ["https://example.de/größe“"]),
        ("Run `curl https://example.com` or\n```\nhttps://example.org\n```", []),
        ("mail@example.com, www.example.com, ftp://example.com", []),
        ("An address begins with https://", []),
        ("", []),
    ],
)
def test_addresses_are_found_in_text_but_not_in_code(text: str, links: list[str]) -> None:
    assert links_of(text) == links


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com",
        "HTTPS://EXAMPLE.COM/A?b=c#d",
        "http://localhost:8080/x",
        "http://127.0.0.1:4000",
        "http://[::1]:80/",
        "https://de.wikipedia.org/wiki/Köln",
        "https://münchen.example/",
        "https://sub-domain.example.co.uk./",
        "https://rr-.example.com/",
    ],
)
def test_a_well_formed_address_is_right(link: str) -> None:
    assert host_of(link)
    assert judged(f"See {link} for more") == Evaluation("links", 1.0, "pass")


@pytest.mark.parametrize(
    "link",
    [
        "https://example",
        "https://...",
        "https://a..b.example/",
        "https://-a.example",
        "https://user:secret@example.com/",
        "https://example.com@evil.example/",
        "https://example.com:port/",
        "https://example.com:99999/",
        "http://999.1.1.1/",
        "http://[::1/",
        "https://exa$mple.com/",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_a_malformed_address_fails(link: str) -> None:
    assert host_of(link) is None
    assert judged(f"See {link} for more").score_label == "fail"


def test_a_space_in_a_links_target_is_a_mistake() -> None:
    assert judged("[docs](https://example.com/my file)").score_label == "fail"


@pytest.mark.parametrize("reason", ["length", None])
def test_half_an_address_at_the_end_of_a_cut_answer_is_no_mistake(reason: str | None) -> None:
    exchange = an_exchange(output_messages=(answer("https://example.com and https://exam", reason),))
    assert Links().process(exchange) == (Evaluation("links", 1.0, "pass"),)
    assert links_of("https://example.com " * 1001)[-1] == "https://example.com"
    assert links_of("https://example.com/" + "x" * 20_000) == []


def test_hosts_may_be_limited_with_everything_below_them() -> None:
    text = "https://example.com/a https://Docs.Example.com https://notexample.com https://example.com.evil.example https://x"
    found = Evaluation("links", 0.4, "fail", "1 malformed, 2 of hosts not allowed, 5 in all")
    assert judged(text, "Example.com") == found
    assert judged(text, "example.com", threshold=0.4).score_label == "pass"


def test_an_answer_without_addresses_is_none_of_its_business() -> None:
    assert Links().process(an_exchange()) == ()


@pytest.mark.parametrize("host", ["https://example.com", "example.com/path", "", "*.example.com", "exa mple"])
def test_an_allowed_host_is_a_host(host: str) -> None:
    with pytest.raises(ValueError, match=r"allowed\[1\] is .*; give a host alone, such as example.com"):
        Links(allowed=("example.org", host))


def test_a_threshold_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 2; give a number from 0 to 1"):
        Links(threshold=2)


@given(st.text())
def test_any_address_is_judged(rest: str) -> None:
    host_of(f"https://{rest}")
    assert judged(f"https://example.com {rest} [a](https://x.example/{rest}) https://\ud800🙂.example").score_label


@pytest.mark.parametrize(
    "unit", ["https://", "](https://a.b/ ", "](", "https://a@[", "https://a.b/\u2100 ", "https://[::"]
)
def test_no_text_makes_it_slow(unit: str) -> None:
    started = time.perf_counter()
    [host_of(link) for link in links_of(unit * 50_000)]
    assert time.perf_counter() - started < 1

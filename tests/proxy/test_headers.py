"""The tables of header names, and heads edited as bytes."""

from __future__ import annotations

import pytest

from proxy.headers import (
    FRAMING,
    HOP,
    HOST,
    KINDS,
    PLAIN,
    SECRET,
    TRACE,
    Kinds,
    append_lines,
    connection_options,
    credential_hash,
    cut_line,
    replace_value,
    without_lines,
)

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\nx-a:1\r\nX-A: 2\r\nx-a:  3 \r\nY:\r\n\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"Authorization", b"Proxy-Authorization", b"X-Api-Key", b"api-key", b"apikey", b"X-Goog-Api-Key", b"Cookie",
        b"Set-Cookie", b"X-Amz-Security-Token", b"X-Auth", b"x-client-secret", b"X-Password", b"X-Amz-Signature",
        b"x-session-id", b"WWW-Authenticate", b"x-something-token", b"X-Key", b"ocp-apim-subscription-key",
        b"X-Credential",
    ],
)  # fmt: skip
@pytest.mark.parametrize("spelling", [bytes.upper, bytes.lower, bytes.title])
def test_a_name_that_may_carry_a_credential_is_secret_in_any_case(name: bytes, spelling: object) -> None:
    assert KINDS[spelling(name)] & SECRET  # type: ignore[operator]


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Type", b"User-Agent", b"Accept", b"Idempotency-Key", b"X-RateLimit-Remaining-Tokens",
        b"anthropic-ratelimit-tokens-remaining", b"anthropic-version", b"openai-organization", b"x-request-id",
        b"Monkey",
    ],
)  # fmt: skip
def test_a_name_that_carries_none_is_plain(name: bytes) -> None:
    assert KINDS[name] == PLAIN


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"hOST", HOST),
        (b"Content-length", FRAMING),
        (b"TRANSFER-ENCODING", FRAMING),
        (b"Connection", HOP | FRAMING),
        (b"Keep-Alive", HOP | FRAMING),
        (b"TE", HOP),
        (b"Upgrade", HOP | FRAMING),
        (b"Sec-WebSocket-Protocol", SECRET),
        (b"Proxy-Connection", HOP),
        (b"HTTP2-Settings", HOP),
        (b"Proxy-Authorization", HOP | SECRET),
        (b"TraceParent", TRACE),
        (b"tracestate", TRACE),
        (b"Baggage", TRACE),
    ],
)
def test_what_a_name_means_does_not_depend_on_its_case(name: bytes, kind: int) -> None:
    assert [KINDS[name], KINDS[name.lower()], KINDS[name.upper()]] == [kind] * 3


def test_the_memory_of_names_is_bounded_and_right_beyond_its_bound() -> None:
    kinds = Kinds()
    for number in range(Kinds.LIMIT + 100):
        assert kinds[b"x-%d" % number] == PLAIN
    assert len(kinds) == Kinds.LIMIT
    assert (kinds[b"HoSt"], kinds[b"X-Late-Token"]) == (HOST, SECRET)
    assert len(kinds) == Kinds.LIMIT


def test_the_memory_of_names_is_bounded_in_bytes_too() -> None:
    kinds = Kinds()
    for number in range(64):
        assert kinds[b"x-%d-" % number + b"a" * 60_000 + b"-token"] & SECRET
    assert sum(map(len, kinds)) < 1_000_000


def test_a_cut_takes_the_first_line_of_exactly_this_spelling() -> None:
    assert cut_line(HEAD, b"x-a") == HEAD.replace(b"x-a:1\r\n", b"")
    assert cut_line(HEAD, b"X-A") == HEAD.replace(b"X-A: 2\r\n", b"")


@pytest.mark.parametrize("name", [b"Host", b"Y"])
def test_the_first_and_the_last_line_can_be_cut(name: bytes) -> None:
    head = cut_line(HEAD, name)
    assert name + b":" not in head
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\n")


def test_a_name_is_not_found_inside_a_value_or_another_name() -> None:
    head = b"GET / HTTP/1.1\r\nX-Host: Host: b\r\nNote: Host:\r\nHost: a\r\n\r\n"
    assert cut_line(head, b"Host") == b"GET / HTTP/1.1\r\nX-Host: Host: b\r\nNote: Host:\r\n\r\n"


def test_a_replaced_value_leaves_every_other_byte() -> None:
    assert replace_value(HEAD, b"x-a", b"new") == HEAD.replace(b"x-a:1", b"x-a: new")
    assert replace_value(HEAD, b"Y", b"new") == HEAD.replace(b"Y:", b"Y: new")


def test_lines_are_added_after_the_last_field() -> None:
    assert append_lines(HEAD, b"Z: 1\r\nZ: 2\r\n") == HEAD[:-2] + b"Z: 1\r\nZ: 2\r\n\r\n"
    assert append_lines(b"HTTP/1.1 200 OK\r\n\r\n", b"Z: 1\r\n") == b"HTTP/1.1 200 OK\r\nZ: 1\r\n\r\n"


def test_one_line_is_cut_for_each_spelling() -> None:
    assert without_lines(HEAD, []) == HEAD
    assert without_lines(HEAD, [b"x-a", b"X-A", b"x-a"]) == b"POST /x HTTP/1.1\r\nHost: a\r\nY:\r\n\r\n"


def test_connection_options_are_a_list_in_any_case_with_any_spacing() -> None:
    assert connection_options(b" Close,\tX-Hop ,, keep-alive") == {b"close", b"x-hop", b"keep-alive"}
    assert connection_options(b"") == set()


def test_what_is_exposed_is_captured_but_never_a_credential() -> None:
    kinds = Kinds()
    assert kinds[b"X-Session-Id"] == SECRET
    kinds.expose(["x-session-id", "Authorization", "cookie"])
    assert [kinds[name] for name in (b"X-Session-Id", b"x-session-id", b"X-Session-Key")] == [PLAIN, PLAIN, SECRET]
    assert kinds[b"Authorization"] == kinds[b"Cookie"] == SECRET


SALT = b"s" * 32


def test_a_key_has_one_hash_in_whichever_field_it_comes() -> None:
    fields = [(b"Authorization", b"Bearer sk-1"), (b"authorization", b"  bearer  sk-1 "), (b"X-API-Key", b"sk-1"),
              (b"api-key", b"sk-1"), (b"x-goog-api-key", b"sk-1")]  # fmt: skip
    hashes = {credential_hash([(b"Accept", b"*/*"), field], SALT) for field in fields}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 16


def test_other_keys_and_other_salts_have_other_hashes_and_no_key_has_none() -> None:
    one = [(b"x-api-key", b"sk-1")]
    other = [(b"x-api-key", b"sk-2")]
    hashes = {credential_hash(one, SALT), credential_hash(one, b"other"), credential_hash(other, SALT)}
    assert len(hashes) == 3
    assert credential_hash([(b"Cookie", b"a"), (b"X-Other-Key", b"b")], SALT) == ""


def test_the_first_of_several_credentials_tells_whose_the_request_is() -> None:
    key = (b"X-Api-Key", b"sk-1")
    bearer = (b"Authorization", b"Bearer t")
    assert credential_hash([key, bearer], SALT) == credential_hash([bearer], SALT)


def test_an_empty_credential_is_nobodys() -> None:
    assert credential_hash([(b"Authorization", b" "), (b"x-api-key", b"")], b"salt") == ""
    assert credential_hash([(b"Authorization", b""), (b"x-api-key", b"k")], b"salt") == credential_hash(
        [(b"x-api-key", b"k")], b"salt"
    )

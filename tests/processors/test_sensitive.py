from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sensitive import KINDS, Hit, find, luhn, mod_97


def found(text: str) -> list[tuple[str, str]]:
    data = text.encode("utf-8", "surrogatepass")
    return [(hit.kind, data[hit.start : hit.end].decode()) for hit in find(data, KINDS, ())]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "ann.lee+x@mail.example.co.uk"),
        ("EMAIL", "jörg.müller@exämple.de"),
        ("PHONE", "+1 (415) 555-2671"),
        ("PHONE", "(415) 555-2671"),
        ("PHONE", "415-555-2671 x123"),
        ("PHONE", "+49 30 1234567"),
        ("PHONE", "+46 (0)8 928 571 38"),
        ("PHONE", "01.84.17.61.18"),
        ("PHONE", "07700 900 966"),
        ("PHONE", "030/1234567"),
        ("PHONE", "001-518-640-0854"),
        ("CARD", "4111 1111 1111 1111"),
        ("CARD", "4111-1111-1111-1111"),
        ("CARD", "5500000000000004"),
        ("CARD", "3782 822463 10005"),
        ("CARD", "6011111111111117"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "gb82west12345698765432"),
        ("IP", "203.0.113.7"),
        ("IP", "2001:db8::8a2e:370:7334"),
        ("IP", "fe80::1"),
        ("API_KEY", "sk-proj-abcdefghijklmnop1234"),
        ("API_KEY", "sk-ant-api03-abcdefghijklmnop1234"),
        ("API_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("API_KEY", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("API_KEY", "github_pat_11ABCDEFG0abcdefghijkl"),
        ("API_KEY", "xoxb-123456789012-abcdefghijkl"),
        ("API_KEY", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
        ("API_KEY", "hf_abcdefghijklmnopqrstuvwxyz012345"),
        ("API_KEY", "glpat-abcdefghij0123456789"),
        ("API_KEY", "shpat_0123456789abcdef0123456789abcdef"),
        ("API_KEY", "hvs.abcdefghijklmnopqrstuvwxyz0123"),
        ("API_KEY", "0123456789abcdef0123456789abcdef-us7"),
        ("API_KEY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def_1"),
        ("API_KEY", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nab+/c=\n-----END RSA PRIVATE KEY-----"),
        ("API_KEY", "-----BEGIN PRIVATE KEY-----\nDEK-Info: AES-128\n\nMIIEow"),
    ],
)
def test_each_kind_is_found_whole(kind: str, value: str) -> None:
    end = "" if value.endswith("MIIEow") else " in a sentence."
    assert found(f"This is {value}{end}") == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ("password=hunter22!", "hunter22!"),
        ('"client_secret": "s3cr3t-value"', "s3cr3t-value"),
        ("export OPENAI_API_KEY=abc123def456", "abc123def456"),
        ("GET /v1/models?key=abcd1234efgh&alt=json", "abcd1234efgh"),
        ("postgres://app:p4ssw0rd@localhost/db", "p4ssw0rd"),
        ("GITEA_TOKEN=abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ('<add key="ApiKey" value="abcdef0123456789" />', "abcdef0123456789"),
        ("AccountName=blobs;AccountKey=abc123DEF456==;Suffix=example.net", "abc123DEF456=="),
        ("curl -s -u 'joe:s3cret-word' https://example.com", "s3cret-word"),
        ("The password is Maple-Roof7, as agreed.", "Maple-Roof7"),
        ("Das Passwort lautet Ahorn7-Dach und gilt bis Mai.", "Ahorn7-Dach"),
    ],
)
def test_of_an_assignment_only_the_value_is_taken(text: str, value: str) -> None:
    assert found(text) == [("API_KEY", value)]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # wrong check digit
        "9111 1111 1111 1110",  # no such issuer
        "DE89 3704 0044 0532 0130 01",
        "XX89 3704 0044 0532 0130 00",
        "999.1.1.1 and version 1.2.3.4.5",
        "std::begin, Face::Bad, ::1, 12:30:45, aa:bb:cc:dd:ee:ff",
        "2024-05-06 10:22:33, 06.05.2024, 05/06/2024",
        "1700000000 1700000000000 order 12345678901",
        "550e8400-e29b-41d4-a716-446655440000",
        "ISBN 978-0-306-40615-7",
        "$1,234,567.89 and pi is 3.14159265358979",
        "password: ${DB_PASSWORD}, password=<your-password-1>, api_key=os.environ['K1']",
        "password=password and secretary: room 12b",
        "mysql://user:password@localhost/app, mysql://{user}:{password}@{host}/app, ftp://me:$PW@nas",
        "The password must have 12 characters; the password strength2 field; password WPA2",
        "max_tokens=1024, next_token: 12, docker run -u 1000:1000 curl -u joe https://example.com/a:b12345",
        "pypi-packages-for-python-3-and-later, shpat_ and whsec_ are prefixes",
        "task-management-for-small-companies risk-adjusted sk-learn",
        "bearer responsibilities-and-duties",
        "user@localhost, @handle, a @ b.co",
        "[EMAIL_1] [API_KEY_2] password=[API_KEY_3]",
        "",
    ],
)
def test_what_only_looks_alike_is_left(text: str) -> None:
    assert found(text) == []


def test_a_bare_number_is_a_phone_only_after_a_word_that_says_so() -> None:
    assert found("Phone: 467 3395") == [("PHONE", "467 3395")]
    assert found("Room 467 3395") == []


def test_neighbours_are_told_apart() -> None:
    assert found("a@b.co,4111111111111111;c@d.org") == [
        ("EMAIL", "a@b.co"),
        ("CARD", "4111111111111111"),
        ("EMAIL", "c@d.org"),
    ]
    assert found("4111 1111 1111 1111 123 Main St") == [("CARD", "4111 1111 1111 1111")]
    assert found("请联系john@example.com谢谢") == [("EMAIL", "john@example.com")]


@pytest.mark.parametrize("escape", [r"\n", r"\t", r"\u00e9", r"\\n"])
def test_the_letters_of_an_escape_do_not_hide_a_value(escape: str) -> None:
    assert found(f'"{escape}4111111111111111"') == [("CARD", "4111111111111111")]
    assert found(f'"{escape}a@b.co"') == [("EMAIL", "a@b.co")]


def test_overlaps_become_one_of_the_longest_kind() -> None:
    assert find(b"ann@b.co", KINDS, (("STAFF", "ann"),)) == [Hit(0, 8, "EMAIL")]


def test_the_password_and_host_of_a_url_are_a_secret_and_no_address() -> None:
    assert found("postgres://app:p4ssw0rd@db.example.com/x") == [("API_KEY", "p4ssw0rd@db.example.com")]
    assert find(b"https://ghp_abcdefghijklmnopqrst0123@github.com/a/b", KINDS, ())[0].kind == "API_KEY"


def test_of_equally_long_overlaps_the_users_own_kind_wins() -> None:
    assert find(b"a@b.co", KINDS, (("STAFF", "[a-z]@b[.]co"),)) == [Hit(0, 6, "STAFF")]


def test_only_the_kinds_asked_for_are_found() -> None:
    assert find(b"a@b.co 203.0.113.7", ("IP",), ()) == [Hit(7, 18, "IP")]


@given(st.from_regex(r"[0-9]{12,18}", fullmatch=True))
def test_exactly_one_check_digit_fits(digits: str) -> None:
    assert sum(luhn(f"{digits}{check}") for check in range(10)) == 1


def test_a_changed_account_number_does_not_check() -> None:
    assert mod_97("DE89370400440532013000")
    assert not mod_97("DE89370400440532013001")


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "12 ",
        "a@",
        "\\",
        "-----BEGIN PRIVATE KEY-----",
        "1(",
        "a:",
        "1.",
        "+1",
        "eyJaaaaaaaa.",
        "DE89 3704 0044 ",
        'x\\"',
    ],
)
def test_time_grows_with_the_length_only(unit: str) -> None:
    text = "{" + unit * (100_000 // len(unit)) + " a@b.co"
    started = time.perf_counter()
    found(text)
    assert time.perf_counter() - started < 2

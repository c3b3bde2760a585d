r"""What personal data and secrets look like: a set of patterns says which kinds may be there, checks decide.

Everything works on UTF-8 bytes: RE2 then needs no offset translation, and half of a surrogate pair cannot stop it.
RE2 takes linear time, but falls back to a slow engine when its automaton outgrows its memory; so the patterns avoid
large counted repetitions, and the checks that need counting are plain Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, NamedTuple, TypeAlias

import re2

from processors.patterns import compiled

KINDS = ("API_KEY", "CARD", "IBAN", "EMAIL", "PHONE", "IP")  # most severe first
SECRET_KINDS = ("API_KEY",)  # give access; the others tell of people


class Hit(NamedTuple):
    """Something found: bytes `start` to `end`."""

    start: int
    end: int
    kind: str


Finder: TypeAlias = Callable[[bytes, Any], tuple[int, int] | None]  # a match → what of it is real

LETTER = rb"[A-Za-z0-9]|[\xc3-\xc9][\x80-\xbf]"  # ASCII and the Latin letters with marks
SECRET_NAME = rb"(?:pass(?:word|wd|phrase)|pwd|secret|(?:api|access|account|auth|private|secret)[_-]?(?:key|token))"

EMAIL = rb"(?:" + LETTER + rb"|[._%+-])+@(?:(?:" + LETTER + rb"|-)+\.)+[A-Za-z]{2,}"
IPV4 = rb"\b\d+\.\d+\.\d+\.\d+\b"
IPV6 = rb"(?:\b[0-9A-Fa-f]+|:):[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"
IBAN = rb"\b[A-Za-z]{2}\d{2}[ -]?[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]"
CARD = (
    rb"\b(?:\d{4}[ .-]\d{4}[ .-]\d{4}[ .-]\d{4}(?:[ .-]\d{3})?"
    rb"|3\d{3}[ .-]\d{6}[ .-]\d{4,5}"
    rb"|\d{13,})\b"
)
PHONE = rb"(?:\+|\b|\()\d[\d()]*(?:(?:[ ./-]|\) ?| \()[\d()]*\d)*(?: ?x ?\d+)?"
TOKEN = (
    rb"\b(?:sk-[A-Za-z0-9_-]{20,}|[spr]k_(?:live|test)_[A-Za-z0-9]{12,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    rb"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[a-z]-[A-Za-z0-9-]{10,}"
    rb"|AIza[A-Za-z0-9_-]{30,}|hf_[A-Za-z0-9]{20,}|gl[a-z]+-[A-Za-z0-9_-]{20,}"
    rb"|npm_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}"
    rb"|(?:whsec|shp(?:at|ca|pa|ss)|glsa|lin_api|figd|r8|do[opr]_v1|sntry[su]|dckr_pat|GOCSPX|sq0[a-z]+|pplx|pypi-Ag)[_-]?"
    rb"[A-Za-z0-9_-]{20,}|[0-9a-f]{32}-us\d+|hv[bsr]\.[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}"
    rb"|ya29\.[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    rb"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
)
KEY_LABEL = rb"[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
PRIVATE_KEY = rb"-----BEGIN " + KEY_LABEL + rb"(?:[^-]|-[^-])*(?:-----END " + KEY_LABEL + rb")?"
BEARER = rb"(?i:\bbearer) +([A-Za-z0-9._~+/-]{16,}=*)"
QUOTE = rb"\\?[\"']?"
VALUE = rb"[^\s\"'\\,;&<>(){}\[\]]"
ASSIGNED = (
    rb"(?:(?i:" + SECRET_NAME + rb")|[A-Z]_TOKEN)" + QUOTE + rb"(?: value)? *[:=] *" + QUOTE + rb"(" + VALUE + rb"{6,})"
)
TOLD = (
    rb"(?i:(?:pass(?:word|wort|phrase)|kennwort|mot de passe)(?: (?:is|was|to|ist|lautet|est))*) "
    + QUOTE
    + rb"("
    + VALUE
    + rb"{8,})"
)
CURL_USER = rb"\bcurl [^\n|;]*(?:-u|--user)[ =]" + QUOTE + rb"[^\s:\"']+:(" + VALUE + rb"{6,})"
URL_SECRET = rb"(?i:key|token|sig|signature|auth|code|" + SECRET_NAME + rb"|x-amz-[a-z-]+)"
IN_URL = rb"[?&]" + URL_SECRET + rb"=([^&\s\"'#<>]{8,})"
USER_INFO = rb"\b[a-z][a-z0-9+.]*://[^\s/:@\"']*:([^\s/@\"']+)@"

PLACEHOLDERS = frozenset((b"password", b"passwd", b"pass", b"pwd", b"pw", b"secret"))
STAND_INS = (b"$", b"%", b"*", b"[", b"<", b"{", b"os.", b"process.env")
NOT_A_PHONE = tuple(b".-/_#$=@%")  # just before it: part of an id, a path, an amount
PHONE_WORDS = re.compile(
    rb"(?:phone|\btel|mobile|\bcell|\bfax|\bcall|whatsapp|\bsms|\bdial|\breach|telefon|\xc3\xa9l\xc3\xa9phone|m\xc3\xb3vil)"
    rb"[^\d]{0,24}\Z",
    re.IGNORECASE,
)
CARD_PREFIX = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}|(?:2131|1800)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"
)
NORTH_AMERICAN = re.compile(
    r"(?<!\d)(?:(?:\+|00)?1[ .-]?)?\(?[2-9]\d\d(?:\) ?|[ .-])[2-9]\d\d[ .-]\d{4}(?: ?x ?\d{1,6})?(?![\d-])"
)
TRUNK = re.compile(  # a trunk 0, then groups
    r"0\d{1,4}(?:[ ./-]\d{2,5}){2,4}|0\d{2,4}[/-]\d{6,8}|\(0\d{1,4}\) ?\d{2,5}(?:[ ./-]?\d{2,5}){1,3}"
)
DATE = re.compile(r"0\d[./ -]\d\d?[./ -]\d{2,4}|0\d[./ -]\d\d[./ -]\d{4}[ -]\d\d(?:[ .-]\d\d)*")
IBAN_LENGTHS: Mapping[str, int] = dict(
    pair
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for pair in dict.fromkeys(countries.split(), length).items()
)  # fmt: skip


def _whole(data: bytes, match: Any) -> tuple[int, int]:
    return match.span(0)  # type: ignore[no-any-return]


def _with_digit(data: bytes, match: Any) -> tuple[int, int] | None:
    return match.span(0) if any(map(_is_digit, match.group(0))) else None


def _secret(data: bytes, match: Any) -> tuple[int, int] | None:
    """The value alone, if it is one."""
    return match.span(1) if looks_secret(match.group(1)) else None


def _url_password(data: bytes, match: Any) -> tuple[int, int] | None:
    """Of any letters, unless it is a word for one, as in examples."""
    value = match.group(1)
    return None if value.lower() in PLACEHOLDERS or value.startswith(STAND_INS) else match.span(1)


def _told(data: bytes, match: Any) -> tuple[int, int] | None:
    """In a sentence only what no word is: capitals, small letters and digits."""
    value = match.group(1)
    mixed = value.lower() != value != value.upper()
    return match.span(1) if mixed and looks_secret(value) else None


def looks_secret(value: bytes) -> bool:
    """Digits and something else (words are placeholders, numbers are counts), and no variable in its stead."""
    digits = sum(map(_is_digit, value))
    return 0 < digits < len(value) and not value.startswith(STAND_INS)


def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


def _card(data: bytes, match: Any) -> tuple[int, int] | None:
    """All of it, or without a fifth group that belongs to the text."""
    start, end = match.span(0)
    for stop in (end, end - 4):
        digits = "".join(filter(str.isdigit, data[start:stop].decode()))
        if 13 <= len(digits) <= 19 and CARD_PREFIX.fullmatch(digits) and luhn(digits):
            return start, stop
        if end - start < 20:
            break
    return None


def luhn(digits: str) -> bool:
    """Does the check digit fit (ISO/IEC 7812)?"""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def _iban(data: bytes, match: Any) -> tuple[int, int] | None:
    """Reads on from the head to the length the country has, over single spaces or hyphens."""
    start = match.start()
    length = IBAN_LENGTHS.get(data[start : start + 2].decode().upper())
    if length is None:
        return None
    window = data[start : start + 2 * length].decode("ascii", "replace")
    places = [place for place, sign in enumerate(window) if sign.isascii() and sign.isalnum()][:length]
    if len(places) < length or re.search(r"[^0-9A-Za-z -]|[ -]{2}", window[: places[-1] + 1]):
        return None
    end = start + places[-1] + 1
    number = "".join(window[place] for place in places).upper()
    return (start, end) if mod_97(number) and not data[end : end + 1].isalnum() else None


def mod_97(iban: str) -> bool:
    """Do the check digits fit (ISO 13616)? Letters count 10 to 35."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _ipv4(data: bytes, match: Any) -> tuple[int, int] | None:
    """Not a piece of a longer dotted number."""
    start, end = match.span(0)
    longer = data[end : end + 1] == b"." and data[end + 1 : end + 2].isdigit()
    if longer or data[max(0, start - 1) : start] == b".":
        return None
    return (start, end) if _is_address(IPv4Address, match.group(0).decode()) else None


def _ipv6(data: bytes, match: Any) -> tuple[int, int] | None:
    """Of three groups or more, or with a long one, since `std::begin`, `::1` and 12:30:45 name nobody."""
    start = match.start()
    texts = [match.group(0).rstrip(trailing).decode() for trailing in (b".", b":.")]
    groups = [group for group in re.split("[:.]", texts[0]) if group]
    telling = len(groups) > 2 or any(len(group) == 4 for group in groups)
    if not telling or not any(map(str.isdigit, texts[0])) or data[max(0, start - 1) : start].isalnum():
        return None
    return next(((start, start + len(text)) for text in texts if _is_address(IPv6Address, text)), None)


def _is_address(family: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        family(text)
    except AddressValueError:
        return False
    return True


def _phone(data: bytes, match: Any) -> tuple[int, int] | None:
    """International, in a national shape, or after a word such as "phone"."""
    start, text = match.start(), match.group(0).decode()
    before = data[max(0, start - 1) : start]
    if (before and before[0] in NOT_A_PHONE) or data[match.end() : match.end() + 1].isalpha():
        return None
    if found := NORTH_AMERICAN.search(text):
        return start + found.start(), start + found.end()
    digits = sum(map(str.isdigit, text.split("x")[0]))
    if not 7 <= digits <= 15 or DATE.fullmatch(text) or (text[0] == "+" and before.isalnum()):
        return None
    return match.span(0) if _dialled(text, digits) or _announced(data, start) else None


def _dialled(text: str, digits: int) -> bool:
    if text[0] == "+":
        return digits >= 8
    if text.startswith("00") and digits >= 10 and not text.isdigit():
        return True
    return digits >= 9 and TRUNK.fullmatch(text) is not None


def _announced(data: bytes, start: int) -> bool:
    return PHONE_WORDS.search(data[max(0, start - 40) : start]) is not None


RULES: tuple[tuple[str, bytes, Finder], ...] = (
    ("API_KEY", TOKEN, _with_digit),
    ("API_KEY", PRIVATE_KEY, _whole),
    ("API_KEY", BEARER, _secret),
    ("API_KEY", ASSIGNED, _secret),
    ("API_KEY", IN_URL, _secret),
    ("API_KEY", USER_INFO, _url_password),
    ("API_KEY", CURL_USER, _secret),
    ("API_KEY", TOLD, _told),
    ("CARD", CARD, _card),
    ("IBAN", IBAN, _iban),
    ("EMAIL", EMAIL, _whole),
    ("PHONE", PHONE, _phone),
    ("IP", IPV4, _ipv4),
    ("IP", IPV6, _ipv6),
)
BYTES = re2.Options()
BYTES.encoding = re2.Options.Encoding.LATIN1
COMPILED = tuple((kind, re2.compile(pattern, BYTES), finder) for kind, pattern, finder in RULES)
ESCAPE = re2.compile(rb"\\+(?:u[0-9a-fA-F]{4}|[bfnrt])", BYTES)
POSSIBLE = re2.Set.SearchSet(BYTES)
for _rule in RULES:
    POSSIBLE.Add(_rule[1])
POSSIBLE.Compile()


@lru_cache(maxsize=32)
def user_rules(patterns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Any, Finder], ...]:
    """Rules of a user's patterns by kind; raises ValueError naming the one that will not do."""
    return tuple((kind, _user_pattern(kind, pattern), _whole) for kind, pattern in patterns)


def _user_pattern(kind: str, pattern: str) -> Any:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", kind):
        raise ValueError(f"patterns.{kind}: name it in capitals, like EMPLOYEE_ID")
    return compiled(f"patterns.{kind}", pattern)


def find(data: bytes, kinds: tuple[str, ...], patterns: tuple[tuple[str, str], ...]) -> list[Hit]:
    """What is in `data` (UTF-8), in order and without overlaps."""
    hits: list[Hit] = []
    data = _without_escapes(data) if b"\\" in data else data
    for index in POSSIBLE.Match(data) or ():
        if COMPILED[index][0] in kinds:
            hits.extend(_hits(data, *COMPILED[index]))
    for rule in user_rules(patterns):
        hits.extend(_hits(data, *rule))
    return _merged(hits) if len(hits) > 1 else hits


def _without_escapes(data: bytes) -> bytes:
    r"""Blanks in place of escapes such as `\n` in JSON and code, whose letters would hide where a value begins."""
    blanked = bytearray(data)
    for match in ESCAPE.finditer(data):
        start, end = match.span()
        blanked[start:end] = b" " * (end - start)
    return bytes(blanked)


def _hits(data: bytes, kind: str, pattern: Any, finder: Finder) -> Iterator[Hit]:
    for match in pattern.finditer(data):
        if span := finder(data, match):
            yield Hit(*span, kind)


def _merged(hits: list[Hit]) -> list[Hit]:
    """Overlapping hits become one."""
    merged: list[Hit] = []
    strongest = Hit(0, 0, "")
    for hit in sorted(hits):
        if not merged or hit.start >= merged[-1].end:
            strongest = hit
            merged.append(hit)
            continue
        strongest = _stronger(strongest, hit)
        last = merged[-1]
        merged[-1] = Hit(last.start, max(last.end, hit.end), strongest.kind)
    return merged


def _stronger(one: Hit, other: Hit) -> Hit:
    """The longer, or the more severe of equals; but a URL's password with its host is no e-mail address."""
    if {one.kind, other.kind} == {"API_KEY", "EMAIL"}:
        return one if one.kind == "API_KEY" else other
    return max(one, other, key=_strength)


def _strength(hit: Hit) -> tuple[int, int]:
    severity = KINDS.index(hit.kind) if hit.kind in KINDS else -1  # a user's own kind comes first
    return hit.end - hit.start, -severity

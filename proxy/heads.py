"""Message heads, read strictly and without I/O: llhttp judges the bytes, this file what they mean for a proxy.

Anything that two parsers could read in two ways is a BadHead: the proxy answers 400 (or 502 for an upstream's)
and closes, because a proxy that guesses is how requests are smuggled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import httptools

from proxy.framing import NO_BODY, SPLICED, UNTIL_CLOSE, Chunked, Counted, Framing
from proxy.headers import FRAMING, HOP, HOST, KINDS, PROTECTED, SECRET, TRACE, Fields, connection_options

HOST_VALUE: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
TARGET: Final = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # origin-form, no fragment, no controls
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?")
MAX_LENGTH_DIGITS: Final = 18  # below 2**63
LONGEST_HOST: Final = 262  # 255 bytes of name and a port; bounds what `is_host` remembers
METHODS_REFUSED: Final = frozenset((b"CONNECT", b"TRACE", b"PRI"))


@lru_cache(1024)
def is_host(value: bytes) -> bool:
    """A host with an optional port, and nothing else."""
    return HOST_VALUE.fullmatch(value) is not None


def is_origin_form(target: bytes) -> bool:
    """A path with an optional query."""
    return TARGET.fullmatch(target) is not None


def is_status_line(line: bytes) -> bool:
    """HTTP/1.0 or 1.1 with a status from 100 on and a reason, or none, of visible characters."""
    return STATUS_LINE.fullmatch(line) is not None


class BadHead(Exception):
    """Not a head, or not clearly one; `status` is what a client is told."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class _Collector:
    """What llhttp calls back; the cheapest object that can hold it."""

    __slots__ = ("fields", "url")

    def __init__(self) -> None:
        self.url = b""
        self.fields: Fields = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


class RequestHead:
    """A request's first line and fields, checked; shared by the requests of a connection whose heads are alike."""

    __slots__ = (
        "credential", "fields", "framing", "hop_names", "host", "host_name", "keep_alive", "length_name", "method",
        "raw", "secret_names", "target", "trace_fields", "upgrades", "version",
    )  # fmt: skip

    credential: str  # keyed hash of the API key; empty where nobody asks for it
    raw: bytes  # through the empty line, of the request that was read
    method: bytes
    target: bytes  # as sent; origin-form
    version: bytes  # 1.0, 1.1
    fields: Fields
    framing: Framing  # of the request that was read
    keep_alive: bool
    host: bytes
    host_name: bytes  # the spelling of the Host field's name, empty without one
    hop_names: list[bytes]  # spellings of the fields that stay on this hop
    length_name: bytes  # the spelling of Content-Length, empty without one
    secret_names: list[bytes]  # spellings of the fields that are not captured
    trace_fields: Fields
    upgrades: bool  # asks for a WebSocket


class ResponseHead:
    """A response's first line and fields, checked; `framing` is None for an interim (1xx) head."""

    __slots__ = (
        "fields", "framing", "hop_names", "keep_alive", "keep_alive_timeout", "raw", "secret_names", "status",
        "version",
    )  # fmt: skip

    raw: bytes
    status: int
    version: bytes
    fields: Fields
    framing: Framing | None
    keep_alive: bool
    keep_alive_timeout: float | None  # the peer's hint, seconds
    hop_names: list[bytes]
    secret_names: list[bytes]


def read_request_head(raw: bytes, max_fields: int) -> RequestHead:
    """Bytes through the empty line → RequestHead, or BadHead."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # llhttp stops where another protocol could begin; whether one does is said by the answer
    except httptools.HttpParserError as error:
        raise BadHead(str(error)) from None
    head = RequestHead()
    head.raw = raw
    head.fields = fields = collector.fields
    head.method = parser.get_method()
    head.target = collector.url
    if len(fields) > max_fields:
        raise BadHead("too many header fields", 431)
    line_end = raw.index(b"\r\n")
    head.version = raw[line_end - 3 : line_end]
    plain = len(head.method) + len(head.target) + len(" ") + len(" HTTP/1.1")
    if line_end != plain or raw[line_end - 9 : line_end - 3] != b" HTTP/":
        raise BadHead("a request line with more than one space between its parts, or without HTTP and a version")
    if head.version not in (b"1.1", b"1.0") or head.method in METHODS_REFUSED:
        raise BadHead("this method or version is not served", 405 if head.method in METHODS_REFUSED else 505)
    _read_request_fields(head, fields)
    if not is_origin_form(head.target):
        head.target = _origin_form(head)
    return head


def _read_request_fields(head: RequestHead, fields: Fields) -> None:
    """What the fields say about the host, the connection and the body."""
    head.host = head.host_name = head.length_name = b""
    head.hop_names = []
    head.secret_names = []
    head.trace_fields = []
    head.credential = ""
    length: bytes | None = None
    encoding: bytes | None = None
    upgrade: list[tuple[bytes, bytes]] = []
    options: set[bytes] = set()
    for name, value in fields:
        kind = KINDS[name]
        if not kind:
            continue
        if kind & HOST:
            if head.host_name:
                raise BadHead("two Host fields")
            head.host, head.host_name = value.rstrip(b" \t"), name
        elif kind & FRAMING:
            lower = name.lower()
            if lower == b"content-length":
                if length is not None:
                    raise BadHead("two Content-Length fields")
                length, head.length_name = value.rstrip(b" \t"), name
            elif lower == b"transfer-encoding":
                if encoding is not None:
                    raise BadHead("two Transfer-Encoding fields")
                encoding = value.rstrip(b" \t")
            elif lower == b"connection":
                options |= connection_options(value)
            elif lower == b"upgrade":
                upgrade.append((name, value))
        elif kind & TRACE:
            head.trace_fields.append((name, value))
        if kind & HOP:
            head.hop_names.append(name)
        if kind & SECRET:
            head.secret_names.append(name)
    if head.host_name:
        if len(head.host) > LONGEST_HOST or not is_host(head.host):
            raise BadHead("bad Host")
    elif head.version == b"1.1":
        raise BadHead("no Host")
    head.keep_alive = head.version == b"1.1" and b"close" not in options
    if options:
        _add_named_hops(head.hop_names, fields, options)
    head.framing = _request_framing(length, encoding, head.version)
    may_upgrade = head.method == b"GET" and head.version == b"1.1" and head.framing is NO_BODY
    head.upgrades = may_upgrade and b"upgrade" in options and is_websocket(upgrade)
    if head.upgrades:
        head.hop_names.remove(upgrade[0][0])


def is_websocket(upgrade: list[tuple[bytes, bytes]]) -> bool:
    """Is a WebSocket, and nothing else, what these Upgrade fields name? Nothing else is spliced."""
    return len(upgrade) == 1 and upgrade[0][1].strip(b" \t").lower() == b"websocket"


def _request_framing(length: bytes | None, encoding: bytes | None, version: bytes) -> Framing:
    if encoding is not None:
        if length is not None or version == b"1.0":
            raise BadHead("Transfer-Encoding with Content-Length, or in HTTP/1.0")
        if encoding.lower() != b"chunked":
            raise BadHead("this Transfer-Encoding is not served")
        return Chunked()
    if length is None or length == b"0":
        return NO_BODY
    return Counted(_content_length(length))


def _content_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise BadHead("bad Content-Length")
    return int(value)


def _add_named_hops(hop_names: list[bytes], fields: Fields, options: set[bytes]) -> None:
    """The fields that a Connection field names stay on this hop too, unless the message needs them."""
    named = options - {b"close", b"keep-alive", b"upgrade", b"te"}
    if not named:
        return
    if named & PROTECTED or any(name.startswith(b"sec-websocket-") for name in named):
        raise BadHead("Connection names a field that must be forwarded")
    hop_names.extend(name for name, _ in fields if name.lower() in named and not KINDS[name] & HOP)


def _origin_form(head: RequestHead) -> bytes:
    """`http://host/path` is the same as `/path` when the host is the Host; anything else is refused."""
    for scheme in (b"http://", b"https://"):
        if head.target.lower().startswith(scheme + head.host.lower()) and head.host:
            rest = head.target[len(scheme) + len(head.host) :] or b"/"
            if TARGET.fullmatch(rest):
                return rest
    raise BadHead("bad request target")


def read_response_head(raw: bytes, method: bytes, *, upgrades: bool = False) -> ResponseHead:
    """Bytes through the empty line, and what was asked (method, a WebSocket?) → ResponseHead, or BadHead."""
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadHead(str(error), 502) from None
    head = ResponseHead()
    head.raw = raw
    head.fields = collector.fields
    head.status = parser.get_status_code()
    head.version = raw[5:8]
    if not is_status_line(raw[: raw.index(b"\r\n")]) or (head.status == 101 and not upgrades):
        raise BadHead("an answer that this request cannot have", 502)
    _read_response_fields(head, method)
    return head


def _read_response_fields(head: ResponseHead, method: bytes) -> None:
    head.hop_names = []
    head.secret_names = []
    head.keep_alive_timeout = None
    length: bytes | None = None
    encoding: bytes | None = None
    upgrade: list[tuple[bytes, bytes]] = []
    options: set[bytes] = set()
    for name, value in head.fields:
        kind = KINDS[name]
        if not kind:
            continue
        if kind & FRAMING:
            lower = name.lower()
            if lower == b"content-length":
                if length is not None:
                    raise BadHead("two Content-Length fields", 502)
                length = value.rstrip(b" \t")
            elif lower == b"transfer-encoding":
                if encoding is not None:
                    raise BadHead("two Transfer-Encoding fields", 502)
                encoding = value.rstrip(b" \t")
            elif lower == b"connection":
                options |= connection_options(value)
            elif lower == b"upgrade":
                upgrade.append((name, value))
            else:
                head.keep_alive_timeout = _timeout_hint(value)
        if kind & HOP:
            head.hop_names.append(name)
        if kind & SECRET:
            head.secret_names.append(name)
    if options:
        try:
            _add_named_hops(head.hop_names, head.fields, options)
        except BadHead as error:
            raise BadHead(str(error), 502) from None
    if encoding is not None and head.version == b"1.0":
        raise BadHead("Transfer-Encoding in HTTP/1.0", 502)
    if head.status == 101:
        if not is_websocket(upgrade) or b"upgrade" not in options or length is not None or encoding is not None:
            raise BadHead("a switch to something that was not asked for", 502)
        head.hop_names = [name for name in head.hop_names if name.lower() not in (b"upgrade", b"connection")]
        head.framing, head.keep_alive = SPLICED, False
        return
    head.framing = _response_framing(head.status, method, length, encoding)
    reusable = b"close" not in options and (head.version == b"1.1" or b"keep-alive" in options)
    head.keep_alive = reusable and head.framing is not UNTIL_CLOSE


def _response_framing(status: int, method: bytes, length: bytes | None, encoding: bytes | None) -> Framing | None:
    if encoding is not None and (length is not None or encoding.lower() != b"chunked"):
        raise BadHead("Transfer-Encoding with Content-Length, or one that is not chunked", 502)
    if length is not None and (not length.isdigit() or len(length) > MAX_LENGTH_DIGITS):
        raise BadHead("bad Content-Length", 502)
    if status < 200:
        return None
    if method == b"HEAD" or status in (204, 304):
        return NO_BODY
    if encoding is not None:
        return Chunked()
    return UNTIL_CLOSE if length is None else Counted(int(length))


def _timeout_hint(value: bytes) -> float | None:
    """`timeout=5, max=100` → 5.0."""
    match = re.search(rb"timeout=(\d{1,6})", value)
    return float(match[1]) if match else None

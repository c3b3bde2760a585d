"""What the data plane does with each header, as tables; the documented list of changes is this file.

Heads are edited as bytes: a line is cut or replaced in place, so every other line keeps its order, case,
spacing and duplicates. `docs/architecture.md` shows the same list to users.
"""

from __future__ import annotations

import re
from enum import IntFlag
from typing import Final

Fields = list[tuple[bytes, bytes]]


class Kind(IntFlag):
    """What a header name means to the proxy; PLAIN is forwarded and captured as it is."""

    PLAIN = 0
    FRAMING = 1  # decides where the body ends, or asks about it
    HOP = 2  # belongs to one connection and is not forwarded (RFC 9110 §7.6.1)
    HOST = 4
    TRACE = 8  # traceparent, tracestate, baggage
    SECRET = 16  # forwarded, never captured


KNOWN: Final = {
    b"host": Kind.HOST,
    b"content-length": Kind.FRAMING,
    b"transfer-encoding": Kind.FRAMING,
    b"connection": Kind.HOP | Kind.FRAMING,
    b"keep-alive": Kind.HOP | Kind.FRAMING,
    b"proxy-connection": Kind.HOP,
    b"te": Kind.HOP,
    b"upgrade": Kind.HOP,
    b"http2-settings": Kind.HOP,
    b"proxy-authorization": Kind.HOP | Kind.SECRET,
    b"traceparent": Kind.TRACE,
    b"tracestate": Kind.TRACE,
    b"baggage": Kind.TRACE,
}

# Names that carry, or by their look may carry, a credential. Fail closed: an unknown x-…-token is one.
SECRET_NAME: Final = re.compile(
    rb"auth|cookie|api-?key|(?:^|[-_])key|token|secret|passw|signature|credential|session", re.I
)
NOT_SECRET: Final = re.compile(rb"^(?:x-ratelimit-|anthropic-ratelimit-|idempotency-key$|sec-websocket-)", re.I)

# A Connection header that names one of these would make the proxy drop what the message means.
PROTECTED: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"api-key", b"content-type",
     b"content-encoding", b"cookie", b"set-cookie", b"expect", b"traceparent", b"tracestate")
)  # fmt: skip

_kinds: dict[bytes, Kind] = {}
_KINDS_LIMIT = 4096  # names come from clients: the memory of their kinds is bounded


def kind_of(name: bytes) -> Kind:
    """The kind of a header name in any case; remembered, because the same few spellings come again and again."""
    kind = _kinds.get(name)
    if kind is None:
        lower = name.lower()
        kind = KNOWN.get(lower, Kind.PLAIN)
        if SECRET_NAME.search(lower) and not NOT_SECRET.match(lower):
            kind |= Kind.SECRET
        if len(_kinds) < _KINDS_LIMIT:
            _kinds[name] = kind
    return kind


def cut_line(head: bytes, name: bytes) -> bytes:
    """The head without its first line of exactly this name."""
    start = head.index(b"\r\n" + name + b":")
    return head[:start] + head[head.index(b"\r\n", start + 2) :]


def replace_value(head: bytes, name: bytes, value: bytes) -> bytes:
    """The head with the first line of exactly this name holding another value."""
    start = head.index(b"\r\n" + name + b":") + len(name) + 3
    return head[:start] + b" " + value + head[head.index(b"\r\n", start) :]


def append_lines(head: bytes, lines: bytes) -> bytes:
    """The head with further complete lines (each ending in CRLF) after its last field."""
    return head[:-2] + lines + b"\r\n"


def without_secrets(head: bytes, fields: Fields) -> bytes:
    """The head as it may be captured: no line that carries a credential."""
    for name, _ in fields:
        if kind_of(name) & Kind.SECRET:
            head = cut_line(head, name)
    return head


def connection_options(value: bytes) -> set[bytes]:
    """The lower-cased options of a Connection value."""
    return {option.strip() for option in value.lower().split(b",")} - {b""}

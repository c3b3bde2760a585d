"""What the data plane does with each header, as tables; the documented list of changes is this file.

Heads are edited as bytes: a line is cut or replaced in place, so every other line keeps its order, case,
spacing and duplicates. `docs/architecture.md` shows the same list to users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

Fields = list[tuple[bytes, bytes]]


# What a header name means to the proxy, as bits of one integer (enum.IntFlag costs half a microsecond for each `&`).
PLAIN: Final = 0  # forwarded and captured as it is
FRAMING: Final = 1  # decides where the body ends, or asks about it
HOP: Final = 2  # belongs to one connection and is not forwarded (RFC 9110 §7.6.1)
HOST: Final = 4
TRACE: Final = 8  # traceparent, tracestate, baggage
SECRET: Final = 16  # forwarded, never captured

KNOWN: Final[dict[bytes, int]] = {
    b"host": HOST,
    b"content-length": FRAMING,
    b"transfer-encoding": FRAMING,
    b"connection": HOP | FRAMING,
    b"keep-alive": HOP | FRAMING,
    b"proxy-connection": HOP,
    b"te": HOP,
    b"upgrade": HOP | FRAMING,
    b"http2-settings": HOP,
    b"proxy-authorization": HOP | SECRET,
    b"sec-websocket-protocol": SECRET,  # browsers carry API keys in it
}
TRACE_FIELDS: Final = frozenset((b"traceparent", b"tracestate", b"baggage"))
KNOWN.update(dict.fromkeys(TRACE_FIELDS, TRACE))

# Names that carry, or by their look may carry, a credential. Fail closed: an unknown x-…-token is one.
SECRET_NAME: Final = re.compile(
    rb"auth|cookie|api-?key|(?:^|[-_])key|token|secret|passw|signature|credential|session", re.I
)
NOT_SECRET: Final = re.compile(rb"^(?:x-ratelimit-|anthropic-ratelimit-|idempotency-key$|sec-websocket-)", re.I)

# Names that are credentials, whatever the configuration says; the first that a request has tells whose it is.
CREDENTIALS: Final = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"set-cookie",
                      b"proxy-authorization")  # fmt: skip

# A Connection header that names one of these would make the proxy drop what the message means.
PROTECTED: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"api-key", b"content-type",
     b"content-encoding", b"cookie", b"set-cookie", b"expect", b"traceparent", b"tracestate")
)  # fmt: skip


class Kinds(dict[bytes, int]):
    """Header name, in any case → its kind; remembered, because the same few spellings come again and again."""

    # Names come from clients: the memory of their kinds is bounded, in number and in length.
    LIMIT: Final = 4096
    LONGEST: Final = 64

    def __init__(self) -> None:
        super().__init__()
        self._exposed: frozenset[bytes] = frozenset()

    def expose(self, names: Iterable[str]) -> None:
        """Have these captured although they look like credentials; those that are credentials never are."""
        self._exposed = frozenset(name.lower().encode() for name in names).difference(CREDENTIALS)
        self.clear()

    def __missing__(self, name: bytes) -> int:
        lower = name.lower()
        kind = KNOWN.get(lower, PLAIN)
        if SECRET_NAME.search(lower) and not NOT_SECRET.match(lower) and lower not in self._exposed:
            kind |= SECRET
        if len(self) < self.LIMIT and len(name) <= self.LONGEST:
            self[name] = kind
        return kind


KINDS: Final = Kinds()


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


def without_lines(head: bytes, names: list[bytes]) -> bytes:
    """The head without one line for each of these spellings."""
    for name in names:
        head = cut_line(head, name)
    return head


def credential_hash(fields: Fields, salt: bytes) -> str:
    """A keyed hash (16 hex digits) of the API key that a request carries, in whichever field; empty without one."""
    found = {lower: value for name, value in fields if (lower := name.lower()) in CREDENTIALS[:4]}
    for name in CREDENTIALS[:4]:
        if key := found.get(name, b"").strip(b" \t").rpartition(b" ")[2]:  # without a scheme before it
            return blake2b(key, key=salt, digest_size=8).hexdigest()
    return ""


def connection_options(value: bytes) -> set[bytes]:
    """The lower-cased options of a Connection value."""
    return {option.strip() for option in value.lower().split(b",")} - {b""}

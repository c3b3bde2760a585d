"""The answers that are ours: what a client is told when there is no upstream's answer to pass on.

The bodies have the shape the client's SDK turns into its own error; `x-should-retry` is honest, because SDKs try
a 502, 503 or 504 three times, and a request the upstream may have served would be paid for three times.
"""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}
OPENAI: Final = b'{"error":{"message":"%s","type":"sidelight_error","param":null,"code":"%s"}}'
ANTHROPIC: Final = b'{"type":"error","error":{"type":"api_error","message":"%s"}}'


def refusal(status: int, code: bytes, message: bytes, *, target: bytes = b"", retry: bool, close: bool) -> bytes:
    """A whole response. `message` and `code` are our own words, never the peer's: they need no escaping."""
    path = target.partition(b"?")[0].rstrip(b"/")
    body = ANTHROPIC % message if path.endswith(b"/messages") else OPENAI % (message, code)
    lines = [
        b"HTTP/1.1 %d %s" % (status, REASONS[status]),
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"x-should-retry: " + (b"true" if retry else b"false"),
        b"x-sidelight-error: " + code,
    ]
    if status == 405:
        lines.append(b"allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    if status == 503:
        lines.append(b"retry-after: 1")
    if close:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body

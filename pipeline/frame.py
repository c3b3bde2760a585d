"""A capture as it crosses from the proxy to the pipeline: one msgpack array, built in one call on the hot path.

The proxy fills a Frame with the bytes it has; everything that costs time (de-chunking, header lines, ids as text)
is done by `decode`, on the other side.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from pipeline.records import Capture, Headers, TraceContext

CHUNK_BORDER: Final = re.compile(rb"\A\n?|\r\n(?=[0-9A-Fa-f]{1,8}[ \t]*(?:;[^\r\n]*)?\r\n)")
CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
TRAILER: Final = re.compile(rb"[^\r\n:]+:[^\r\n]*")
HEX_DIGITS: Final = b"0123456789abcdefABCDEF"

CLIENT_DISCONNECT: Final = "client_disconnect"
CONNECT_ERROR: Final = "connect_error"
CONNECT_TIMEOUT: Final = "connect_timeout"
TLS_ERROR: Final = "tls_error"
FIRST_BYTE_TIMEOUT: Final = "first_byte_timeout"
IDLE_TIMEOUT: Final = "idle_timeout"
BODY_TIMEOUT: Final = "body_timeout"  # the client stopped sending its request
UPSTREAM_RESET: Final = "upstream_reset"
BAD_RESPONSE: Final = "bad_response"
BAD_REQUEST_BODY: Final = "bad_request_body"

# Query parameters that are, or by the look of their names may be, credentials; fails closed as the header list does.
SECRET_PARAMETER: Final = re.compile(
    r"(?:^|[-_])(?:key|apikey|sig|code)$|^awsaccesskeyid$|token|secret|passw|auth|signature|credential", re.I
)


class Place(Struct, array_like=True, gc=False):
    """Where a route leads; the same for all of its exchanges."""

    upstream: str
    route: str
    scheme: str  # the clients'
    server_address: str
    server_port: int
    provider: str | None


class Frame(Struct, array_like=True, gc=False):
    """What the proxy knows of one exchange, in the order it is sent. Times are monotonic ns; 0 is never."""

    started_at: int  # ns since the epoch
    began: int  # the same moment on the monotonic clock
    sent_at: int
    first_byte_at: int
    ended_at: int
    trace_id: bytes  # lower-case hex, as all ids
    server_span_id: bytes
    client_span_id: bytes
    parent_span_id: bytes  # empty: no parent
    flags: int
    tracestate: bytes
    place: Place
    client_address: str
    client_port: int
    request_head: bytes  # the client's own, credential lines cut
    response_head: bytes  # the upstream's own, likewise; empty: none came
    request_body: list[bytes]  # with its framing
    response_body: list[bytes]
    request_size: int  # with framing, uncut
    response_size: int
    request_cut: bool
    response_cut: bool
    marks: list[int]  # offset in the response copy, time, …
    error_type: str | None
    credential: str = ""  # keyed hash
    request_marks: list[int] = []  # offset in the request copy, time, …: of a spliced connection
    part: int = 0
    last: bool = True
    response_tail: list[bytes] = []  # the last bytes of a response whose copy was cut, with framing


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """The frame as bytes for `offer`."""
    return _encoder.encode(frame)


def decode(data: bytes | memoryview) -> Capture:
    """The bytes of one frame → Capture. Raises msgspec.DecodeError for bytes that `encode` did not make."""
    frame = _decoder.decode(data)
    place = frame.place
    start_line, request_headers = read_lines(frame.request_head)
    method, _, rest = start_line.partition(" ")
    target, _, version = rest.rpartition(" ")
    status_line, response_headers = read_lines(frame.response_head)
    request_body, request_arrivals = body_of(frame.request_body, request_headers, frame.request_marks, frame.began)
    response_body, arrivals = body_of(frame.response_body, response_headers, frame.marks, frame.began)
    return Capture(
        id=f"{frame.started_at:016x}{(int(frame.client_span_id, 16) + frame.part) % 2**64:016x}",
        trace=trace_of(frame),
        upstream=place.upstream,
        route=place.route,
        method=method,
        target=without_secret_query(target),
        scheme=place.scheme,
        http_version=version.removeprefix("HTTP/"),
        server_address=place.server_address,
        server_port=place.server_port,
        client_address=frame.client_address,
        client_port=frame.client_port,
        status=int(status_line[9:12]) if status_line else None,
        request_headers=request_headers,
        response_headers=response_headers,
        request_body=request_body,
        response_body=response_body,
        arrivals=arrivals,
        started_at=frame.started_at,
        sent_at=frame.sent_at - frame.began if frame.sent_at else None,
        first_byte_at=frame.first_byte_at - frame.began if frame.first_byte_at else None,
        ended_at=frame.ended_at - frame.began,
        request_size=size_of(frame.request_size, frame.request_cut, request_body),
        response_size=size_of(frame.response_size, frame.response_cut, response_body),
        request_cut=frame.request_cut,
        response_cut=frame.response_cut,
        error_type=frame.error_type,
        provider=place.provider,
        credential=frame.credential or None,
        request_arrivals=request_arrivals,
        part=frame.part,
        last=frame.last,
        response_tail=tail_of(frame.response_tail, response_headers),
    )


def trace_of(frame: Frame) -> TraceContext:
    """The ids as text, as everything behind the proxy has them."""
    return TraceContext(
        trace_id=frame.trace_id.decode(),
        server_span_id=frame.server_span_id.decode(),
        client_span_id=frame.client_span_id.decode(),
        parent_span_id=frame.parent_span_id.decode() or None,
        sampled=bool(frame.flags & 1),
        tracestate=frame.tracestate.decode("latin-1") or None,
    )


def read_lines(head: bytes) -> tuple[str, Headers]:
    """A head that the proxy has checked → its first line and its fields."""
    if not head:
        return "", ()
    start_line, *lines = head.decode("latin-1").split("\r\n")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name, value.strip(" \t")))
    return start_line, tuple(fields)


def without_secret_query(target: str) -> str:
    """The target with the values of credential parameters replaced."""
    path, mark, query = target.partition("?")
    return path + mark + "&".join(map(without_secret, query.split("&"))) if mark else target


def without_secret(parameter: str) -> str:
    """`key=value`, whose name may be percent-encoded."""
    name, equals, _ = parameter.partition("=")
    return f"{name}=REDACTED" if equals and SECRET_PARAMETER.search(unquote(name)) else parameter


def size_of(wire_size: int, cut: bool, body: bytes) -> int:
    """Body bytes on the wire: exact when the copy is whole, with chunk framing counted when it was cut."""
    return wire_size if cut else len(body)


def body_of(
    pieces: list[bytes], headers: Headers, marks: list[int], began: int
) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """The captured pieces → the body without chunk framing, and the arrivals moved to match."""
    raw = b"".join(pieces)
    arrivals = [(offset, time - began) for offset, time in zip(marks[::2], marks[1::2], strict=True)]
    if not any(name.lower() == "transfer-encoding" for name, _ in headers):
        return raw, tuple(arrivals)
    return unchunk(raw, arrivals)


def tail_of(pieces: list[bytes], headers: Headers) -> bytes:
    """The last pieces of a body without chunk framing, which may begin anywhere in a chunk."""
    raw = b"".join(pieces)
    if not any(name.lower() == "transfer-encoding" for name, _ in headers):
        return raw
    trailers = trailers_of(raw)
    seen: set[int] = set()
    for border in CHUNK_BORDER.finditer(raw):
        joined = chunks_from(raw, border.end(), trailers, seen)
        if joined is not None:
            return raw[: border.start()] + joined
    return b""


def trailers_of(raw: bytes) -> int:
    """The place from which on there are only trailer fields and the empty line; behind the end where it is missing."""
    *lines, last, behind = (b"", *raw.split(b"\r\n"))
    if last or behind:
        return len(raw) + 1
    position = len(raw) - 2
    for line in reversed(lines):
        if not TRAILER.fullmatch(line):
            break
        position -= len(line) + 2
    return position


def chunks_from(raw: bytes, position: int, trailers: int, seen: set[int]) -> bytes | None:
    """The data of the chunks from a size line on; None when they do not end as chunks do, so that it was none.

    `seen` are size lines that led to no end: they are not followed again.
    """
    parts: list[bytes] = []
    while position not in seen and (match := CHUNK_SIZE.match(raw, position)):
        seen.add(position)
        size, start = int(match[1], 16), match.end()
        if not size:
            return b"".join(parts) if start >= trailers else None
        position = start + size + 2
        if raw[position - 2 : position] != b"\r\n":
            break
        parts.append(raw[start : start + size])
    return None


def unchunk(raw: bytes, arrivals: list[tuple[int, int]]) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Chunk data joined, as far as the copy goes; each arrival's offset moved from the raw bytes to the joined ones."""
    parts: list[bytes] = []
    moved: list[tuple[int, int]] = []
    position = joined = 0
    marks = iter(arrivals)
    mark = next(marks, None)
    while (line_end := raw.find(b"\r\n", position)) >= 0:
        digits = raw[position:line_end].partition(b";")[0].rstrip(b" \t")
        if not digits or digits.translate(None, HEX_DIGITS):
            break  # the proxy refused it too: what came before is the body
        size = int(digits, 16)
        start, end = line_end + 2, line_end + 2 + size
        while mark is not None and mark[0] < end:
            moved.append((joined + max(mark[0] - start, 0), mark[1]))
            mark = next(marks, None)
        part = raw[start:end]
        parts.append(part)
        joined += len(part)
        position = end + 2
        if not size:
            break
    return b"".join(parts), tuple(moved)

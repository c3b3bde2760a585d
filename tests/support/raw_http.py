"""HTTP/1.1 messages read from a raw connection by the letter, keeping every byte; a second opinion, not a library's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.raw_connection import RawConnection

HeaderList = list[tuple[str, str]]


@dataclass
class Body:
    """`raw` as on the wire, `content` without chunk framing; not `complete` when the connection ended before it."""

    raw: bytes = b""
    content: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False


@dataclass
class Message:
    """A head and its body; header names and values as sent, decoded as Latin-1."""

    raw_head: bytes
    start: str
    headers: HeaderList
    body: Body

    def values(self, name: str) -> list[str]:
        """Every value of this header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def content(self) -> bytes:
        """The whole body without chunk framing; fails when it did not arrive whole."""
        assert self.body.complete, f"the body ended early: {self.body.raw!r}"
        return self.body.content

    def value(self, name: str) -> str | None:
        """The only value of this header, or None."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def headers_without(self, *names: str) -> HeaderList:
        """The headers in order, those named left out."""
        return [(key, value) for key, value in self.headers if key.lower() not in names]


@dataclass
class Request(Message):
    """What the upstream saw."""

    @property
    def method(self) -> str:
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]


@dataclass
class Response(Message):
    """What the client saw."""

    @property
    def version(self) -> str:
        return self.start.split(" ")[0]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2]


async def read_request(connection: RawConnection) -> Request:
    """The next request with its whole body."""
    request = await read_request_head(connection)
    request.body = await read_body(connection, request, otherwise=0)
    return request


async def read_request_head(connection: RawConnection) -> Request:
    """The next request's head; its body stays on the connection."""
    return Request(*await read_head(connection), Body())


async def read_response(connection: RawConnection, *, to: str = "GET") -> Response:
    """The next response to a request with method `to`; a 1xx counts as one, without a body."""
    response = await read_response_head(connection)
    if to == "HEAD" or response.status in (204, 304) or response.status < 200:
        response.body.complete = True
    else:
        response.body = await read_body(connection, response, otherwise=None)
    return response


async def read_response_head(connection: RawConnection) -> Response:
    """The next response's head; its body stays on the connection."""
    return Response(*await read_head(connection), Body())


async def read_head(connection: RawConnection) -> tuple[bytes, str, HeaderList]:
    """Raw head, start line and headers; fails on anything but CRLF-ended lines of the expected form."""
    lines = [await _head_line(connection)]
    while lines[-1] != b"\r\n":
        lines.append(await _head_line(connection))
    fields = [re.fullmatch(rb"([^\s:]+):[ \t]*(.*?)[ \t]*\r\n", line, re.DOTALL) for line in lines[1:-1]]
    assert all(fields), f"not a header block: {lines}"
    headers = [(match[1].decode("latin-1"), match[2].decode("latin-1")) for match in fields if match]
    return b"".join(lines), lines[0].removesuffix(b"\r\n").decode("latin-1"), headers


async def _head_line(connection: RawConnection) -> bytes:
    line = await connection.take_line()
    assert line.endswith(b"\r\n"), f"the connection ended in the middle of a head: {line!r}"
    return line


async def read_body(connection: RawConnection, message: Message, *, otherwise: int | None) -> Body:
    """The body by its framing; without any, `otherwise` bytes, None meaning up to the end of the connection."""
    encoding, lengths = message.values("transfer-encoding"), message.values("content-length")
    assert not (encoding and lengths), f"framed twice: {message.raw_head!r}"
    assert len(lengths) <= 1, f"several lengths: {message.raw_head!r}"
    if encoding:
        assert encoding == ["chunked"], f"unknown framing: {encoding}"
        return await _chunked_body(connection)
    length = int(lengths[0]) if lengths else otherwise
    if length is None:
        content = await connection.until_ended()
        return Body(content, content, complete=not connection.reset)
    content = await connection.take(length)
    return Body(content, content, complete=len(content) == length)


async def _chunked_body(connection: RawConnection) -> Body:
    raw, chunks, complete = bytearray(), list[bytes](), False
    while not complete:
        line = await connection.take_line()
        raw += line
        if not line.endswith(b"\r\n"):
            break
        match = re.fullmatch(rb"([0-9A-Fa-f]+)(;[^\r\n]*)?\r\n", line)
        assert match, f"not a chunk size: {line!r}"
        if size := int(match[1], 16):
            data = await connection.take(size + 2)
            raw += data
            chunks.append(data[:size])
            assert len(data) < size + 2 or data.endswith(b"\r\n"), "a chunk is longer than its size"
        else:
            complete = await _read_trailers(connection, raw)
            break
    return Body(bytes(raw), b"".join(chunks), chunks, complete)


async def _read_trailers(connection: RawConnection, raw: bytearray) -> bool:
    while (line := await connection.take_line()).endswith(b"\r\n"):
        raw += line
        if line == b"\r\n":
            return True
    raw += line
    return False


def request_bytes(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    host: str | None = "sidecar.test",
    version: str = "HTTP/1.1",
) -> bytes:
    """A request as exact bytes; a body brings its Content-Length."""
    fields = [("Host", host)] if host is not None else []
    fields += headers
    if body is not None:
        fields.append(("Content-Length", str(len(body))))
    return _message_bytes(f"{method} {target} {version}", fields, body or b"")


def response_bytes(
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = b"",
    *,
    reason: str = "OK",
    version: str = "HTTP/1.1",
) -> bytes:
    """A response as exact bytes; a body brings its Content-Length, None brings neither."""
    fields = list(headers)
    if body is not None:
        fields.append(("Content-Length", str(len(body))))
    return _message_bytes(f"{version} {status} {reason}", fields, body or b"")


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """These chunks in chunked framing; `end=b""` leaves the body open."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def chunked_response(*chunks: bytes, headers: Iterable[tuple[str, str]] = (), end: bytes = b"0\r\n\r\n") -> bytes:
    """A 200 with these chunks."""
    head = response_bytes(200, [*headers, ("Transfer-Encoding", "chunked")], None)
    return head + chunked(*chunks, end=end)


def _message_bytes(start: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body

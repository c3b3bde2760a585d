"""What is fuzzed: each target takes bytes and raises when something that must hold for all bytes does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec

from pipeline.frame import unchunk
from pipeline.records import Capture, Exchange
from proxy.framing import Chunked, FramingError
from proxy.heads import BadHead, read_request_head, read_response_head
from proxy.splice import FrameWalker
from tests.support.records import a_capture
from tests.wire.cases import CASES, STREAMING, read_case
from wire import exchanges_of
from wire.bodies import MAX_EXPANDED, expand
from wire.multipart import fields_of
from wire.shapes import Shapes
from wire.sse import SseParser
from wire.streams import READERS
from wire.websocket import Deflate, messages

FOUND = Path(__file__).parent / "found"
Target = Callable[[bytes], None]
CODINGS = ("gzip", "deflate", "br", "zstd", "gzip, br")


def pieces(data: bytes) -> Iterator[bytes]:
    """The bytes after the first, divided as the first says."""
    step = max(1, data[0]) if data else 1
    yield from (data[start : start + step] for start in range(1, len(data), step))


def sse(data: bytes) -> None:
    """Events do not depend on how the bytes are divided."""
    parser, whole = SseParser(), SseParser()
    divided = [event for piece in pieces(data) for event in parser.feed(piece)]
    assert divided == whole.feed(data[1:])
    assert parser.leftover() == whole.leftover()


def streams(data: bytes) -> None:
    """Every way of streaming reads on, in order, and within the body."""
    for streaming in STREAMING.values():
        offsets = [piece.offset for piece in READERS[streaming](data, Shapes())]
        assert all(before <= after for before, after in pairwise(offsets))
        assert all(0 <= offset < len(data) for offset in offsets)


def bodies(data: bytes) -> None:
    """No body grows beyond its bound, and its arrivals stay within it."""
    coding = CODINGS[data[0] % len(CODINGS)] if data else ""
    body = expand(data[1:], (("content-encoding", coding),), ((0, 1), (len(data) // 2, 2)))
    assert len(body.data) <= MAX_EXPANDED
    assert all(offset <= len(body.data) for offset, _ in body.arrivals)


def forms(data: bytes) -> None:
    """A form of any bytes is fields or nothing."""
    fields = fields_of(data, "multipart/form-data; boundary=b", Shapes())
    assert all(type(name) is str for name in fields)


def websocket_lengths(data: bytes) -> None:
    """Where messages end does not depend on how the bytes are divided."""
    divided, whole = FrameWalker(), FrameWalker()
    for piece in pieces(data):
        divided.feed(piece)
    whole.feed(data[1:])
    assert (divided.between_messages, divided.sound) == (whole.between_messages, whole.sound)


def websockets(data: bytes) -> None:
    """What one side sent is messages in order, as large as they may be, whatever was agreed."""
    mode = data[0] if data else 0
    read, problem = messages(data[1:], bool(mode & 1), Deflate(9 + mode % 7, bool(mode & 2)) if mode & 4 else None)
    assert problem in (None, "websocket_cut", "websocket_broken", "expansion_limit")
    assert all(0 <= message.offset < len(data) for message in read)  # a ping may come within a message
    assert sum(len(message.data) for message in read) <= MAX_EXPANDED + len(data)


def heads(data: bytes) -> None:
    """A head, up to its empty line, is read or refused."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return
    raw = data[:end]
    for read in (lambda: read_request_head(raw, 128), lambda: read_response_head(raw, b"GET", upgrades=True)):
        try:
            read()
        except BadHead:
            continue


def chunks(data: bytes) -> None:
    """What the framing passes is what the pipeline joins again, and nothing behind its end is taken."""
    framing, raw = Chunked(), bytearray()
    framing.payload = []
    try:
        for piece in pieces(data):
            raw += piece[: framing.feed(piece)]
            if framing.done:
                break
    except FramingError:
        return
    joined, _ = unchunk(bytes(raw), [])
    assert joined == framing.take_payload()


def exchange(data: bytes) -> None:
    """Any bytes in any format's place become exchanges that the journal can hold, without a failing decoder."""
    for each in exchanges_of(capture_of(data)):
        assert each.decode_error != "decoder_failed"
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(each), type=Exchange) == each or each.parameters


def capture_of(data: bytes) -> Capture:
    """Two bytes choose a recorded case, four say how long the request is, then the request and the response."""
    number, length = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:6], "big")
    if not CASES:
        return a_capture()
    request, response = data[6 : 6 + length], data[6 + length :]
    return msgspec.structs.replace(
        read_case(CASES[number % len(CASES)]), request_body=request, response_body=response, arrivals=()
    )


def seed_of(case: str) -> bytes:
    """The recorded case as `exchange` reads it."""
    capture = read_case(case)
    head = CASES.index(case).to_bytes(2, "big") + len(capture.request_body).to_bytes(4, "big")
    return head + capture.request_body + capture.response_body


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """What fuzzing of this target begins with."""
    if target == "websockets":
        return (b"\0\x81\x02hi\x01\x01a\x89\x00\x80\x01b\x88\x02\x03\xe8", b"\1\x81\x82\0\0\0\0hi",
                b"\4\xc1\x07\xf2H\xcd\xc9\xc9\x07\x00")  # fmt: skip
    if target == "forms":
        field = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        file = (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n'
        )
        return (field + file + b"--b--\r\n",)
    if target == "chunks":
        return (b"\x05" + b"4;a=b\r\nabcd\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",)
    if target == "exchange":
        return tuple(map(seed_of, CASES))
    if target == "heads":
        return (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\nX: 1\r\n\r\n",
                b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")  # fmt: skip
    streams_only = tuple(b"\x07" + read_case(case).response_body for case in CASES)
    return streams_only if target in ("sse", "streams", "bodies") else ()


TARGETS: Mapping[str, Target] = {
    each.__name__: each
    for each in (sse, streams, bodies, forms, websocket_lengths, websockets, heads, chunks, exchange)
}


def found(target: str) -> list[Path]:
    """The cases that fuzzing has found for this target, kept for ever."""
    return sorted((FOUND / target).glob("*"))

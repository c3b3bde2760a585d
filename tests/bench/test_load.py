"""The bench's own two ends understand each other, so that a figure of nothing cannot look like a good figure."""

from __future__ import annotations

import re

import pytest

from bench.http1 import INCOMPLETE, message_end
from bench.payloads import STAMP, answer, last_chunks, request, word_chunk

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "message",
    [
        request("127.0.0.1:1"),
        answer(),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        CHUNKED + b"0\r\n\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_a_message_ends_where_its_last_byte_is(message: bytes) -> None:
    assert [message_end(message[:size]) for size in range(len(message))] == [INCOMPLETE] * len(message)
    assert message_end(message + b"GET /next") == len(message)


@pytest.mark.parametrize("chunk", [word_chunk(0), word_chunk(7), last_chunks()])
def test_a_streamed_chunk_is_framed_at_its_true_length(chunk: bytes) -> None:
    size, body = re.match(rb"([0-9a-f]+)\r\n(.*)", chunk, re.DOTALL).groups()
    assert body[int(size, 16) :].startswith(b"\r\n")
    assert body[: int(size, 16)].endswith(b"\n\n")


@pytest.mark.parametrize("chunk", [word_chunk(0), last_chunks()])
def test_what_is_written_at_once_carries_one_time(chunk: bytes) -> None:
    assert len(STAMP.findall(chunk)) == 1

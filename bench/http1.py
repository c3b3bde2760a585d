"""As much HTTP/1.1 as the bench's own two ends need, and not one microsecond more."""

from __future__ import annotations

import asyncio
import re
from typing import cast

CONTENT_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
INCOMPLETE = -1


def message_end(data: bytes) -> int:
    """Where the first HTTP message in `data` ends, or INCOMPLETE; a message without a stated length has no body."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return INCOMPLETE
    if length := CONTENT_LENGTH.search(data, 0, head_end):
        end = head_end + 4 + int(length[1])
        return end if end <= len(data) else INCOMPLETE
    if b"chunked" not in data[:head_end].lower():
        return head_end + 4
    last = data.find(b"\r\n0\r\n\r\n", head_end + 2)
    return last + 7 if last >= 0 else INCOMPLETE


class Server(asyncio.Protocol):
    """Calls `answer(request)` with every whole request, in order; requests are never pipelined here."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.pending:
            data = self.pending + data
        end = message_end(data)
        if end == INCOMPLETE:
            self.pending = data
            return
        self.pending = data[end:]
        self.answer(data[:end])

    def answer(self, request: bytes) -> None:
        raise NotImplementedError

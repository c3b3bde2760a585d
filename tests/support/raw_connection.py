"""One end of a real connection under a test's control: exact bytes in and out, and the moment it ended."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import cast

PATIENCE = 5.0  # seconds any wait of the test support may take before the test fails
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time; closing sends RST


class RawConnection(asyncio.Protocol):
    """Keeps what came until it is taken; `ended` is set by the peer's FIN or RST, `reset` tells which."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.ended_at: float | None = None
        self.reset = False
        self.lost = asyncio.Event()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._arrived.set()

    def eof_received(self) -> bool:
        self._end()
        return self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.reset = isinstance(exc, ConnectionResetError)
        self._end()
        self.lost.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Write and wait until the kernel has it, or the connection is gone."""
        self.write(data)
        async with asyncio.timeout(PATIENCE):
            await self._writable.wait()

    def write(self, data: bytes) -> None:
        """Write without waiting; nothing when the connection is gone."""
        if not self.transport.is_closing():
            self.transport.write(data)

    async def send_byte_by_byte(self, data: bytes) -> None:
        """One write per byte, with a turn of the loop between them."""
        for position in range(len(data)):
            self.write(data[position : position + 1])
            await asyncio.sleep(0)

    async def push(self, block: bytes, limit: int, stall: float = 0.3) -> int:
        """Write `block` until `limit` bytes are taken or the peer takes none for `stall` seconds; bytes written."""
        self.transport.set_write_buffer_limits(high=0)
        written = 0
        while written < limit and not self.transport.is_closing():
            self.transport.write(block)
            written += len(block)
            try:
                await asyncio.wait_for(self._writable.wait(), stall)
            except TimeoutError:
                break
        return written

    async def until(self, found: Callable[[], bool]) -> None:
        """Wait for bytes until `found` is true or the peer has ended."""
        async with asyncio.timeout(PATIENCE):
            while not found() and not self.ended.is_set():
                self._arrived.clear()
                await self._arrived.wait()

    async def until_spoken_to(self) -> bool:
        """Wait, for as long as the connection is kept, for the peer's next bytes; False when it ended without any."""
        while not self.received and not self.ended.is_set():
            self._arrived.clear()
            await self._arrived.wait()
        return bool(self.received)

    async def until_received(self, marker: bytes) -> None:
        """Wait until `marker` is among the bytes not yet taken; takes nothing."""
        await self.until(lambda: marker in self.received)
        assert marker in self.received, f"the connection ended before {marker!r} came: {bytes(self.received)!r}"

    async def until_ended(self) -> bytes:
        """Wait for the peer's FIN or RST; what came before it and was not taken."""
        await self.until(lambda: False)
        return self._take(len(self.received))

    async def take(self, count: int) -> bytes:
        """The next `count` bytes; fewer when the peer ended."""
        await self.until(lambda: len(self.received) >= count)
        return self._take(count)

    async def take_line(self) -> bytes:
        """Up to and with the next LF; without it when the peer ended."""
        await self.until(lambda: b"\n" in self.received)
        end = self.received.find(b"\n")
        return self._take(len(self.received) if end < 0 else end + 1)

    def half_close(self) -> None:
        """FIN: nothing more will be sent, everything is still read."""
        self.transport.write_eof()

    def close(self) -> None:
        """FIN after what is written; nothing more is read."""
        self.transport.close()

    def abort(self) -> None:
        """RST, whatever is still unsent."""
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    async def gone(self) -> None:
        """Drop the connection and wait until the loop has forgotten it."""
        self.transport.abort()
        async with asyncio.timeout(PATIENCE):
            await self.lost.wait()

    def pause_reading(self) -> None:
        """Leave what comes in the kernel's buffer."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def _end(self) -> None:
        if self.ended_at is None:
            self.ended_at = asyncio.get_running_loop().time()
        self.ended.set()
        self._arrived.set()

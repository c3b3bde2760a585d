"""A client that sends exactly the bytes it is given and reads exactly the bytes that come back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tests.support.raw_connection import RawConnection
from tests.support.raw_http import Response, read_response, read_response_head, request_bytes


class RawClient(RawConnection):
    """One client connection."""

    @classmethod
    async def open(cls, address: int | Path, *, tls: ssl.SSLContext | None = None, host: str = "localhost") -> Self:
        """Connect to a port of 127.0.0.1 or to a Unix socket; with TLS, `host` is the name verified."""
        loop = asyncio.get_running_loop()
        name = host if tls else None
        if isinstance(address, Path):
            _, client = await loop.create_unix_connection(cls, str(address), ssl=tls, server_hostname=name)
        else:
            _, client = await loop.create_connection(cls, "127.0.0.1", address, ssl=tls, server_hostname=name)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.gone()

    async def response(self, *, to: str = "GET") -> Response:
        """The next response (a 1xx is one), to a request with method `to`."""
        return await read_response(self, to=to)

    async def response_head(self) -> Response:
        """The next response's head; its body stays to be read."""
        return await read_response_head(self)

    async def exchange(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """Send one request and read its final response."""
        await self.send(request_bytes(method, target, headers, body))
        return await self.response(to=method)

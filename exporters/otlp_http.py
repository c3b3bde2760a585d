"""OTLP over HTTP, with the protocol's rules for every status; see the OTLP specification 1.11."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from types import TracebackType
from typing import Final, Literal, Self

import aiohttp

from exporters.otlp_coding import Coding
from exporters.otlp_sender import Signal, TooLarge
from pipeline.errors import Permanent, Retryable
from pipeline.retry_after import seconds_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RETRYABLE = frozenset((429, 502, 503, 504))
LONGEST_RESPONSE = 4 * 2**20
LONGEST_MESSAGE = 200

Compression = Literal["gzip", "zstd", "none"]
COMPRESSORS: Final[dict[Compression, Callable[[bytes], bytes]]] = {
    "gzip": lambda body: gzip.compress(body, 1),
    "zstd": zstd.compress,
    "none": lambda body: body,
}


class HttpSender:
    """Posts requests to each signal's URL over kept-alive connections. Never tells a header's value."""

    def __init__(
        self,
        urls: Mapping[Signal, str],
        headers: Mapping[str, str],
        *,
        coding: Coding,
        compression: Compression,
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._urls = urls
        self._coding = coding
        self._headers = {**headers, "Content-Type": coding.content_type}
        if compression != "none":
            self._headers["Content-Encoding"] = compression
        self._compressed = COMPRESSORS[compression]
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._tls = tls

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls or True)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, signal: Signal, request: bytes) -> tuple[int, str]:
        """Post one request; see Sender.send. No answer at all is worth another try."""
        # A few megabytes would hold up the event loop; compression works without the GIL.
        body = await asyncio.to_thread(self._body, signal, request)
        try:
            return await self._post(signal, body)
        except aiohttp.InvalidURL as error:
            raise Permanent(f"{signal}: the endpoint is not a URL") from error
        except TimeoutError as error:
            raise Retryable(f"{signal}: no answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise Retryable(f"{signal}: {type(error).__name__}") from error

    def _body(self, signal: Signal, request: bytes) -> bytes:
        return self._compressed(self._coding.written(signal, request))

    async def _post(self, signal: Signal, body: bytes) -> tuple[int, str]:
        data = BytesIO(body)  # written piece by piece: a large body must not hold up the event loop
        async with self._session.post(self._urls[signal], data=data, allow_redirects=False) as response:
            answer = await bounded(response)
            if 200 <= response.status < 300:
                return self._coding.refused_items(signal, answer)
            reason = self._coding.message_in(answer)[:LONGEST_MESSAGE]
            raise refusal(signal, response.status, reason, response.headers.get("Retry-After"))


async def bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to 4 MiB of it."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_RESPONSE:
            break
    return bytes(body)


def refusal(what: str, status: int, reason: str, retry_after: str | None) -> Exception:
    """The error whose type is the protocol's decision for this status."""
    message = f"{what}: HTTP {status} {reason}".rstrip()
    if status in RETRYABLE:
        return Retryable(message, seconds_until(retry_after))
    return TooLarge(message) if status == 413 else Permanent(message)

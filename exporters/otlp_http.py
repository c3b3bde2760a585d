"""OTLP over HTTP/protobuf, with the protocol's rules for every status; see the OTLP specification 1.11."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from exporters.otlp_sender import Signal, TooLarge, partial_success
from pipeline.errors import Permanent, Retryable

RETRYABLE = frozenset((429, 502, 503, 504))
LONGEST_RESPONSE = 4 * 2**20
LONGEST_MESSAGE = 200


class HttpSender:
    """Posts requests to `{endpoint}/v1/{signal}` over kept-alive connections. Never tells a header's value."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        compress: bool,
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        if compress:
            self._headers["Content-Encoding"] = "gzip"
        self._compress = compress
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
        # Compression of a few megabytes would hold up the event loop; zlib works without the GIL.
        body = await asyncio.to_thread(gzip.compress, request, 1) if self._compress else request
        try:
            return await self._post(signal, body)
        except aiohttp.InvalidURL as error:
            raise Permanent(f"{signal}: the endpoint is not a URL") from error
        except TimeoutError as error:
            raise Retryable(f"{signal}: no answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise Retryable(f"{signal}: {type(error).__name__}") from error

    async def _post(self, signal: Signal, body: bytes) -> tuple[int, str]:
        url = f"{self._endpoint}/v1/{signal}"
        async with self._session.post(url, data=body, allow_redirects=False) as response:
            answer = await bounded(response)
            if 200 <= response.status < 300:
                return refused_items(signal, answer)
            raise refusal(signal, response.status, answer, response.headers.get("Retry-After"))


async def bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to 4 MiB of it."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_RESPONSE:
            break
    return bytes(body)


def refused_items(signal: Signal, answer: bytes) -> tuple[int, str]:
    """Partial success; a body that is none means that everything was taken."""
    try:
        return partial_success(signal, answer)
    except DecodeError:
        return 0, ""


def refusal(signal: Signal, status: int, answer: bytes, retry_after: str | None) -> Exception:
    """The error whose type is the protocol's decision for this status."""
    message = f"{signal}: HTTP {status} {reason_in(answer)}".rstrip()
    if status in RETRYABLE:
        return Retryable(message, seconds_until(retry_after))
    return TooLarge(message) if status == 413 else Permanent(message)


def reason_in(answer: bytes) -> str:
    """What the Status message in an error's body says."""
    try:
        return str(Status.FromString(answer).message)[:LONGEST_MESSAGE]
    except DecodeError:
        return ""


def seconds_until(retry_after: str | None) -> float | None:
    """A Retry-After header, in seconds or as a date, as seconds from now; None if there is none to be understood."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", retry_after):
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None

"""JSON over HTTP to a backend's own API, with the same rules for every status that OTLP has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import orjson

from exporters.otlp_http import bounded, refusal
from exporters.resource import product_version
from pipeline.errors import Retryable


class JsonPosts:
    """Kept-alive connections to one backend. Never tells a header's value."""

    def __init__(self, what: str, headers: Mapping[str, str], timeout: float) -> None:
        self._what = what  # goes before every complaint
        self._headers = {**headers, "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def __aenter__(self) -> Self:
        agent = f"sidelight/{await asyncio.to_thread(product_version)}"  # it reads the package's files
        self._session = aiohttp.ClientSession(headers={**self._headers, "User-Agent": agent}, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, url: str, body: Any) -> None:
        """One request; raises Retryable or Permanent."""
        try:
            async with self._session.post(url, data=orjson.dumps(body), allow_redirects=False) as response:
                answer = await bounded(response)
        except TimeoutError as error:
            raise Retryable(f"{self._what}: no answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise Retryable(f"{self._what}: {type(error).__name__}") from error
        if not 200 <= response.status < 300:
            reason = answer.decode("utf-8", "replace")[:200]
            raise refusal(self._what, response.status, reason, response.headers.get("Retry-After"))


def checked(endpoint: str) -> str:
    """The base URL without a slash at its end; ValueError for one that cannot work, or would leak."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"endpoint: {endpoint!r} is no URL; write http://host:port")
    if parts.username or parts.password:
        raise ValueError("endpoint: a user or password in a URL would leak; set a header instead")
    return endpoint.rstrip("/")

"""A backend with an API of its own, in the test's process: keeps what is posted, and answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web


class Posted(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any


class JsonBackend:
    """`script` holds the next answers, (status, headers); without one everything is taken."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.script: deque[tuple[int, dict[str, str]]] = deque()
        self.endpoint = ""

    async def answer(self, request: web.Request) -> web.Response:
        status, headers = self.script.popleft() if self.script else (200, {})
        if status < 300:
            self.posted.append(Posted(request.path, dict(request.headers), await request.json()))
        return web.Response(status=status, headers=headers, text="not this one" if status >= 300 else "{}")


@asynccontextmanager
async def json_backend() -> AsyncIterator[JsonBackend]:
    """Listening on a free port."""
    backend = JsonBackend()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{path:.*}", backend.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    backend.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield backend
    finally:
        await runner.cleanup()

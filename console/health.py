"""Is it serving? One small page for orchestrators and people: GET / answers 200 or 503 with a JSON body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from pipeline.listening import site_of

Status = Callable[[], tuple[bool, Mapping[str, Any]]]  # (serving, details)


async def serve_health(address: str, status: Status) -> web.AppRunner:
    """Listen on `host:port` or `unix:/path`; the caller cleans the runner up. OSError when the address is taken."""

    async def answer(_: web.Request) -> web.Response:
        serving, details = status()
        return web.json_response(dict(details), status=200 if serving else 503)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await site_of(runner, address).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner

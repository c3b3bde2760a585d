"""The listening side of an address in the configuration, for the small servers behind the proxy."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from pipeline.condition import Condition

AGAIN: Final = 5.0  # seconds until an address that is taken is tried again

log = logging.getLogger("sidelight")


def site_of(runner: web.AppRunner, address: str) -> web.BaseSite:
    """`host:port`, `[::1]:port` or `unix:/path`, not started yet."""
    if address.startswith("unix:"):
        return web.UnixSite(runner, address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return web.TCPSite(runner, host.strip("[]"), int(port))


@asynccontextmanager
async def keep_listening(runner: web.AppRunner, address: str, condition: Condition, name: str) -> AsyncIterator[None]:
    """Serve while the block lasts, from its beginning on. An address that is taken is waited for, told once, and costs
    nothing else."""
    await runner.setup()
    waiting = None
    if not await listens(runner, address, condition, name):
        waiting = asyncio.ensure_future(wait_for(runner, address, condition, name))
    try:
        yield
    finally:
        if waiting:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await runner.cleanup()


async def wait_for(runner: web.AppRunner, address: str, condition: Condition, name: str) -> None:
    """Until whoever has it lets it go."""
    while True:
        await asyncio.sleep(AGAIN)
        if await listens(runner, address, condition, name):
            return


async def listens(runner: web.AppRunner, address: str, condition: Condition, name: str) -> bool:
    """Does it, from now on?"""
    try:
        await site_of(runner, address).start()
    except OSError as error:
        problem = f"cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}"
        if condition.error is None:
            log.error("%s: %s", name, problem)
        condition.failing(problem)
        return False
    condition.well()
    return True

"""The listening side of an address in the configuration, for the small servers behind the proxy."""

from __future__ import annotations

from aiohttp import web


def site_of(runner: web.AppRunner, address: str) -> web.BaseSite:
    """`host:port`, `[::1]:port` or `unix:/path`, not started yet."""
    if address.startswith("unix:"):
        return web.UnixSite(runner, address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return web.TCPSite(runner, host.strip("[]"), int(port))

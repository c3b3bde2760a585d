"""The proxy process: a ProxyServer on the supervisor's socket, its captures into the hand-off."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from typing import Any, Final

from config.load import settings_from
from pipeline.loop_lag import LoopLag
from pipeline.proxy_counters import SUMS
from pipeline.ring import RING_FULL, TOO_LARGE, HandOffFds, HandOffWriter
from proxy.server import ProxyServer
from sidelight.process import first_of, ignore, on_sigterm, read_lines, report, set_up_logging

PUBLISH_EVERY: Final = 0.2  # seconds


async def run(setup: dict[str, Any]) -> None:
    """Serve until SIGTERM, then drain; a second SIGTERM closes at once."""
    settings = settings_from(setup["settings"])
    set_up_logging(settings.service.log_level)
    hand_off = HandOffWriter(HandOffFds(*setup["hand_off"]))
    server = ProxyServer(settings.proxy, hand_off.offer, bytes.fromhex(setup["salt"]), setup["exposed"])
    lag = LoopLag()
    publish = publisher(server, hand_off, lag)
    stopping = on_sigterm(server.close)
    control = asyncio.ensure_future(read_lines(ignore, stopping.set))
    lag.start()
    await server.start(socket.socket(fileno=setup["listener"]))
    gc.freeze()  # what start-up made stays: collections need not look at it again
    gc.set_threshold(50_000, 50, 100)
    report(setup["status"], ready=True)
    try:
        while not stopping.is_set():
            publish()
            await first_of(stopping.wait(), PUBLISH_EVERY)
        await server.drain(settings.proxy.limits.drain)
    finally:
        publish()
        control.cancel()


def publisher(server: ProxyServer, hand_off: HandOffWriter, lag: LoopLag) -> Callable[[], None]:
    """Shows this process's counters to the pipeline; sums go on from where the process before this one died."""
    base = hand_off.published(len(SUMS))
    counters = server.counters

    def publish() -> None:
        refused = hand_off.refused
        sums = (
            hand_off.offered,
            refused[RING_FULL],
            refused[TOO_LARGE],
            counters.cut,
            counters.requests,
            counters.refusals,
            counters.invalid_requests,
            counters.rejected_connections,
            counters.failures,
            counters.client_disconnects,
            counters.parts,
            server.outbox.compared,
            server.outbox.mismatched,
        )
        levels = (server.active_requests, server.open_connections, server.upstream_connections, server.budget.used)
        hand_off.publish([*map(sum, zip(base, sums, strict=True)), *levels, round(lag.worst * 1e6)])

    return publish

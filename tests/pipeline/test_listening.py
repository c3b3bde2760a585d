from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from pipeline.condition import Condition
from pipeline.listening import keep_listening
from tests.support.sidecar import eventually


async def test_an_address_that_is_taken_is_waited_for_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.listening.AGAIN", 0.01)
    taken = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    condition = Condition()
    async with keep_listening(web.AppRunner(web.Application()), address, condition, "page"):
        await eventually(lambda: condition.state == "StatusRecoverableError")
        assert condition.error == f"cannot listen on {address}: Address already in use"
        taken.close()
        await eventually(lambda: condition.state == "StatusOK")
        _, writer = await asyncio.open_connection(*address.split(":"))
        writer.close()


async def test_after_the_block_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    condition = Condition()
    async with keep_listening(web.AppRunner(web.Application()), f"127.0.0.1:{port}", condition, "page"):
        pass
    with pytest.raises(OSError, match="refused"):
        await asyncio.open_connection("127.0.0.1", port)

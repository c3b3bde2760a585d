"""An address is a TCP port or a socket file."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from pipeline.listening import site_of


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix:"])
async def test_the_address_is_listened_on(address: str, tmp_path: Path) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    if address == "unix:":
        address += str(tmp_path / "socket")
    await site_of(runner, address).start()
    (bound,) = runner.addresses
    assert bound == address.removeprefix("unix:") or bound[0] == address.rpartition(":")[0].strip("[]")
    await runner.cleanup()

"""The page that orchestrators look at."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from console.health import serve_health


def a_status(serving: bool) -> Any:
    def status() -> tuple[bool, Mapping[str, Any]]:
        return serving, {"serving": serving, "processes": {"pipeline": {"ready": True}}}

    return status


@pytest.mark.parametrize(("serving", "code"), [(True, 200), (False, 503)])
async def test_the_page_answers_by_what_is_the_case(serving: bool, code: int) -> None:
    runner = await serve_health("127.0.0.1:0", a_status(serving))
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        assert response.status == code
        assert await response.json() == {"serving": serving, "processes": {"pipeline": {"ready": True}}}
    await runner.cleanup()


async def test_there_is_one_page_and_it_is_read_only() -> None:
    runner = await serve_health("127.0.0.1:0", a_status(True))
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/other") as response:
            assert response.status == 404
        async with session.post(f"{base}/") as response:
            assert response.status == 405
    await runner.cleanup()


async def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "health.sock"
    runner = await serve_health(f"unix:{path}", a_status(True))
    connector = aiohttp.UnixConnector(str(path))
    async with aiohttp.ClientSession(connector=connector) as session, session.get("http://health/") as response:
        assert response.status == 200
    await runner.cleanup()


async def test_it_listens_on_ipv6() -> None:
    try:
        runner = await serve_health("[::1]:0", a_status(True))
    except OSError:
        pytest.skip("no IPv6 here")
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session, session.get(f"http://[::1]:{port}/") as response:
        assert response.status == 200
    await runner.cleanup()


async def test_a_taken_address_is_an_error_and_nothing_stays_open() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(OSError, match="address already in use"):
            await serve_health(f"127.0.0.1:{held.getsockname()[1]}", a_status(True))

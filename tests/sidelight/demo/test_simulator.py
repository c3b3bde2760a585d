"""The simulator as a server: its process, its pace, and what happens to connections."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from typing import Any

import aiohttp
import pytest

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Can I bake bread in a pot?"}]}
OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_where_it_listens_and_ends_with_0(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidelight.demo.simulator", "--port", "0", "--speed", "200", stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode()
        url = said.removeprefix("listening on ").strip()
        async with aiohttp.ClientSession() as session, session.post(url + OPENAI, json=ASKED) as response:
            assert response.status == 200
        process.send_signal(number)
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_a_stream_comes_in_pieces_over_time(simulated: str) -> None:
    loop = asyncio.get_running_loop()
    asked = ASKED | {"stream": True}
    async with aiohttp.ClientSession() as session, session.post(simulated + OPENAI, json=asked) as response:
        arrivals = [loop.time() async for _ in response.content.iter_any()]
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert len(arrivals) > 3
    assert arrivals[-1] > arrivals[0]


async def test_a_slow_answer_begins_late(simulated: str) -> None:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        started = loop.time()
        async with session.post(simulated + OPENAI, json=ASKED | {"stream": True, "user": "slow:1"}):
            waited = loop.time() - started
    assert waited > 24 * 0.6 / 200


async def test_a_client_that_leaves_harms_nobody(simulated: str) -> None:
    async with aiohttp.ClientSession() as session:
        response = await session.post(simulated + OPENAI, json=ASKED | {"stream": True})
        await response.content.readany()
        response.close()
        async with session.post(simulated + OPENAI, json=ASKED) as after:
            assert after.status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_answer_ends_in_the_middle(simulated: str, stream: bool) -> None:
    asked = ASKED | {"user": "cut:1", "stream": stream}
    async with aiohttp.ClientSession() as session, session.post(simulated + OPENAI, json=asked) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_whole_answer_is_compressed_for_those_who_can_read_it(simulated: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(simulated + OPENAI, json=ASKED) as packed:
            assert (await packed.json())["object"] == "chat.completion"
        async with session.post(simulated + OPENAI, json=ASKED, headers={"Accept-Encoding": "identity"}) as plain:
            assert (await plain.json())["object"] == "chat.completion"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"messages":[]}', b'{"messages":[1],"model":"m"}', b"\xff"]
)
async def test_what_is_no_request_is_a_400_in_the_apis_own_words(simulated: str, path: str, body: bytes) -> None:
    async with aiohttp.ClientSession() as session, session.post(simulated + path, data=body) as response:
        assert response.status == 400
        assert "message" in (await response.json())["error"]

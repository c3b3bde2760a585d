"""The control port on a real socket: who may come in, and with what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from console.control import LARGEST, Answer, read, taking_orders
from pipeline.condition import Condition
from sidelight.demo import free_addresses


class Order(Struct):
    number: int


async def double(body: bytes) -> Answer:
    order = read(body, Order)
    return order if isinstance(order, Answer) else Answer(200, {"twice": 2 * order.number})


def spelled(name: str) -> Answer:
    return Answer(200, {"number": name})


@asynccontextmanager
async def a_port(token: str | None = None) -> AsyncIterator[str]:
    (address,) = free_addresses(1)
    async with taking_orders(address, token, {"/v1/double": double}, Condition(), {"/v1/numbers": spelled}):
        yield f"http://{address}"


async def post(url: str, **request: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, **request) as answer:
        return answer.status, await answer.json(content_type=None) if answer.status != 404 else None


async def test_each_path_has_its_handler() -> None:
    async with a_port() as base:
        assert await post(f"{base}/v1/double", json={"number": 21}) == (200, {"twice": 42})
        assert (await post(f"{base}/v1/triple", json={"number": 21}))[0] == 404


async def get(url: str, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_lies_below_a_path_can_be_read_with_the_token_where_one_is_set() -> None:
    async with a_port() as base:
        assert await get(f"{base}/v1/numbers/seven") == (200, {"number": "seven"})
    async with a_port("secret") as base:
        assert (await get(f"{base}/v1/numbers/seven"))[0] == 401
        assert (await get(f"{base}/v1/numbers/seven", Authorization="Bearer secret"))[0] == 200


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"number": "x"}', b"[1]"])
async def test_what_is_not_what_was_asked_for_is_refused_with_the_reason(data: bytes) -> None:
    async with a_port() as base:
        status, answer = await post(f"{base}/v1/double", data=data, headers={"Content-Type": "application/json"})
    assert status == 400
    assert answer["message"]


async def test_a_body_without_end_is_not_read() -> None:
    async with a_port() as base:
        body = BytesIO(b" " * (LARGEST + 1))
        status, _ = await post(f"{base}/v1/double", data=body, headers={"Content-Type": "application/json"})
    assert status == 413


async def test_what_a_page_of_another_site_could_send_unasked_is_refused() -> None:
    async with a_port() as base:
        status, _ = await post(f"{base}/v1/double", data=b'{"number":1}', headers={"Content-Type": "text/plain"})
    assert status == 415


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic secret", "Bearer ", "secret"])
async def test_without_the_token_nothing_is_taken(authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with a_port("secret") as base:
        status, answer = await post(f"{base}/v1/double", json={"number": 1}, headers=headers)
        assert (status, "secret" in answer["message"]) == (401, False)
        with_token = await post(f"{base}/v1/double", json={"number": 1}, headers={"Authorization": "Bearer secret"})
        assert with_token[0] == 200

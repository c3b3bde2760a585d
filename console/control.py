"""The control port: what comes in beside traffic, each a POST of JSON, with a token where one is set."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from pipeline.condition import Condition
from pipeline.listening import keep_listening

LARGEST = 2 * 2**20  # bytes of a body


class Answer(NamedTuple):
    """A status, and JSON that says why."""

    status: int
    body: Any


Handler = Callable[[bytes], Awaitable[Answer]]  # the body of a POST → its answer
Reader = Callable[[str], Answer]  # the last part of a GET's path → its answer
Body = TypeVar("Body")
NO_READERS: Mapping[str, Reader] = {}


@asynccontextmanager
async def taking_orders(
    address: str,
    token: str | None,
    handlers: Mapping[str, Handler],
    condition: Condition,
    readers: Mapping[str, Reader] = NO_READERS,
) -> AsyncIterator[None]:
    """Listen while the block lasts: a handler for what is posted to a path, a reader for what lies below one.

    An address that is taken is waited for.
    """
    app = web.Application(client_max_size=LARGEST)
    for path, handler in handlers.items():
        app.router.add_post(path, answer_with(handler, token))
    for path, reader in readers.items():
        app.router.add_get(path + "/{name}", read_with(reader, token))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    async with keep_listening(runner, address, condition, "console"):
        yield


def answer_with(handler: Handler, token: str | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        if not allowed(request, token):
            return stranger()
        if request.content_type != "application/json":  # and no page of another site can send that unasked
            return said(415, "send JSON, and say so: Content-Type: application/json")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return said(413, f"at most {LARGEST} bytes")
        return written(await handler(body))

    return answer


def read_with(reader: Reader, token: str | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return written(reader(request.match_info["name"])) if allowed(request, token) else stranger()

    return answer


def written(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=msgspec.json.encode(answer.body), content_type="application/json")


def allowed(request: web.Request, token: str | None) -> bool:
    return token is None or hmac.compare_digest(said_token(request), token.encode())


def said_token(request: web.Request) -> bytes:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("utf-8", "replace") if kind.lower() == "bearer" else b""


def said(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def stranger() -> web.Response:
    return said(401, "send the token of the configuration: Authorization: Bearer …")


def read(body: bytes, kind: type[Body]) -> Body | Answer:
    """The body as this, or 400 with what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Answer(400, {"message": str(error)})

"""A simulated LLM endpoint on real HTTP: OpenAI chat completions and Anthropic messages, whole and streamed.

`python -m sidelight.demo.simulator --port 0` says where it listens and serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from secrets import token_hex
from typing import Protocol

import orjson
from aiohttp import web

from pipeline.records import Json
from sidelight.demo import anthropic_messages, openai_chat
from sidelight.demo.answers import ERRORS, Answer, Ask, HttpError, answers

UNREADABLE = HttpError(400, "We could not read your request.", "invalid_request_error", "invalid_request_error")
NOT_A_REQUEST = (ValueError, KeyError, TypeError, AttributeError, IndexError)


class Dialect(Protocol):
    """One API's way of writing; its modules are `openai_chat` and `anthropic_messages`."""

    def read(self, body: Json) -> Ask: ...
    def whole(self, body: Json, ask: Ask, answers: list[Answer]) -> bytes: ...
    def events(self, body: Json, ask: Ask, answers: list[Answer]) -> Iterator[tuple[float, bytes]]: ...
    def error(self, failure: HttpError) -> bytes: ...


def create_app(speed: float = 1.0) -> web.Application:
    """The endpoint; every delay is divided by `speed`."""
    app = web.Application(client_max_size=32 * 2**20)
    app.router.add_post("/v1/chat/completions", handler(openai_chat, speed))
    app.router.add_post("/v1/messages", handler(anthropic_messages, speed))
    return app


def handler(dialect: Dialect, speed: float) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body = orjson.loads(await request.read())
            ask = dialect.read(body)
        except NOT_A_REQUEST:
            return failed(dialect, UNREADABLE)
        if ask.scenario in ERRORS:
            return failed(dialect, ERRORS[ask.scenario])
        given = answers(ask)
        events = [(wait / speed, content) for wait, content in dialect.events(body, ask, given)]
        if body.get("stream"):
            return await stream(request, events, given[0].cut)
        await asyncio.sleep(sum(wait for wait, _ in events))
        return await at_once(request, dialect.whole(body, ask, given), given[0].cut)

    return handle


def failed(dialect: Dialect, failure: HttpError) -> web.Response:
    headers = request_id() | ({"Retry-After": str(failure.retry_after)} if failure.retry_after else {})
    body = dialect.error(failure)
    return web.Response(status=failure.status, body=body, headers=headers, content_type="application/json")


def request_id() -> dict[str, str]:
    """The header both providers send, by both names."""
    value = f"req_{token_hex(12)}"
    return {"x-request-id": value, "request-id": value}


async def at_once(request: web.Request, content: bytes, cut: bool) -> web.StreamResponse:
    if cut:
        response = web.StreamResponse(headers=request_id() | {"Content-Length": str(len(content))})
        response.content_type = "application/json"
        return await send_part(request, response, [(0.0, content[: len(content) // 2])])
    whole = web.Response(body=content, headers=request_id(), content_type="application/json")
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        whole.enable_compression(web.ContentCoding.gzip)
    return whole


async def stream(request: web.Request, events: Sequence[tuple[float, bytes]], cut: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers=request_id() | {"Cache-Control": "no-cache"})
    response.content_type, response.charset = "text/event-stream", "utf-8"
    if cut:
        return await send_part(request, response, events[: len(events) // 2])
    return await send(request, response, events)


async def send(
    request: web.Request, response: web.StreamResponse, events: Sequence[tuple[float, bytes]]
) -> web.StreamResponse:
    """Write each event after its wait (s); a client that has left is no error."""
    try:
        await asyncio.sleep(events[0][0])
        await response.prepare(request)
        await response.write(events[0][1])
        for wait, content in events[1:]:
            await asyncio.sleep(wait)
            await response.write(content)
    except ConnectionError:
        pass
    return response


async def send_part(
    request: web.Request, response: web.StreamResponse, events: Sequence[tuple[float, bytes]]
) -> web.StreamResponse:
    """Write the events, then close the connection as if there were more to come."""
    await send(request, response, events)
    if request.transport is not None:
        request.transport.close()
    return response


async def serve(host: str, port: int, speed: float) -> None:
    """Listen until told to stop; says where on standard output."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(create_app(speed), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        sys.stdout.write(f"listening on http://{bound_host}:{bound_port}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sidelight.demo.simulator", description="A simulated LLM endpoint.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free port")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than life")
    options = parser.parse_args()
    asyncio.run(serve(options.host, options.port, options.speed))


if __name__ == "__main__":
    main()

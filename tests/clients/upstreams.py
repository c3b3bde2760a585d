"""The servers that no one here wrote: a mock that speaks every API, and a real engine with a tiny model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sidelight.demo import free_addresses
from sidelight.demo.children import ready, stop
from tests.clients.matrix import PROMPTS

ROOT = Path(__file__).parents[2] / ".clients"
NODE = str(ROOT / "node" / "node")
AIMOCK = str(ROOT / "node" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js")
LLAMA_SERVER = str(ROOT / "llama" / "llama-server")
MODEL = str(ROOT / "llama" / "tiny.gguf")
PATIENCE = 30.0  # seconds
RUN_HEADER = "X-Test-Id"  # what aimock counts attempts by, and its journal tells whose request was whose

ANSWER = "Good morning! A walk along the river, perhaps? Äöü, 日本 and a 🚲 wish you well."
PERSON = '{"name":"Ada","age":36}'
STORY = " ".join(f"And then came day {day}." for day in range(1, 31))
CITIES = ("Oslo", "Lima")


def usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    """The counts under every name that an API has for them."""
    total = input_tokens + output_tokens
    return {
        **{"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total},
        **{"input_tokens": input_tokens, "output_tokens": output_tokens},
        **{"promptTokenCount": input_tokens, "candidatesTokenCount": output_tokens, "totalTokenCount": total},
    }


def saying(scenario: str, text: str, **more: Any) -> dict[str, Any]:
    match = {"userMessage": PROMPTS[scenario]}
    return {"match": match, "response": {"content": text, "usage": usage(11, 23)}, "chunkSize": 7, **more}


def refusing(scenario: str, status: int, kind: str, **match: Any) -> dict[str, Any]:
    error = {"message": f"Not now: {kind}", "type": kind, "code": f"because_{kind}"}
    response = {"error": error, "status": status, "retryAfter": 1}
    return {"match": {"userMessage": PROMPTS[scenario], **match}, "response": response}


def calling_tools() -> dict[str, Any]:
    calls = [{"id": f"call_of_{city}", "name": "weather", "arguments": {"city": city}} for city in CITIES]
    match = {"userMessage": PROMPTS["tools"], "hasToolResult": False}
    return {"match": match, "response": {"toolCalls": calls, "usage": usage(31, 17)}, "chunkSize": 7}


def fixtures() -> list[dict[str, Any]]:
    """What aimock answers; the first that matches does."""
    after_tools = saying("tools", "Sunny in both.")
    after_tools["match"]["hasToolResult"] = True
    return [
        calling_tools(),
        after_tools,
        saying("structured", PERSON),
        refusing("error", 400, "invalid_request_error"),
        refusing("retry_429", 429, "rate_limit_error", sequenceIndex=0),
        refusing("retry_503", 503, "server_error", sequenceIndex=0),
        saying("retry_429", "Well, then."),
        saying("retry_503", "Well, then."),
        saying("early_close", STORY, latency=20),
        saying("cut", STORY, latency=20, truncateAfterChunks=6),
        saying("plain", ANSWER),
    ]


@asynccontextmanager
async def started(*command: str, address: str, health: str, log: Path) -> AsyncIterator[str]:
    """A server in a process of its own; its base URL once it is ready, gone after."""
    with await asyncio.to_thread(log.open, "wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True
        )
    try:
        await ready(process, f"http://{address}{health}", PATIENCE)
        yield f"http://{address}"
    except BaseException as error:
        said = await asyncio.to_thread(log.read_text, errors="replace")
        error.add_note(f"--- the log of {command[0]} ---\n{said[-5000:]}")
        raise
    finally:
        await stop(process)


@asynccontextmanager
async def aimock(folder: Path) -> AsyncIterator[str]:
    """The mock, with our fixtures; its base URL."""
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures()}, ensure_ascii=False))
    (address,) = free_addresses(1)
    host, _, port = address.rpartition(":")
    command = (NODE, AIMOCK, "--host", host, "--port", port, "--fixtures", str(file), "--log-level", "warn")
    options = ("--journal-max", "0", "--fixture-counts-max", "0")
    async with started(*command, *options, address=address, health="/ready", log=folder / "aimock.log") as url:
        yield url


@asynccontextmanager
async def llama(folder: Path) -> AsyncIterator[str]:
    """The engine, which says the same to the same; its base URL."""
    (address,) = free_addresses(1)
    host, _, port = address.rpartition(":")
    command = (LLAMA_SERVER, "--model", MODEL, "--alias", "tiny", "--host", host, "--port", port, "--offline")
    same = ("--temp", "0", "--seed", "1", "--parallel", "1", "--no-cache-prompt", "--cache-ram", "0")
    small = ("--ctx-size", "2048", "--threads", "1", "--predict", "24")
    log = folder / "llama.log"
    async with started(*command, *same, *small, address=address, health="/health", log=log) as url:
        yield url


async def journal(url: str) -> list[Mapping[str, Any]]:
    """Every request that aimock has answered, in order."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/_requests") as response:
        entries: list[Mapping[str, Any]] = await response.json()
        return entries

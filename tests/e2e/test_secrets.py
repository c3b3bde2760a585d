"""Planted secrets are nowhere: not in the store, not over OTLP, not in what is printed or logged."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.support.otlp_receiver import OtlpReceiver
from tests.support.raw_http import response_bytes
from tests.support.running import Running, running, until
from tests.support.upstream import ScriptedUpstream, answering

pytestmark = pytest.mark.e2e

MARK = "Zq7Xv3Kp9"  # in every secret, and in nothing else
API_KEY = f"sk-proj-{MARK}abcdefghijklmnopqrstuvwxyz012345"
EMAIL = f"{MARK}.person@private.example"
HEADERS = {
    "Authorization": f"Bearer {API_KEY}",
    "x-api-key": f"{MARK}-x-api-key",
    "api-key": f"{MARK}-api-key",
    "x-goog-api-key": f"{MARK}-goog",
    "Cookie": f"session={MARK}-cookie",
    "Proxy-Authorization": f"Basic {MARK}",
    "Content-Type": "application/json",
}
QUESTION = f"My key is {API_KEY} and my address is {EMAIL}."
ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": QUESTION}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
)
FAILURE = msgspec.json.encode({"error": {"message": f"Incorrect API key: {API_KEY}", "type": "invalid_request_error"}})
RESPONSE_HEADERS = [("Content-Type", "application/json"), ("Set-Cookie", f"session={MARK}-set-cookie")]


async def test_no_planted_secret_comes_out_anywhere(tmp_path: Path) -> None:
    script = answering(
        response_bytes(200, RESPONSE_HEADERS, ANSWER),
        response_bytes(401, RESPONSE_HEADERS, FAILURE, reason="Unauthorized"),
        response_bytes(200, RESPONSE_HEADERS, b"not json at all: " + QUESTION.encode()),
    )
    async with OtlpReceiver() as receiver, ScriptedUpstream(script) as upstream:
        own = {"headers": {"set": {"X-Own-Key": f"{MARK}-own"}}}
        sections = {
            "proxy": {"upstreams": {"llm": {"url": upstream.url} | own}},
            "service": {"log_level": "debug"},
            "processors": {name: {} for name in ("refusal", "pii", "json_valid", "repetition")},
            "exporters": {
                "store": {"path": str(tmp_path / "store.db")},
                "debug": {},
                "otlp": {
                    "endpoint": receiver.endpoint,
                    "content": "redacted",
                    "headers": {"x-otlp-key": f"{MARK}-otlp"},
                    "metrics_interval": 0.1,
                },
            },
        }
        async with running(tmp_path, upstream.url, **sections) as run:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                body = msgspec.json.encode({"model": "gpt-4o", "messages": [{"role": "user", "content": QUESTION}]})
                for target in (f"/v1/chat/completions?key={MARK}-query&alt=sse", "/v1/chat/completions", "/other"):
                    async with session.post(run.url + target, data=body, headers=HEADERS) as response:
                        assert MARK.encode() in await response.read()
            await run.settled(3)
            await until(lambda: len([span for span in receiver.spans if span["kind"] == "SERVER"]) >= 3)
            await until(lambda: bool(receiver.metrics and receiver.logs))
            rows = await run.rows("SELECT body FROM exchange WHERE body IS NOT NULL")
            bodies = [zlib.decompress(body) for (body,) in rows]
            disk, logged = run.bytes_on_disk(), run.logged()
        requests = upstream.requests
    assert len(bodies) == 3
    outputs = {
        "disk": disk,
        "bodies": b"".join(bodies),
        "otlp": repr((receiver.spans, receiver.logs, receiver.metrics)).encode(),
        "printed": logged.encode(),
        "final log": run.logged().encode(),
    }
    for name, output in outputs.items():
        assert output, name
        assert MARK.encode() not in output, name
    assert all(request.value("authorization") == HEADERS["Authorization"] for request in requests)
    assert requests[0].value("x-own-key") == f"{MARK}-own"
    assert b"[API_KEY_1]" in outputs["bodies"]
    assert b"[EMAIL_1]" in outputs["bodies"]


SAID = f"Write to {EMAIL} with {API_KEY}."
IDENTITY = {
    "x-user-id": f"{MARK}-user",
    "x-session-id": f"{MARK}.session@private.example",
    "baggage": f"user.id={MARK}-baggage,session.id={MARK}%40private.example,team={MARK}-team",
    "x-sidelight-context": "base64:" + base64.b64encode(SAID.encode()).decode(),
    "x-tenant": EMAIL,
    "x-litellm-api-key": f"{MARK}-litellm",
    "x-session-token": f"{MARK}-session-token",
}
CLAIMS = {
    "user": f"{MARK}-body-user",
    "safety_identifier": f"{MARK}-safety",
    "prompt_cache_key": f"{MARK}-cache",
    "metadata": {"user_id": f"{MARK}-metadata", "context": SAID},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-4o",
    "user": f"{MARK}-body-user",
    "safety_identifier": f"{MARK}-safety",
    "prompt_cache_key": f"{MARK}-cache",
    "metadata": CLAIMS["metadata"],
    "output": [
        {"type": "mcp_call", "id": "mcp_1", "name": "search", "server_label": "s", "arguments": json.dumps({"q": SAID}),
         "output": SAID},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": SAID,
         "sources": [{"type": "url", "url": f"https://a.test/?token={API_KEY}"}]}},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": SAID, "annotations": [
                {"type": "url_citation", "url": f"https://a.test/?token={API_KEY}", "title": SAID, "start_index": 0,
                 "end_index": 5}]}]},
    ],
    "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
}  # fmt: skip
SPOKEN = {
    "type": "response.done",
    "response": {
        "id": "resp_2",
        "object": "realtime.response",
        "status": "completed",
        "conversation_id": EMAIL,
        "metadata": {"user_id": f"{MARK}-socket-metadata"},
        "output": [
            {"id": "i2", "type": "message", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": SAID}]}
        ],
        "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
    },
}  # fmt: skip
ASKED: list[dict[str, Any]] = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": SAID, "output_modalities": ["text"]}},
    {"type": "conversation.item.create", "item": {"id": "i1", "type": "message", "role": "user",
     "content": [{"type": "input_text", "text": SAID}]}},
    {"type": "response.create", "response": {"metadata": {"user_id": f"{MARK}-socket-metadata"}}},
]  # fmt: skip
QUIET = logging.getLogger("tests.websockets")
QUIET.disabled = True


async def speak(connection: ServerConnection) -> None:
    """Answer what was asked in one go."""
    for _ in ASKED:
        await connection.recv()
    await connection.send(json.dumps(SPOKEN))
    await connection.wait_closed()


async def talk(address: str) -> None:
    async with connect(
        f"{address}/v1/realtime?model=gpt-realtime&%6bey={MARK}-encoded",
        additional_headers={"Authorization": f"Bearer {API_KEY}", **IDENTITY},
        subprotocols=["realtime", f"openai-insecure-api-key.{MARK}"],  # type: ignore[list-item]
    ) as client:
        for event in ASKED:
            await client.send(json.dumps(event))
        await client.recv()


async def printed(run: Running, *arguments: str) -> bytes:
    """What a command prints about this Sidelight."""
    command = [sys.executable, "-m", "sidelight", *arguments, "--config", str(run.config)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return said


def told_to(process: int) -> bytes:
    """What everybody on the host may read of a process, and what its owner may."""
    with suppress(FileNotFoundError):
        return b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ", "comm"))
    return b""


def salt_of(run: Running) -> tuple[int, bytes]:
    """Who may read it, and what it is."""
    file = Path(f"{run.store}.salt")
    return file.stat().st_mode & 0o777, file.read_bytes()


@pytest.mark.parametrize("content", ["redacted", "off"])
async def test_who_asks_and_what_is_said_on_the_side_comes_out_nowhere(content: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(f"# {MARK}\nopenai: {{gpt-4o: {{input: 1, output: 2}}, {MARK}-model: {{input: 1}}}}\n")
    script = answering(response_bytes(200, RESPONSE_HEADERS, msgspec.json.encode(RESPONSE)))
    async with (
        OtlpReceiver() as receiver,
        ScriptedUpstream(script) as upstream,
        serve(speak, "127.0.0.1", 0, subprotocols=["realtime"], logger=QUIET) as socket,  # type: ignore[list-item]
    ):
        port = next(iter(socket.sockets)).getsockname()[1]
        sections: dict[str, Any] = {
            "proxy": {
                "upstreams": {
                    "llm": {"url": upstream.url, "provider": "openai"},
                    "ws": {"url": f"http://127.0.0.1:{port}"},
                },
                "routes": [{"prefix": "/v1/realtime", "upstream": "ws"}, {"prefix": "/v1", "upstream": "llm"}],
            },
            "service": {"log_level": "debug"},
            "processors": {
                "identify": {"salt": f"{MARK}-a-salt-of-many-machines", "attributes": {"x-tenant": "tenant.id"}},
                "cost": {"prices": str(prices)},
                "redact": {"content": content},
            },
            "exporters": {
                "store": {"path": str(tmp_path / "store.db")},
                "debug": {},
                "otlp": {"endpoint": receiver.endpoint, "content": content, "metrics_interval": 0.1},
            },
        }
        async with running(tmp_path, upstream.url, **sections) as run:
            async with aiohttp.ClientSession() as session:
                body = {"model": "gpt-4o", "instructions": SAID, "input": SAID, "store": True} | CLAIMS
                url = f"{run.url}/v1/responses?api%5Fkey={MARK}-encoded"
                async with session.post(url, json=body, headers=HEADERS | IDENTITY) as response:
                    assert MARK.encode() in await response.read()
                refused = [await (await session.get(f"{run.url}/{MARK}?key={MARK}", headers=HEADERS)).read()]
            await talk(run.url.replace("http", "ws", 1))
            await run.settled(3)
            await until(lambda: len([span for span in receiver.spans if span["kind"] == "CLIENT"]) >= 2)
            await until(lambda: bool(receiver.metrics))
            rows = await run.rows("SELECT id, user, session, cost, wire, body FROM exchange ORDER BY started_at")
            stories = [await printed(run, "explain", identity) for identity, *_ in rows]
            outputs = {
                "disk": run.bytes_on_disk(),
                "rows": repr([row[:-1] for row in rows]).encode(),
                "bodies": b"".join(zlib.decompress(row[-1]) for row in rows),
                "configuration": await printed(run, "print-config"),
                "stories": b"".join(stories),
                "refusals": b"".join(refused),
                "processes": b"".join(map(told_to, run.everybody())),
                "otlp": repr((receiver.spans, receiver.logs, receiver.metrics)).encode(),
            }
        outputs["log"] = run.logged().encode()
    assert len(stories) == 3
    assert {row[4] for row in rows} == {"openai_responses", "openai_realtime", "websocket"}
    assert len({row[1] for row in rows}) == 1
    assert all(row[1] and row[2] for row in rows)
    for name, output in outputs.items():
        assert output, name
        assert MARK.encode() not in output, (name, output[max(output.find(MARK.encode()) - 200, 0) :][:300])
        assert base64.b64encode(SAID.encode()) not in output, name
    if content == "redacted":
        assert b"[API_KEY_1]" in outputs["bodies"]


async def test_the_salt_beside_the_store_is_its_owners_alone(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, running(tmp_path, upstream.url) as run:
        (mode, salt), told = await asyncio.to_thread(salt_of, run), b"".join(map(told_to, run.everybody()))
        assert mode == 0o600
        assert salt.hex().encode() not in told + run.logged().encode()

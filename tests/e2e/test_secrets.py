"""Planted secrets are nowhere: not in the store, not over OTLP, not in what is printed or logged."""

from __future__ import annotations

import zlib
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.support.otlp_receiver import OtlpReceiver
from tests.support.raw_http import response_bytes
from tests.support.running import running, until
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

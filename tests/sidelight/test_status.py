"""What people see of a page; whole lives are in tests/e2e/test_self_telemetry.py."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from console.health import serve_health
from sidelight.demo import free_addresses
from sidelight.status import health_page, lasting, show_status

PAGE: dict[str, Any] = {
    "serving": True,
    "draining": False,
    "processes": {"pipeline": {"ready": True, "restarts": 2}, "proxy 0": {"ready": True, "restarts": 0}},
    "components": {
        "exporters.otlp": {"status": "StatusRecoverableError", "since": 0.0, "error": "HTTP 503"},
        "journal": {"status": "StatusOK", "since": 0.0},
    },
    "counts": {
        "requests": 1200,
        "active_requests": 3,
        "capture_parts": 0,
        "captures": 1197,
        "refused": {"ring_full": 7},
        "accepted": 1190,
        "done": 1180,
        "pending": 10,
        "coverage": 1190 / 1197,
        "exporters": {"otlp": {"offered": 1180, "sent": 1000, "failed": 20, "refused": 1, "queued": 159}},
        "evaluators": {"refusal": {"pass": 1100, "fail": 80}},
    },
    "age": 0.4,
}


async def shown(page: dict[str, Any], as_json: bool = False) -> tuple[bool, str]:
    runner = await serve_health("127.0.0.1:0", lambda: (bool(page["serving"]), page))
    out = io.StringIO()
    try:
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        serving = await show_status(address, as_json, Console(file=out, width=200))
    finally:
        await runner.cleanup()
    return serving, out.getvalue()


async def test_components_their_trouble_and_what_they_lost_are_shown() -> None:
    serving, text = await shown(PAGE)
    assert serving
    line = next(line for line in text.splitlines() if line.startswith("exporters.otlp"))
    assert line.split()[1] == "RecoverableError"
    assert line.split()[-5:] == ["1,000", "21", "159", "HTTP", "503"]


async def test_the_sums_are_one_sentence() -> None:
    _, text = await shown(PAGE)
    assert text.splitlines()[-1] == (
        "1,200 requests, 3 under way; 1,197 captures, 7 lost (ring_full); 1,190 exchanges, 1,180 done, 10 pending. "
        "Coverage 99.42%."
    )


async def test_json_is_the_page_itself() -> None:
    _, text = await shown(PAGE, as_json=True)
    assert json.loads(text) == PAGE


async def test_a_pipeline_that_has_not_spoken_is_no_error_of_ours() -> None:
    silent = {name: PAGE[name] for name in ("draining", "processes")} | {"serving": False}
    serving, text = await shown(silent)
    assert not serving
    assert "not serving" in text
    assert "said nothing yet" in text


async def test_a_pipeline_that_stopped_speaking_is_told() -> None:
    _, text = await shown(PAGE | {"age": 61.0})
    assert "last said something 61 s ago" in text


async def test_nobody_there_is_a_sentence() -> None:
    (address,) = free_addresses(1)
    out = io.StringIO()
    assert not await show_status(address, False, Console(file=out, width=200))
    assert out.getvalue().startswith(f"Nothing answers on {address}")


@pytest.mark.parametrize("said", ["[]", "{}", "hello"])
async def test_somebody_elses_page_is_not_taken_for_ours(said: str) -> None:
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=said)

    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert await health_page(f"127.0.0.1:{runner.addresses[0][1]}") is None
    await runner.cleanup()


async def test_a_page_on_a_socket_file_is_asked_too(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'health'}"
    runner = await serve_health(address, lambda: (True, PAGE))
    assert await health_page(address) == PAGE
    await runner.cleanup()


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_a_time_is_told_in_the_largest_unit_that_has_begun(seconds: float, text: str) -> None:
    assert lasting(seconds) == text

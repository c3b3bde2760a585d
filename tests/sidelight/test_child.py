"""The processes behind `sidelight run`, spoken to as the supervisor does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import orjson

from sidelight.process import start_child

PROXY = {"upstreams": {"one": {"url": "http://127.0.0.1:9"}}}


async def first_word(role: str, setup: dict[str, Any]) -> tuple[dict[str, Any], asyncio.subprocess.Process]:
    """What a child reports first."""
    reader, writer = os.pipe()
    child = await start_child(role, setup | {"status": writer}, (writer,))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return orjson.loads(await asyncio.to_thread(pipe.readline)), child


async def test_a_configuration_error_is_reported_and_ends_the_child(tmp_path: Path) -> None:
    store = {"store": {"path": str(tmp_path / "nowhere" / "x.db")}}
    settings = {"proxy": PROXY, "exporters": store}
    message, child = await first_word("pipeline", {"settings": settings, "hand_offs": [], "salt": "00"})
    assert message["error"].startswith("exporters.store.path: cannot open")
    assert await child.wait() == 2


async def test_a_pipeline_reports_that_it_is_ready_and_ends_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    settings = {"proxy": PROXY, "exporters": {"store": {"path": str(tmp_path / "x.db")}}}
    message, child = await first_word("pipeline", {"settings": settings, "hand_offs": [], "salt": "00"})
    assert message == {"ready": True}
    assert child.stdin
    child.stdin.close()
    assert await child.wait() == 0

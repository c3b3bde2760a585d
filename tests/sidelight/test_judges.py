"""The judges outside of traffic: every judge on what somebody asks about, as many at once as each takes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web

from config.load import settings_from
from sidelight.components import build_components
from sidelight.judges import Panel, panel_of
from tests.support.judge_endpoint import always, judge_endpoint
from tests.support.records import an_exchange, answer


async def a_panel(stack: AsyncExitStack, folder: Path, **judges: dict[str, Any]) -> Panel:
    settings = settings_from(
        {
            "proxy": {"upstreams": {"llm": {"url": "http://localhost"}}},
            "processors": {name.replace("_", "/"): {"model": "m"} | options for name, options in judges.items()},
            "exporters": {"store": {"path": str(folder / "store.db")}},
        }
    )
    components = await asyncio.to_thread(build_components, settings)  # it reads rubrics
    return await panel_of(stack, settings, components.judges)


async def test_every_judge_has_its_say_in_the_configurations_order(tmp_path: Path) -> None:
    async with judge_endpoint(always(4)) as endpoint, AsyncExitStack() as stack:
        judges = {
            "judge_b": {"rubric": "fluency", "url": endpoint.url},
            "judge_a": {"rubric": "similarity", "url": endpoint.url},
        }
        panel = await a_panel(stack, tmp_path, **judges)
        entries = await panel.judge(an_exchange(output_messages=(answer("Hello!"),)))
    assert [(entry.evaluator, entry.outcome, entry.reason) for entry in entries] == [
        ("judge/b", "pass", None),
        ("judge/a", "skipped", "missing_input"),  # there is no reference
    ]


async def test_a_judge_is_asked_about_no_more_at_once_than_it_takes(tmp_path: Path) -> None:
    async with judge_endpoint(always(4)) as endpoint, AsyncExitStack() as stack:
        panel = await a_panel(stack, tmp_path, judge={"rubric": "fluency", "url": endpoint.url, "concurrency": 3})
        exchanges = [an_exchange(output_messages=(answer(f"Hello {number}!"),)) for number in range(20)]
        await asyncio.gather(*map(panel.judge, exchanges))
    assert len(endpoint.bodies) == 20
    assert endpoint.most_at_once <= 3


async def test_an_endpoint_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    async with judge_endpoint(lambda body: web.Response(status=403)) as endpoint, AsyncExitStack() as stack:
        options = {"rubric": "fluency", "url": endpoint.url, "concurrency": 1}
        panel = await a_panel(stack, tmp_path, judge=options)
        exchanges = [an_exchange(output_messages=(answer(f"Hello {number}!"),)) for number in range(20)]
        outcomes = [entries[0] for entries in await asyncio.gather(*map(panel.judge, exchanges))]
    assert [entry.reason for entry in outcomes] == ["judge_http_403"] * 5 + ["judge_away"] * 15
    assert len(endpoint.bodies) == 5


async def test_without_judges_there_is_nothing_to_say_and_no_file(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        panel = await a_panel(stack, tmp_path)
        assert await panel.judge(an_exchange()) == ()
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))

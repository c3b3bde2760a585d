"""Everybody on everything that is there, each exchange once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from config.load import settings_from
from pipeline.records import Exchange
from sidelight.components import build_components
from sidelight.engine import Entries, judge_all
from tests.support.judge_endpoint import always, judge_endpoint
from tests.support.records import an_exchange, answer

EXCHANGES = [an_exchange(id=f"{n:032x}", output_messages=(answer(f"Hello {n}!"),)) for n in range(40)]


async def test_evaluators_and_judges_have_their_say_and_each_exchange_is_heard_of_once(tmp_path: Path) -> None:
    async with judge_endpoint(always(4)) as endpoint:
        judge = {"rubric": "fluency", "url": endpoint.url, "model": "m"}
        settings = settings_from(
            {
                "proxy": {"upstreams": {"llm": {"url": "http://localhost"}}},
                "processors": {"refusal": {}, "judge": judge},
                "exporters": {"store": {"path": str(tmp_path / "store.db")}},
            }
        )
        components = await asyncio.to_thread(build_components, settings)
        heard: list[str] = []
        outcomes: dict[str, Entries] = {}

        def on_whole(exchange: Exchange, entries: Entries) -> None:
            heard.append(exchange.id)
            outcomes[exchange.id] = entries

        def even(judge: str, exchange: Exchange) -> bool:
            return int(exchange.id, 16) % 2 == 0

        await judge_all(EXCHANGES, settings, components, on_whole, even)
    assert sorted(heard) == [each.id for each in EXCHANGES]
    assert len(endpoint.bodies) == 20
    for exchange in EXCHANGES:
        names = [entry.evaluator for entry in outcomes[exchange.id]]
        assert names == (["refusal", "judge"] if even("judge", exchange) else ["refusal"])

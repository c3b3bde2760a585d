"""The store, judged again: one version, the same sample, and what changed is told."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from config.load import settings_from
from pipeline.errors import ConfigError
from pipeline.records import EvaluatedExchange, Evaluation, Exchange, LedgerEntry
from sidelight.backfill import backfill
from sidelight.components import build_components
from store.journal import Journal
from store.queries import LedgerRow, opened, story
from tests.support.judge_endpoint import always, judge_endpoint
from tests.support.records import an_exchange, answer

LONG_AGO = 10 * 365 * 86400.0
TEXTS = ("I am sorry, but I cannot help with that.", "Paris is the capital of France.", "Certainly, here it is.")


def numbered(number: int) -> Exchange:
    return an_exchange(id=f"{number:032x}", output_messages=(answer(TEXTS[number]),))


def before(outcome: Any, **changes: Any) -> LedgerEntry:
    return LedgerEntry("refusal", outcome, None, (Evaluation("refusal", 0.0, outcome),), version="0", **changes)


async def a_store(path: Path, *entries: tuple[LedgerEntry, ...]) -> None:
    async with Journal(str(path)) as journal:
        exchanges = [numbered(number) for number in range(len(entries))]
        await journal.add([(exchange, msgspec.msgpack.encode(exchange)) for exchange in exchanges])
        await journal.finish([EvaluatedExchange(*each) for each in zip(exchanges, entries, strict=True)])


async def ledger(path: Path, number: int) -> dict[str, LedgerRow]:
    def read() -> dict[str, LedgerRow]:
        with opened(path) as db:
            told = story(db, f"{number:032x}")
        assert told
        return {row.evaluator: row for row in told.ledger}

    return await asyncio.to_thread(read)


async def filled(path: Path, *, write: bool = True, **processors: Any) -> str:
    console = Console(file=io.StringIO(), width=120)
    settings = settings_from(
        {
            "proxy": {"upstreams": {"llm": {"url": "http://localhost"}}},
            "processors": processors or {"refusal": {}},
            "exporters": {"store": {"path": str(path)}},
        }
    )
    components = await asyncio.to_thread(build_components, settings)
    await backfill(path, settings, components, LONG_AGO, console, write=write)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


async def test_outcomes_become_those_of_the_version_that_is_configured_now(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await a_store(path, (before("pass", weight=20.0),), (before("pass"),), (before("fail"),))
    told = await filled(path)
    rows = [(await ledger(path, number))["refusal"] for number in range(3)]
    assert [(row.outcome, row.version) for row in rows] == [("fail", "1"), ("pass", "1"), ("pass", "1")]
    assert [row.weight for row in rows] == [20.0, None, None]  # it stands for as many as before
    assert "3 exchanges judged again; the outcomes are in the store now." in told
    (line,) = [line for line in told.splitlines() if line.startswith("refusal")]
    assert line.split() == ["refusal", "0", "67%", "(21–94)", "1", "67%", "(21–94)", "1", "1"]


async def test_without_write_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await a_store(path, (before("pass"),))
    assert "were not kept" in await filled(path, write=False)
    assert ((await ledger(path, 0))["refusal"].outcome, (await ledger(path, 0))["refusal"].version) == ("pass", "0")


async def test_a_running_sidelight_does_not_hinder_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await a_store(path, (before("pass"),))
    async with Journal(str(path)):
        await filled(path)
    assert (await ledger(path, 0))["refusal"].outcome == "fail"


async def test_a_judge_is_asked_about_its_own_sample_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    asked = LedgerEntry("judge", "pass", None, (Evaluation("fluency", 5.0, "pass"),), version="old", weight=20.0)
    skipped = LedgerEntry("judge", "skipped", "sampled_out")
    await a_store(path, (asked,), (skipped,), ())
    async with judge_endpoint(always(2)) as endpoint:
        await filled(path, judge={"rubric": "fluency", "url": endpoint.url, "model": "m"})
    assert len(endpoint.bodies) == 1
    row = (await ledger(path, 0))["judge"]
    assert (row.outcome, row.score, row.weight, row.version != "old") == ("fail", 2.0, 20.0, True)
    assert (await ledger(path, 1))["judge"].reason == "sampled_out"
    assert (await ledger(path, 2)) == {}


async def test_a_store_without_anything_to_judge_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no store"):
        await filled(tmp_path / "store.db")
    await a_store(tmp_path / "store.db")
    with pytest.raises(ConfigError, match="longer --since"):
        await filled(tmp_path / "store.db")

"""A bill of 200 calls across the wire formats: what Sidelight tells is what was used, to the token and the cent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.bill import CALL_HEADER, MAX_BODY, OWN_PRICES, UPSTREAMS, Call, Counts, Item, bill
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.raw_client import RawClient
from tests.support.running import Running, Tree, running, until
from tests.support.upstream import Script, ScriptedUpstream, UpstreamConnection

pytestmark = pytest.mark.e2e

CALLS = 200
CLIENTS = 4
EXACT = 1e-10  # dollars
COUNTS = {  # as spans tell them; what is not told is 0
    "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_write.input_tokens",
    "cache_write_1h": "sidelight.usage.cache_write_1h.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "audio_input": "gen_ai.usage.audio.input_tokens",
    "audio_output": "gen_ai.usage.audio.output_tokens",
    "searches": "sidelight.usage.web_searches",
}
COUNTERS = {  # of inferences
    "input": "gen_ai.client.inference.usage.input_tokens",
    "output": "gen_ai.client.inference.usage.output_tokens",
    "cache_read": "gen_ai.client.inference.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.client.inference.usage.cache_write.input_tokens",
    "reasoning": "gen_ai.client.inference.usage.reasoning.output_tokens",
}
HISTOGRAMS = {
    "input": "gen_ai.client.inference.operation.input_tokens",
    "output": "gen_ai.client.inference.operation.output_tokens",
}
DECODE_ERROR = "sidelight.decode_error"
OTHER_TOKENS = "gen_ai.client.token.usage"  # of other operations
ESTIMATED = ("sidelight.usage.estimated.input_tokens", "sidelight.usage.estimated.output_tokens")


class Told(NamedTuple):
    """What one run told of the calls."""

    spans: dict[str, dict[str, Any]]  # a call's name → the attributes of its span
    metrics: dict[str, list[dict[str, Any]]]  # the points as they stood last
    rows: list[tuple[Any, ...]]  # of the store: usage_source, input_tokens, output_tokens, cost

    def total(self, metric: str, of: str = "value", **attributes: Any) -> Any:
        """The sum over a metric's points, of those alone that have these attributes."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}.items()
        return sum(point[of] for point in self.metrics.get(metric, ()) if wanted <= point["attributes"].items())


async def test_tokens_and_costs_of_200_calls_are_what_the_script_says(tmp_path: Path) -> None:
    calls = bill(CALLS)
    items = [item for call in calls for item in call]
    async with OtlpReceiver() as receiver, ScriptedUpstream(answering_by_name(items)) as upstream:
        async with running(tmp_path, upstream.url, **sections(tmp_path, upstream.url, receiver.endpoint)) as run:
            await make(run, calls)
            await run.settled(len(items))
            told = await what_was_told(run, receiver, len(items))
        asked = {request.value(CALL_HEADER): request.content for request in upstream.requests}
    assert asked == {item.name: item.body or b"" for item in items}
    check_each_call(told, items)
    check_metrics(told, items)
    check_the_store(told, items)
    assert told.total("sidelight.proxy.compared_answers") == len(items)
    assert told.total("sidelight.proxy.mismatched_answers") == 0


def check_each_call(told: Told, items: list[Item]) -> None:
    problems = {name: span[DECODE_ERROR] for name, span in told.spans.items() if DECODE_ERROR in span}
    assert problems == {item.name: "response_cut" for item in items if len(item.content) > MAX_BODY}
    assert {name: span["sidelight.usage.source"] for name, span in told.spans.items()} == {
        item.name: item.step.source for item in items
    }
    assert {item.name: counts_told(told.spans[item.name]) for item in items} == {
        item.name: item.step.counts for item in items
    }
    expected = {item.name: cost_of(item, told) for item in items}
    costs = {name: span.get("sidelight.cost.total") for name, span in told.spans.items()}
    assert costs == {
        name: cost if cost is None else pytest.approx(float(cost), abs=EXACT) for name, cost in expected.items()
    }
    assert total_cost(told, items, "provider") == pytest.approx(float(billed(items)), abs=EXACT)


def check_metrics(told: Told, items: list[Item]) -> None:
    """Inferences are counted by kind of token, other operations by direction; estimates and unknown costs apart."""
    inferred = sums(item for item in items if item.step.inference)
    others = sums(item for item in items if not item.step.inference)
    assert {kind: told.total(name) for kind, name in COUNTERS.items()} == {k: inferred[k] for k in COUNTERS}
    assert {kind: told.total(name, "sum") for kind, name in HISTOGRAMS.items()} == {k: inferred[k] for k in HISTOGRAMS}
    for kind in HISTOGRAMS:
        assert told.total(OTHER_TOKENS, "sum", gen_ai__token__type=kind) == others[kind]
    sources = Counter(item.step.source for item in items)
    assert {source: told.total("sidelight.usage.exchanges", source=source) for source in sources} == sources
    assert told.total("sidelight.usage.exchanges") == len(items)
    assert told.total("sidelight.usage.estimated_tokens") == sum(sum(estimate(span)) for span in told.spans.values())
    unknown = [item for item in items if item.step.source != "none" and item.step.price is None]
    assert told.total("sidelight.cost.unknown") == len(unknown)
    assert told.total("sidelight.cost", estimated=False) == pytest.approx(float(billed(items)), abs=EXACT)
    estimated = total_cost(told, items, "estimated")
    assert told.total("sidelight.cost", estimated=True) == pytest.approx(estimated, abs=EXACT)


def check_the_store(told: Told, items: list[Item]) -> None:
    used = sums(items)
    rows = {source: [row[1:] for row in told.rows if row[0] == source] for source in ("provider", "estimated", "none")}
    assert {source: len(found) for source, found in rows.items()} == Counter(item.step.source for item in items)
    assert sum(row[0] or 0 for row in rows["provider"]) == used["input"]
    assert sum(row[1] or 0 for row in rows["provider"]) == used["output"]
    assert sum(row[2] or 0 for row in rows["provider"]) == pytest.approx(float(billed(items)), abs=EXACT)
    estimated = total_cost(told, items, "estimated")
    assert sum(row[2] for row in rows["estimated"]) == pytest.approx(estimated, abs=EXACT)
    assert set(rows["none"]) == {(None, None, None)}


def test_the_bill_has_every_kind_of_call() -> None:
    items = [item for call in bill(CALLS) for item in call]
    steps = [item.step for item in items]
    tiers = {step.counts.input > step.price.limit for step in steps if step.price and step.price.limit}
    assert len({item.name.split("-")[1] for item in items}) >= 14
    assert tiers == {True, False}
    assert {step.source for step in steps} == {"provider", "estimated", "none"}
    assert {step.answer.status for step in steps} == {200, 400, 429, 529}
    assert all(sums(items).values())
    assert any(len(item.content) > MAX_BODY for item in items)
    assert {dict(item.headers).get("Content-Type") for item in items} == {None, "application/json"}
    assert any(step.price is None and step.source == "provider" for step in steps)


# What is expected


def sums(items: Iterable[Item]) -> dict[str, int]:
    """Every kind of count over these calls."""
    counts = [item.step.counts for item in items]
    return {kind: sum(getattr(each, kind) for each in counts) for kind in Counts._fields}


def billed(items: Iterable[Item]) -> Decimal:
    """What the calls cost whose tokens were reported and whose price is known."""
    return sum((item.step.cost for item in items if item.step.cost is not None), Decimal())


def cost_of(item: Item, told: Told) -> Decimal | None:
    """What a call must cost; an estimate of its tokens cannot be foretold, what that costs can."""
    price = item.step.price
    if item.step.source == "estimated" and price:
        came, went = estimate(told.spans[item.name])
        assert came > 0
        assert went > 0
        return price.cost(Counts(came, went))
    return item.step.cost


# What was told


def counts_told(span: Mapping[str, Any]) -> Counts:
    return Counts(**{kind: span.get(name, 0) for kind, name in COUNTS.items()})


def estimate(span: Mapping[str, Any]) -> tuple[int, int]:
    came, went = (span.get(name, 0) for name in ESTIMATED)
    return came, went


def total_cost(told: Told, items: Iterable[Item], source: str) -> float:
    names = [item.name for item in items if item.step.source == source]
    return float(sum(told.spans[name].get("sidelight.cost.total", 0) for name in names))


async def what_was_told(run: Running, receiver: OtlpReceiver, count: int) -> Told:
    """All of it, once all of it has come."""

    def told() -> Told:
        spans = [span["attributes"] for span in receiver.spans if "app.call" in span["attributes"]]
        metrics = {metric["name"]: metric["points"] for metric in receiver.metrics}
        return Told({span["app.call"]: span for span in spans}, metrics, [])

    def whole() -> bool:
        now = told()
        counters = ("sidelight.usage.exchanges", "sidelight.proxy.compared_answers")
        return len(now.spans) >= count and all(now.total(name) >= count for name in counters)

    await until(whole)
    rows = await run.rows("SELECT usage_source, input_tokens, output_tokens, cost FROM exchange")
    return told()._replace(rows=rows)


# The run


def sections(folder: Path, upstream: str, collector: str) -> dict[str, Tree]:
    """Every provider at the same server, each under a prefix that is taken off."""
    prices = folder / "prices.yaml"
    prices.write_text(OWN_PRICES)
    upstreams = {name: {"url": upstream, "provider": provider} for name, provider in UPSTREAMS.items()}
    routes = [{"prefix": f"/{name}", "upstream": name, "strip_prefix": True} for name in UPSTREAMS]
    return {
        "proxy": {"upstreams": upstreams, "routes": routes, "capture": {"max_body": MAX_BODY}},
        "processors": {"cost": {"prices": str(prices)}, "identify": {"attributes": {CALL_HEADER: "app.call"}}},
        "exporters": {
            "store": {"path": str(folder / "store.db")},
            "otlp": {"endpoint": collector, "metrics": "latest", "metrics_interval": "200ms"},
        },
    }


def answering_by_name(items: Iterable[Item]) -> Script:
    """Answer each request as the item says that it names."""
    responses = {item.name: item.response for item in items}

    async def script(connection: UpstreamConnection) -> None:
        while True:
            if not await connection.until_spoken_to():
                return
            request = await connection.request()
            await connection.send(responses[request.value(CALL_HEADER) or ""])

    return script


async def make(run: Running, calls: list[Call]) -> None:
    """Make the calls, several at a time, the steps of each one after the other."""
    port = int(run.url.rpartition(":")[2])
    async with asyncio.TaskGroup() as tasks:
        for lane in range(CLIENTS):
            tasks.create_task(make_in_turn(port, calls[lane::CLIENTS]))


async def make_in_turn(port: int, calls: list[Call]) -> None:
    """Over one connection; what comes back is what was prepared, down to the chunks."""
    async with await RawClient.open(port) as client:
        for item in (item for call in calls for item in call):
            answer = await client.exchange(item.method, item.step.path, item.headers, item.body)
            assert answer.status == item.step.answer.status, item.name
            assert answer.content == item.content, item.name
            assert item.response.endswith(b"\r\n\r\n" + answer.body.raw), item.name

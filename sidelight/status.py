"""`sidelight status`: how the Sidelight that runs fares, from its health page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PATIENCE = 5.0  # seconds
STYLES = {"StatusOK": "green", "StatusRecoverableError": "yellow", "StatusPermanentError": "red"}

Page = Mapping[str, Any]


async def show_status(address: str, as_json: bool, console: Console) -> bool:
    """Print what the page at `address` says; False, and a sentence why, when nothing serves there."""
    page = await health_page(address)
    if page is None:
        console.print(f"Nothing answers on {address}: Sidelight does not run, or service.health is another.")
        return False
    if as_json:
        console.out(orjson.dumps(page, option=orjson.OPT_INDENT_2).decode(), highlight=False)
    else:
        print_status(page, console)
    return bool(page.get("serving"))


async def health_page(address: str) -> Page | None:
    """The page as it is now; None when nobody answers there, or somebody else does."""
    path = address.removeprefix("unix:")
    connector = aiohttp.UnixConnector(path) if path != address else aiohttp.TCPConnector()
    url = "http://localhost/" if path != address else f"http://{address}/"
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, session.get(url) as answer:
            page = orjson.loads(await answer.read())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    return page if isinstance(page, dict) and "serving" in page else None


def print_status(page: Page, console: Console) -> None:
    state = "draining" if page["draining"] else "serving" if page["serving"] else "not serving"
    console.print(Text.assemble("Sidelight is ", (state, "green" if page["serving"] else "red"), "."))
    console.print(processes_table(page))
    if "components" not in page:
        console.print("The pipeline has said nothing yet: it starts, or it is stuck.")
        return
    if page["age"] > PATIENCE:
        console.print(Text(f"The pipeline last said something {page['age']:.0f} s ago.", "yellow"))
    console.print(components_table(page))
    console.print(evaluators_table(page))
    console.print(sums_of(page["counts"]), highlight=False)


def processes_table(page: Page) -> Table:
    table = a_table("process", "", "restarts")
    for name, process in page["processes"].items():
        ready = Text("ready", "green") if process["ready"] else Text("not ready", "red")
        table.add_row(name, ready, f"{process['restarts']:,}")
    return table


def components_table(page: Page) -> Table:
    table = a_table("component", "", "for", "sent", "lost", "waiting", "")
    exporters = page["counts"]["exporters"]
    for name, component in page["components"].items():
        sums = exporters.get(name.removeprefix("exporters."))
        counts = [sums["sent"], sums["failed"] + sums["refused"], sums["queued"]] if sums else []
        table.add_row(
            name,
            Text(component["status"].removeprefix("Status"), STYLES[component["status"]]),
            lasting(time.time() - component["since"]),
            *(f"{count:,}" for count in counts),
            *([""] * (3 - len(counts))),
            Text(component.get("error", "")),
        )
    return table


def evaluators_table(page: Page) -> Table:
    outcomes = ("pass", "fail", "scored", "error", "skipped")
    table = a_table("evaluator", *outcomes)
    for name, counted in page["counts"]["evaluators"].items():
        table.add_row(name, *(f"{counted.get(outcome, 0):,.0f}" for outcome in outcomes))
    return table


def a_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column and column != columns[0] else "left")
    return table


def lasting(seconds: float) -> str:
    """`3 min`, in the largest unit that has begun."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def sums_of(counts: Mapping[str, Any]) -> str:
    """The way of the requests in one sentence; its numbers add up."""
    refused = "".join(f", {count:,.0f} lost ({reason})" for reason, count in counts["refused"].items())
    return (
        f"{counts['requests']:,.0f} requests, {counts['active_requests']:,.0f} under way; "
        f"{counts['captures']:,.0f} captures{refused}; {counts['accepted']:,.0f} exchanges, "
        f"{counts['done']:,.0f} done, {counts['pending']:,.0f} pending. Coverage {counts['coverage']:.2%}."
    )

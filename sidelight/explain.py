"""The story of one exchange in the terminal: what was asked of whom, what was kept, and what each evaluator said."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.records import Exchange
from store.queries import AmbiguousId, LedgerRow, Story, opened, story

OUTCOME_STYLES = {"pass": "green", "fail": "red", "scored": "cyan", "error": "yellow", "skipped": "dim"}
KEPT = {
    "ratio": "in the sampled share",
    "error": "it ended in an error",
    "slow": "it was slow",
    "flagged": "an evaluator failed it",
    "sampled_out": "sampled out, so its content is gone",
}


def explain(path: Path, typed: str, console: Console) -> bool:
    """Print the story of the exchange that `typed` names: its id or its beginning, its trace id, or its
    answer's id.

    False, and a sentence why, when there is no store, no such exchange, or more than one.
    """
    try:
        with opened(path) as db:
            found = story(db, typed)
    except FileNotFoundError:
        return refuse(console, f"There is no store at {path}. Name one with --store, or start `sidelight run` first.")
    except sqlite3.Error as error:
        return refuse(console, f"{path} cannot be read as Sidelight's store: {error}.")
    except AmbiguousId as several:
        return refuse(console, f"{typed} could be any of these; give one in full:", *several.ids)
    if found is None:
        return refuse(
            console, f"No exchange in {path} has {typed!r} as its id, its beginning, its trace id or its answer's id."
        )
    console.print(told(found))
    return True


def refuse(console: Console, *lines: str) -> bool:
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    return False


def told(story: Story) -> RenderableType:
    """The story as one renderable."""
    return Group(heading(story), facts(story), "", verdicts(story))


def heading(story: Story) -> Text:
    when = datetime.fromtimestamp(story.started_at / 1e9, UTC)
    return Text.assemble(("Exchange ", "bold"), (story.id, "bold cyan"), f"  {when:%Y-%m-%d %H:%M:%S} UTC\n")


def facts(story: Story) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (
        ("asked", asked(story)),
        ("request", request(story)),
        ("answered", answered(story)),
        ("who", who(story)),
        ("tokens", tokens(story)),
        ("cost", "unknown" if story.cost is None else f"{story.cost:.6f} USD"),
        ("time", times(story)),
        ("trace", story.trace_id),
        ("state", state(story)),
        ("kept", kept(story)),
        ("content", content(story)),
    ):
        table.add_row(name, Text(value))
    return table


def asked(story: Story) -> str:
    what = " ".join(filter(None, (story.operation, story.model)))
    return f"{what or 'something'} of upstream {story.upstream}"


def request(story: Story) -> str:
    turn = story.exchange.turn if story.exchange else 0
    return f"{story.method} {story.path}" + (f", turn {turn} of the connection" if turn else "")


def answered(story: Story) -> str:
    status = "no answer" if story.status is None else f"HTTP {story.status}"
    manner = ", streamed" if story.stream else ""
    problem = "" if story.error_type is None else f", error {story.error_type}"
    message = story.exchange.error_message if story.exchange else None
    return f"{status}{manner}{problem}" + (f": {message}" if message else "")


def who(story: Story) -> str:
    """User and session, each with the place that told of it where the exchange is still there."""
    exchange = story.exchange
    user = f"user {story.user}{found_in(exchange.user_source if exchange else None)}" if story.user else "user unknown"
    session = (
        f"session {story.session}{found_in(exchange.session_source if exchange else None)}" if story.session else ""
    )
    return ", ".join(filter(None, (user, session)))


def found_in(source: str | None) -> str:
    return f" (by {source})" if source else ""


def tokens(story: Story) -> str:
    if story.input_tokens is None and story.output_tokens is None:
        return "none counted"
    counted = {"provider": ", by the provider's count", "estimated": ", estimated"}.get(story.usage_source or "", "")
    return f"{amount(story.input_tokens)} in, {amount(story.output_tokens)} out{counted}"


def amount(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def times(story: Story) -> str:
    first = "" if story.first_chunk is None else f", first chunk after {span(story.first_chunk)}"
    return f"{span(story.duration)} in all{first}"


def span(ns: int) -> str:
    """Nanoseconds in the unit that reads best."""
    if ns >= 1e9:
        return f"{ns / 1e9:.2f} s"
    return f"{ns / 1e6:.1f} ms" if ns >= 1e6 else f"{ns / 1e3:.0f} µs"


def state(story: Story) -> str:
    if story.state == "pending":
        times = "once" if story.attempts == 1 else f"{story.attempts} times"
        return f"pending: evaluation was begun {times}" if story.attempts else "pending: evaluation has not begun"
    return story.state


def kept(story: Story) -> str:
    if story.kept is None:
        return "not decided yet"
    why = KEPT.get(story.kept, story.kept)
    if story.weight is None or story.weight <= 1.0:
        return why
    return f"{why}; it stands for {story.weight:g} of its kind"


def content(story: Story) -> str:
    if story.body_size is None:
        return "none in the store"
    if story.exchange is None:
        return f"{story.body_size:,} bytes that this version cannot read"
    exchange = story.exchange
    messages = f"messages: {len(exchange.input_messages)} in, {len(exchange.output_messages)} out"
    return "; ".join((exchange.content, messages, *grounds(exchange), f"read as {exchange.wire}"))


def grounds(exchange: Exchange) -> tuple[str, ...]:
    """The texts that the answer should be grounded in, where there are any."""
    return (f"context: {len(exchange.context)}{found_in(exchange.context_source)}",) if exchange.context else ()


def verdicts(story: Story) -> RenderableType:
    if not story.ledger:
        return Text("No evaluator has spoken yet." if story.state == "pending" else "No evaluator was asked.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("evaluator", no_wrap=True)
    table.add_column("outcome")
    table.add_column("score", justify="right")
    table.add_column("why", overflow="fold")
    table.add_column("version", style="dim", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for row in story.ledger:
        outcome = Text(row.outcome, OUTCOME_STYLES.get(row.outcome, ""))
        score = "" if row.score is None else f"{row.score:.3g}"
        table.add_row(Text(row.evaluator), outcome, score, Text(why(row)), Text(row.version or ""), span(row.duration))
    return table


def why(row: LedgerRow) -> str:
    label = row.label if row.label not in (None, row.outcome) else None
    return ": ".join(filter(None, (row.reason, label, row.explanation)))

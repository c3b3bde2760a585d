"""docs/telemetry.md is what the table of names says; `python -m tests.test_telemetry_docs` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from exporters import semconv
from exporters.prometheus import family
from exporters.signals import EVENTS, SPANS, Signal
from pipeline.telemetry import Instrument, Metric, Telemetry

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "telemetry.md"
INTRODUCTION = """# Telemetry

Every span, event, metric and attribute that Sidelight sends. `python -m tests.test_telemetry_docs` writes this page
from the table that the encoders use: `exporters/semconv.py`, `exporters/signals.py`, `pipeline/telemetry.py`. The tests
hold what is really sent, over every recorded answer of every provider, against it, and it against the registries of
the conventions: {source}. What no convention names
is under `sidelight.`.

    (caller's span)
    └─ SERVER    POST /v1/chat/completions
       └─ CLIENT   chat gpt-4o                 ◄── the events, in its context
          ├─ INTERNAL  evaluate refusal
          └─ INTERNAL  evaluate latency

A caller's trace is continued, and the upstream is told the CLIENT span (`trace_context` of an upstream changes that).
Which evaluators failed a call is on its CLIENT span: all in a list, `sidelight.failed`, and each for itself, so that a
search finds it: in Jaeger look for the tag `sidelight.failed_by.refusal=true`. A backend without spans finds the same
in the events.

Sampling is consistent (`ot=th:…` in the trace state where `processors.sample.ratio` is below 1): the same traces are
kept here, by the SDKs and by a Collector, and `sidelight.sampling.weight` says how many calls each stands for.

"""
DIALECTS = """## Dialects

`exporters.otlp.dialect` says the same in the words of backends that do not read the conventions. Spans, ids, times and
events stay as they are.

"""
CARDINALITY = """
Histograms carry exemplars: the trace of a call that was kept. No metric has a user, a session or a conversation. Model
names come from callers: an instrument keeps 2,000 sets of attributes and counts what comes after them under
`otel.metric.overflow`.

Under `metrics: legacy` or `both` inference goes by the names that were deployed until September 2026:

"""
KINDS = {"counter": "counter", "updown": "up-down counter", "gauge": "gauge", "histogram": "histogram"}
WHEN = ("always", "where known", "texts may be told")


def page() -> str:
    parts = [INTRODUCTION.format(source=semconv.SOURCE.replace(", ", " and "))]
    parts.append("## Spans\n\n" + "".join(map(signal_section, SPANS)))
    parts.append(
        "## Events\n\nLog records in the context of the CLIENT span; `exporters.otlp.events` chooses them.\n"
        + "".join("\n" + signal_section(each) for each in EVENTS)
        + "\n"
    )
    parts.append(metrics_section())
    parts.append(DIALECTS + "".join(map(dialect_section, semconv.DIALECTS)))
    return "".join(parts).rstrip() + "\n"


def signal_section(signal: Signal) -> str:
    title = f"### `{signal.name}`" + ("" if signal.kind == "event" else f", {signal.kind}")
    rows = [
        (f"`{name}`", semconv.ATTRIBUTES[name].type, when, semconv.ATTRIBUTES[name].meaning)
        for when, names in zip(WHEN, (signal.always, signal.known, signal.content), strict=True)
        for name in names
    ]
    head = ("attribute", "type", "when", "meaning")
    return f"{title}\n\n{signal.meaning} Scope `{signal.scope.name}`.\n\n{table(head, rows)}\n"


def metrics_section() -> str:
    head = ("metric", "on the Prometheus page", "kind", "unit", "by", "meaning")
    conventional, own = instruments(semconv.Conventional()), instruments(Telemetry())
    older = [(f"`{new}`", f"`{old}`", f"`{kind}`" if kind else "") for new, (old, kind) in semconv.LEGACY_NAMES.items()]
    return (
        "## Metrics\n\n### The conventions'\n\n"
        + table(head, map(metric_row, conventional))
        + CARDINALITY
        + table(("latest", "older", "`gen_ai.token.type`"), older)
        + "\n### Sidelight's own\n\n"
        + table(head, map(metric_row, own))
        + f"\nThe sums: {sums()}\n\n"
    )


def instruments(of: object) -> list[Instrument]:
    return [each for each in vars(of).values() if isinstance(each, Instrument)]


def metric_row(each: Instrument) -> tuple[str, ...]:
    shown = family(Metric(each.name, each.kind, each.unit, each.description, each.bounds, ()))
    name = shown.name + ("_total" if shown.type == "counter" else "")
    by = ", ".join(f"`{attribute}`" for attribute in each.by)
    return f"`{each.name}`", f"`{name}`", KINDS[each.kind], f"`{each.unit}`", by, each.description


def sums() -> str:
    """As the instruments' own docstring has them."""
    text = " ".join((Telemetry.__doc__ or "").split())
    return text.partition("The sums: ")[2]


def dialect_section(name: str) -> str:
    rows = [(f"`{key}`", each.type, each.meaning) for key, each in semconv.DIALECTS[name].items()]
    return f"### `{name}`\n\n{table(('attribute', 'type', 'meaning'), rows)}\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(lines(head, rows))


def lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n"


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.test_telemetry_docs writes it"


def test_every_name_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    metrics = {each.name for each in (*instruments(semconv.Conventional()), *instruments(Telemetry()))}
    for name in (*semconv.ATTRIBUTES, *metrics, *(key for table in semconv.DIALECTS.values() for key in table)):
        assert f"`{name}`" in text, name


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

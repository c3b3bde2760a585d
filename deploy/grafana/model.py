"""What a dashboard is made of, in our words; `render` turns it into Grafana's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "bargauge", "heatmap", "table"]


@dataclass(frozen=True, slots=True)
class Limits:
    """From `warn` on yellow, from `bad` on red; or below them, where `warn` is the higher one."""

    warn: float
    bad: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer. `queries` are the legend of each series and its PromQL."""

    kind: Kind
    title: str
    description: str
    unit: str  # Grafana's name of it
    queries: Mapping[str, str]
    width: int = 8  # of 24 columns
    height: int = 8  # rows of 30 pixels
    limits: Limits | None = None
    stacked: bool = False
    exemplars: bool = False  # each a dot that leads to its trace
    link: str = ""  # where a click on a value leads
    units: Mapping[str, str] = field(default_factory=dict)  # of a table's columns that have another

    @property
    def instant(self) -> bool:
        """Is one value asked for, and not its course?"""
        return self.kind in ("table", "bargauge") or any("$__range" in query for query in self.queries.values())


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it, from left to right, in as many lines as they need."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: the values that a label of a metric has."""

    name: str
    label: str
    metric: str
    key: str  # the label with the values
    several: bool = True  # may be chosen, all of them to begin with


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page. `name` is its file's, and the end of its address."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    since: str = "now-1h"
    refresh: str = "30s"


def chart(
    title: str,
    description: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    width: int = 8,
    limits: Limits | None = None,
    stacked: bool = False,
    exemplars: bool = False,
) -> Panel:
    """Values over time."""
    return Panel("timeseries", title, description, unit, queries, width, 8, limits, stacked, exemplars)


def number(
    title: str, description: str, unit: str, query: str, *, width: int = 4, limits: Limits | None = None
) -> Panel:
    """One value, large."""
    return Panel("stat", title, description, unit, {"": query}, width, 4, limits)


def bars(
    title: str,
    description: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    width: int = 8,
    limits: Limits | None = None,
    link: str = "",
) -> Panel:
    """One value of each series, side by side."""
    return Panel("bargauge", title, description, unit, queries, width, 8, limits, link=link)


def heatmap(title: str, description: str, unit: str, query: str, *, width: int = 12) -> Panel:
    """How a histogram's measurements are spread, over time; `query` keeps `le`."""
    return Panel("heatmap", title, description, unit, {"{{le}}": query}, width, 8, exemplars=True)


def table(title: str, description: str, columns: Mapping[str, tuple[str, str]], *, width: int = 24) -> Panel:
    """A line for each set of labels; `columns` are the unit and the query below each heading."""
    queries = {heading: query for heading, (_, query) in columns.items()}
    units = {heading: unit for heading, (unit, _) in columns.items()}
    return Panel("table", title, description, "short", queries, width, 8, units=units)

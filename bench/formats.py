"""What decoding costs by wire format: `python -m bench.formats`; a part of `python -m bench.pipeline`.

The recorded cases of the tests, each decoded again and again: CPU us an exchange, the median over a format's cases,
bodies that came whole and streams apart; and what a kilobyte of them costs. Errors and the like are among the cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from bench.measure import percentile
from bench.report import markdown, number
from pipeline.records import Capture
from tests.wire.cases import CASES, STREAMS, read_case
from wire import exchanges_of

ROUND = 4_000_000  # ns of CPU for each case


class Cost(NamedTuple):
    """Of one case: CPU us a decoding, bytes decoded, and whether they came as a stream."""

    us: float
    size: int
    stream: bool


def cost_of(case: str, clock: Callable[[], int] = time.process_time_ns) -> Cost:
    """Decode for a while; the first time warms up."""
    capture = read_case(case)
    exchanges_of(capture)
    began, runs = clock(), 0
    while (spent := clock() - began) < ROUND:
        exchanges_of(capture)
        runs += 1
    return Cost(spent / 1000 / runs, size_of(capture), case in STREAMS)


def size_of(capture: Capture) -> int:
    return len(capture.request_body) + len(capture.response_body)


def measured() -> dict[str, list[Cost]]:
    """Format → the costs of its cases."""
    return {name: list(map(cost_of, cases)) for name, cases in groupby(CASES, key=lambda case: case.split("/")[0])}


def median(costs: Sequence[float]) -> str:
    return number(percentile(sorted(costs), 0.5) or 0.0) if costs else "–"


def table(costs: Mapping[str, Sequence[Cost]]) -> str:
    """One line a format."""
    lines = [
        [
            name,
            str(len(cases)),
            median([each.us for each in cases if not each.stream]),
            median([each.us for each in cases if each.stream]),
            median([each.us * 1024 / each.size for each in cases if each.size]),
        ]
        for name, cases in costs.items()
    ]
    return markdown(["decode, CPU us", "cases", "whole", "streamed", "each KB"], lines)


if __name__ == "__main__":
    print(table(measured()))

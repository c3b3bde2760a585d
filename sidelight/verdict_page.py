"""An evaluated file as one HTML page that loads nothing: to keep beside a build, to send to somebody."""

from __future__ import annotations

import platform
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.records import Outcome
from sidelight import __version__
from sidelight.charts import Segment, histogram, segments
from sidelight.verdict import Verdict, printable
from sidelight.verdict_table import comparison, conclusion, mean, number, rate, share

SHOWN: Final = 1000  # failures, and rows that could not be read
ORDER: Final[tuple[Outcome, ...]] = ("pass", "fail", "scored", "error", "skipped")
WIDTH: Final = 300
HEIGHT: Final = 100


def write_page(verdict: Verdict, file: Path, at: datetime) -> None:
    """Everything that was said, nothing that was asked or answered."""
    file.write_text(page_of(verdict, at), "utf-8")


def page_of(verdict: Verdict, at: datetime) -> str:
    pages = environment()
    style = pages.get_template("verdict.css").render()
    scored = [each for each in verdict.tallies if each.scores]
    varied = [each for each in scored if len(set(each.scores)) > 1]
    return pages.get_template("verdict.html").render(
        verdict=verdict,
        name=Path(verdict.file).name,
        at=f"{at:%d %B %Y, %H:%M} {at:%Z}",
        conclusion=conclusion(verdict).plain,
        comparison=verdict.classification and comparison(verdict.classification),
        order=ORDER,
        skips=skips_of(verdict),
        histograms=[(each, histogram(each.scores, WIDTH, HEIGHT)) for each in varied],
        alike=[each for each in scored if each not in varied],
        shown=SHOWN,
        style=Markup(style),  # noqa: S704 - it is a file of ours
        style_hash=f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}",
        version=__version__,
        python=platform.python_version(),
    )


@cache
def environment() -> Environment:
    """Whatever is put into a page is escaped, and a name that is not there is an error."""
    pages = Environment(
        loader=PackageLoader("sidelight"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "corrected": lambda tally: share(*tally.corrected),
        "figure": number,
        "mean": mean,
        "percent": lambda part: f"{part:.0%}",
        "printable": printable,
        "rate": rate,
        "segments": in_order,
        "thousands": lambda count: f"{count:,}",
    }
    return pages


def in_order(outcomes: Mapping[str, int], width: float) -> tuple[Segment, ...]:
    return segments(outcomes, ORDER, width)


def skips_of(verdict: Verdict) -> dict[str, dict[str, int]]:
    """Evaluator → reason → rows, of those that skipped any."""
    counted: dict[str, Counter[str]] = {}
    for judged in verdict.judged:
        for entry in judged.entries:
            if entry.outcome == "skipped":
                counted.setdefault(entry.evaluator, Counter())[entry.reason or "no reason"] += 1
    return {evaluator: dict(reasons) for evaluator, reasons in counted.items()}

"""Every name under which Prometheus finds what Sidelight measures."""

from __future__ import annotations

from collections.abc import Iterator

from exporters.prometheus import family
from exporters.semconv import Conventional
from exporters.vocabulary import in_vocabulary
from pipeline.telemetry import HistogramPoint, Instrument, Metric, NumberPoint, Telemetry


def names() -> set[str]:
    """Of all series of all instruments, under the latest and the older names."""
    metrics = in_vocabulary((measured(each) for each in instruments()), "both")
    return {sample.name for metric in metrics for sample in family(metric).samples} | {"target_info"}


def instruments() -> Iterator[Instrument]:
    for table in (Telemetry(), Conventional()):
        yield from (value for value in vars(table).values() if isinstance(value, Instrument))


def measured(each: Instrument) -> Metric:
    """As if it had one measurement."""
    histogram = HistogramPoint((), 0, 0, None, None, (0,) * (len(each.bounds) + 1), ())
    point = histogram if each.kind == "histogram" else NumberPoint((), 0)
    return Metric(each.name, each.kind, each.unit, each.description, each.bounds, (point,))

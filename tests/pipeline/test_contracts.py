"""Everything that ships keeps the contract of its kind."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from exporters import EXPORTERS
from pipeline.contracts import MetricsPage, Processor
from pipeline.inputs import INPUTS
from processors import PROCESSORS
from wire import WIRE_FORMATS


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_processor_is_a_frozen_dataclass_that_asks_for_known_inputs(name: str) -> None:
    kind = PROCESSORS[name]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert isinstance(kind(), Processor)
    assert set(kind.requires) <= set(INPUTS)


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_is_a_frozen_dataclass_that_exports_or_is_asked(name: str) -> None:
    kind = EXPORTERS[name]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    exports = inspect.iscoroutinefunction(getattr(kind, "export", None))
    assert exports is not issubclass(kind, MetricsPage)


def test_wire_formats_have_different_names() -> None:
    names = [wire_format.name for wire_format in WIRE_FORMATS]
    assert len(set(names)) == len(names)

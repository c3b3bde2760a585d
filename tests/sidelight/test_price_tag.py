"""What an evaluator costs is measured, and one that cannot be is not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pipeline.inputs import INPUTS, missing_input
from pipeline.records import Evaluation, Exchange
from processors import PROCESSORS
from sidelight.price_tag import a_kilobyte_each, microseconds


class Broken:
    requires: ClassVar[tuple[str, ...]] = ()

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        raise ValueError("no")


def test_the_exchange_has_what_most_evaluators_need() -> None:
    absent = {name for name in INPUTS if missing_input((name,), a_kilobyte_each()) is not None}
    assert absent == {"times", "tool_calls", "tool_definitions"}


def test_more_work_costs_more() -> None:
    exchange = a_kilobyte_each()
    cheap, dear = (microseconds(PROCESSORS[name](), exchange) for name in ("truncation", "reference"))
    assert cheap
    assert dear
    assert cheap < dear


def test_what_cannot_be_measured_has_no_price() -> None:
    assert microseconds(Broken(), a_kilobyte_each()) is None
    assert microseconds(PROCESSORS["tool_arguments"](), a_kilobyte_each()) is None

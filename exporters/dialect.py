"""What a dialect is: the attributes of the same spans in the words of one backend.

Spans, ids, times and events are the same in every dialect. A backend that reads the conventions needs none of these;
others read names of their own, or the conventions' names of some time ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from exporters.otlp_evaluations import Judgement
from exporters.otlp_span import Telling
from pipeline.records import EvaluatedExchange, Exchange


class Dialect(Protocol):
    """Attributes, encoded. It has no state."""

    server: ClassVar[Sequence[bytes]]
    """What SERVER spans have besides."""

    def operation(self, evaluated: EvaluatedExchange, telling: Telling) -> list[bytes]:
        """All that the operation's span says but for its texts."""

    def content(self, exchange: Exchange, telling: Telling) -> list[bytes]:
        """Its texts; asked only where they may be told."""

    def evaluation(self, judgement: Judgement, telling: Telling) -> list[bytes]:
        """What an evaluation's span says of it; `judgement.attributes` are the conventions' words."""

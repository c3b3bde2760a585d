"""What a component can be, each a protocol of one verb."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol, runtime_checkable

from pipeline.condition import Condition
from pipeline.records import Capture, EvaluatedExchange, Evaluation, Exchange, LedgerEntry
from pipeline.telemetry import Snapshot


class WireFormat(Protocol):
    """What the bytes of one API mean. Never does I/O, never raises for bad bytes."""

    name: ClassVar[str]

    def matches(self, capture: Capture) -> bool:
        """Is this capture mine? Decided by path first, then content."""
        ...

    def decode(self, capture: Capture) -> Exchange:
        """Read what can be read; what cannot is named in `decode_error`."""
        ...


class SplicedFormat(Protocol):
    """What both sides say on a connection that stopped being HTTP. Never does I/O, never raises for bad bytes."""

    name: ClassVar[str]

    def matches(self, capture: Capture) -> bool:
        """Is this connection mine? Decided by the request that was upgraded."""
        ...

    def turns(self, capture: Capture) -> tuple[Exchange, ...]:
        """Every answer that ended in this part of the connection, as an exchange of its own."""
        ...


@runtime_checkable
class Processor(Protocol):
    """Judges exchanges. A frozen dataclass whose fields are its options."""

    # What the exchange must have, by name in pipeline.inputs.INPUTS; without it the outcome is skipped/missing_input.
    requires: ClassVar[tuple[str, ...]]

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        """Say what you think; nothing (an empty sequence) when the exchange is none of your business."""
        ...


@runtime_checkable
class Summary(Processor, Protocol):
    """A processor that judges what the others said; it comes after all of them."""

    def sum_up(self, entries: Sequence[LedgerEntry]) -> Sequence[Evaluation]:
        """Of one exchange, by everybody else; instead of `process`."""
        ...


@runtime_checkable
class MetricsPage(Protocol):
    """An exporter that does not tell but is asked, and only for metrics. A frozen dataclass as well."""

    def serving(
        self, read: Callable[[], Iterable[Snapshot]], condition: Condition
    ) -> AbstractAsyncContextManager[None]:
        """Answer while the block lasts, each time with what `read` gives then; `condition` says whether it can."""
        ...


class Exporter(Protocol):
    """Takes evaluated exchanges elsewhere. A frozen dataclass whose fields are its options."""

    async def export(self, batch: Sequence[EvaluatedExchange]) -> None:
        """Deliver the whole batch; raises Retryable, Permanent or PartialSuccess."""
        ...

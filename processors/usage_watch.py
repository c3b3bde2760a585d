"""Notices when an endpoint that used to report its counts of tokens stops doing so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from pipeline.records import Exchange

REPORTS: Final = frozenset(("chat", "text_completion", "generate_content", "embeddings"))  # operations with counts
WINDOW: Final = 50  # exchanges remembered
ENOUGH: Final = 20  # of them, to know what is usual
USUAL: Final = 0.9  # share with counts
LOST_AFTER: Final = 10  # exchanges in a row without
MOST: Final = 1024  # ways of calling that are watched
ALL: Final = (1 << WINDOW) - 1


class Way(NamedTuple):
    """A way of calling: what reports the same for every call."""

    upstream: str
    wire: str
    stream: bool
    asked: bool  # the client asked for counts in the stream


class UsageWatch:
    """Watches every way of calling. `on_lost` and `on_found` are called once for each change."""

    def __init__(self, on_lost: Callable[[Way], None], on_found: Callable[[Way], None]) -> None:
        self._on_lost = on_lost
        self._on_found = on_found
        self._habits: dict[Way, Habit] = {}

    def observe(self, exchange: Exchange) -> None:
        """Take note of an exchange that should have counts; others are passed over."""
        if not _should_report(exchange):
            return
        way = Way(exchange.upstream, exchange.wire, exchange.stream, "include_usage" in exchange.claims)
        habit = self._habits.get(way) or self._admit(way)
        if habit is None:
            return
        was_lost = habit.lost
        habit.note(exchange.usage.source == "provider")
        if habit.lost is not was_lost:
            (self._on_lost if habit.lost else self._on_found)(way)

    def lost(self) -> Iterable[Way]:
        """The ways of calling whose counts are missing now."""
        return [way for way, habit in self._habits.items() if habit.lost]

    def _admit(self, way: Way) -> Habit | None:
        return self._habits.setdefault(way, Habit()) if len(self._habits) < MOST else None


class Habit:
    """Whether one way of calling reports; the newest of what is remembered is the lowest bit."""

    __slots__ = ("_known", "_missing", "_reported", "lost")

    def __init__(self) -> None:
        self.lost = False
        self._reported = 0
        self._known = 0
        self._missing = 0  # in a row, not yet remembered: a loss must not wear down the memory of what was usual

    def note(self, reported: bool) -> None:
        """One more exchange."""
        if reported:
            self._remember_missing()
            self._reported = (self._reported << 1 | 1) & ALL
            self._known = min(self._known + 1, WINDOW)
            self.lost = False
            return
        self._missing = min(self._missing + 1, WINDOW)
        if self._missing < LOST_AFTER or self.lost:
            return
        if self._is_usual():
            self.lost = True
        else:
            self._remember_missing()

    def _is_usual(self) -> bool:
        return self._known >= ENOUGH and self._reported.bit_count() >= USUAL * self._known

    def _remember_missing(self) -> None:
        self._reported = (self._reported << self._missing) & ALL
        self._known = min(self._known + self._missing, WINDOW)
        self._missing = 0


def _should_report(exchange: Exchange) -> bool:
    """An answer that was given, and whose end is in the copy; one that is still being made has no counts yet."""
    if exchange.operation not in REPORTS or exchange.error_type is not None or exchange.http.status is None:
        return False
    if exchange.decode_error in ("response_cut", "request_cut", "content_encoding_unsupported"):
        return False
    return exchange.operation == "embeddings" or any(message.parts for message in exchange.output_messages)

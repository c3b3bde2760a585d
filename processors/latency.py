"""How long did the answer take: in all, to its first content, and per token?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from config.settings import Duration
from pipeline.records import Evaluation, Exchange, Timing
from processors.options import check_limit

SECOND = 1e9  # in the records' nanoseconds


@dataclass(frozen=True, slots=True)
class Latency:
    """Judges duration, time to first chunk and output speed; a limit of null leaves the value unjudged."""

    max_duration: Duration | None = 60.0  # from the first byte of the request to the last of the answer
    max_time_to_first_chunk: Duration | None = 10.0  # from sending the request to the first content; streams
    min_tokens_per_second: float | None = 5.0  # output tokens in each second after the first content; streams

    requires: ClassVar[tuple[str, ...]] = ("genai", "times")
    scale: ClassVar[str] = "seconds; tokens per second"

    def __post_init__(self) -> None:
        check_limit("max_duration", self.max_duration, "seconds")
        check_limit("max_time_to_first_chunk", self.max_time_to_first_chunk, "seconds")
        check_limit("min_tokens_per_second", self.min_tokens_per_second, "tokens")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        duration = exchange.timing.duration / SECOND
        first_chunk = _time_to_first_chunk(exchange.timing)
        speed = _tokens_per_second(exchange)
        judged = (
            _judged("latency.duration", duration, self.max_duration, "s", over_is_bad=True),
            _judged("latency.time_to_first_chunk", first_chunk, self.max_time_to_first_chunk, "s", over_is_bad=True),
            _judged("latency.tokens_per_second", speed, self.min_tokens_per_second, "tokens/s", over_is_bad=False),
        )
        return [evaluation for evaluation in judged if evaluation is not None]


def _time_to_first_chunk(timing: Timing) -> float | None:
    if timing.first_chunk_at is None:
        return None
    return max(0, timing.first_chunk_at - (timing.sent_at or 0)) / SECOND


def _tokens_per_second(exchange: Exchange) -> float | None:
    """Output tokens over the time from the first content to the end; None when either is unknown or zero."""
    timing, tokens = exchange.timing, exchange.usage.output_tokens
    if not tokens or timing.first_chunk_at is None or timing.ended_at <= timing.first_chunk_at:
        return None
    return tokens * SECOND / (timing.ended_at - timing.first_chunk_at)


def _judged(name: str, value: float | None, limit: float | None, unit: str, *, over_is_bad: bool) -> Evaluation | None:
    """None without a value; no label without a limit."""
    if value is None or limit is None:
        return None if value is None else Evaluation(name, value)
    if (value > limit) if over_is_bad else (value < limit):
        what = name.partition(".")[2].replace("_", " ")
        return Evaluation(name, value, "fail", f"{what} {value:.3g} {unit}, limit {limit:g} {unit}")
    return Evaluation(name, value, "pass")

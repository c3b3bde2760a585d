"""How long did the answer take: in all, to its first content, and per token?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.records import Evaluation, Exchange, Timing
from processors.options import check_limit

SECOND = 1e9  # in the records' nanoseconds


@dataclass(frozen=True, slots=True)
class Latency:
    """Judges duration, time to first chunk and output speed; a limit of null leaves the value unjudged."""

    max_duration: float | None = 60.0  # seconds from the first byte of the request to the last of the answer
    max_time_to_first_chunk: float | None = 10.0  # seconds from sending the request to the first content; streams
    min_tokens_per_second: float | None = 5.0  # output tokens in each second after the first content; streams

    requires: ClassVar[tuple[str, ...]] = ("genai",)

    def __post_init__(self) -> None:
        check_limit("max_duration", self.max_duration, "seconds")
        check_limit("max_time_to_first_chunk", self.max_time_to_first_chunk, "seconds")
        check_limit("min_tokens_per_second", self.min_tokens_per_second, "tokens")

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        duration = exchange.timing.duration / SECOND
        first_chunk = _time_to_first_chunk(exchange.timing)
        speed = _tokens_per_second(exchange)
        judged = (
            ("latency.duration", duration, _over(duration, self.max_duration)),
            ("latency.time_to_first_chunk", first_chunk, _over(first_chunk, self.max_time_to_first_chunk)),
            ("latency.tokens_per_second", speed, _over(self.min_tokens_per_second, speed)),
        )
        return [Evaluation(name, value, label) for name, value, label in judged if value is not None]


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


def _over(value: float | None, limit: float | None) -> str | None:
    if value is None or limit is None:
        return None
    return "fail" if value > limit else "pass"

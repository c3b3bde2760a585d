"""What a proxy process publishes about itself through the hand-off's first page, by name and in this order."""

from __future__ import annotations

from typing import Final

# Sums since the first start of this proxy: they survive a restart of the process.
SUMS: Final = (
    "offered",  # captures
    "ring_full",  # captures refused
    "too_large",
    "cut",
    "requests",
    "refusals",  # answers of our own
    "invalid_requests",
    "rejected_connections",
    "failures",
    "client_disconnects",
    "capture_parts",  # captures of spliced connections that were not their last
    "compared_answers",  # whole answers, what left beside what came
    "mismatched_answers",  # of which left otherwise than they came
)
LEVELS: Final = ("active_requests", "client_connections", "upstream_connections", "capture_memory")
LAG: Final = ("loop_lag",)  # microseconds
NAMES: Final = SUMS + LEVELS + LAG

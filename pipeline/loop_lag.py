"""How late an event loop is: what should have run at a time, and when it did."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

EVERY: Final = 0.1  # seconds
WINDOW: Final = 10.0


class LoopLag:
    """Looks at the clock ten times a second, from `start` on."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=round(WINDOW / EVERY))
        self._due = 0.0

    def start(self) -> None:
        """On the loop that is running; it ends with that loop."""
        self._loop = asyncio.get_running_loop()
        self._next()

    @property
    def worst(self) -> float:
        """Seconds, the latest of the last ten seconds."""
        return max(self._late, default=0.0)

    def _next(self) -> None:
        self._due = self._loop.time() + EVERY
        self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._late.append(max(self._loop.time() - self._due, 0.0))
        self._next()

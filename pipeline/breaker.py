"""Stops asking somebody who fails again and again, for a while that doubles each time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

FAILURES: Final = 5  # in a row
FIRST_PAUSE: Final = 15.0  # seconds
LONGEST_PAUSE: Final = 600.0


class Breaker:
    """Closed while all is well. After too many failures it opens; after the pause it is on trial, and the next one
    decides whether it closes, or opens for longer."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0

    @property
    def wait(self) -> float:
        """Seconds until somebody may ask; 0: now."""
        return max(self._until - self._clock(), 0.0)

    @property
    def on_trial(self) -> bool:
        """Has it been open, and may be asked, but better by one than by all?"""
        return self._failures >= FAILURES and not self.wait

    def well(self) -> None:
        self._failures, self._pause, self._until = 0, FIRST_PAUSE, 0.0

    def failed(self) -> None:
        self._failures += 1
        if self.on_trial:  # what was under way when it opened says nothing new
            self._until = self._clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

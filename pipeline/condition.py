"""How a component fares, in the Collector's words: StatusOK, StatusRecoverableError, StatusPermanentError."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Literal

State = Literal["StatusOK", "StatusRecoverableError", "StatusPermanentError"]
WORST_FIRST: tuple[State, ...] = ("StatusPermanentError", "StatusRecoverableError", "StatusOK")


class Condition:
    """The state of one component, since when, and what is wrong.

    A permanent error is one that trying again will not mend; somebody else may, and then the component is well again.
    """

    __slots__ = ("error", "since", "state")

    def __init__(self) -> None:
        self.state: State = "StatusOK"
        self.since = time.time()  # s since the epoch
        self.error: str | None = None  # what it last complained of

    def well(self) -> None:
        """It works."""
        self._set("StatusOK", None)

    def failing(self, error: str, *, permanent: bool = False) -> None:
        """It does not."""
        self._set("StatusPermanentError" if permanent else "StatusRecoverableError", error)

    def _set(self, state: State, error: str | None) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()
        self.error = error

    def told(self) -> dict[str, Any]:
        """As the health page shows it."""
        return {"status": self.state, "since": self.since, **({"error": self.error} if self.error else {})}


def worst(conditions: Iterable[Condition]) -> Condition:
    """Of a component's parts, the one in the worst state; at least one is given."""
    return min(conditions, key=lambda each: WORST_FIRST.index(each.state))

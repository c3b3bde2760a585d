"""The answer of an API that does not stream: one body says all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wire.reading import Answered


class WholeAnswer:
    """Keeps the body until it is asked what it means."""

    ended = False

    def __init__(self, read: Callable[[dict[str, Any]], Answered]) -> None:
        self._read = read
        self._body: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        self._body = event
        return False

    def answered(self) -> Answered:
        return self._read(self._body)

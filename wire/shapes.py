"""Values of the expected type out of JSON of any shape; absent and null are nothing, a wrong type is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.records import Json

MAX_COUNT = 2**53  # beyond it JSON numbers are not exact, and the sum of three must fit 64 bits
MAX_ITEMS = 2**17  # of one array; the longest an API allows are a batch's 100,000 requests


class Shapes:
    """One reading of one capture: asks for shapes, and keeps the first problem met."""

    __slots__ = ("_odd", "_problem")

    def __init__(self) -> None:
        self._problem: str | None = None
        self._odd = False

    @property
    def problem(self) -> str | None:
        """The `decode_error`: the first named problem; only a wrong shape counts for less."""
        return self._problem or ("unexpected_shape" if self._odd else None)

    def note(self, problem: str | None) -> None:
        """Something could not be read."""
        if self._problem is None:
            self._problem = problem

    def odd(self, value: Json = ...) -> None:
        """This value (anything but null) is not of the shape the API promises."""
        if value is not None:
            self._odd = True

    def record(self, value: Json) -> dict[str, Any]:
        if value is None:
            return {}
        if type(value) is dict:
            return value
        self.odd(value)
        return {}

    def records(self, value: Json) -> list[dict[str, Any]]:
        """The objects of an array; whatever else is in it is left out."""
        items = self.items(value)
        for item in items:
            if type(item) is not dict:
                self._odd = True
                return [item for item in items if type(item) is dict]
        return items

    def items(self, value: Json) -> list[Any]:
        """An array as far as it is one that an API allows."""
        if value is None:
            return []
        if type(value) is list:
            if len(value) <= MAX_ITEMS:
                return value
            self.odd(value)
            return value[:MAX_ITEMS]
        self.odd(value)
        return []

    def text(self, value: Json) -> str | None:
        if value is None:
            return None
        if type(value) is str:
            return value
        self.odd(value)
        return None

    def number(self, value: Json) -> float | None:
        if value is None:
            return None
        if type(value) is float or type(value) is int:
            return value
        self.odd(value)
        return None

    def integer(self, value: Json) -> int | None:
        """A whole number that fits 64 bits with a sign, also when written as 5.0."""
        if value is None:
            return None
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and -(2**63) <= value < 2**63:
            return value
        self.odd(value)
        return None

    def count(self, value: Json) -> int | None:
        """How many of something."""
        if value is None:
            return None
        number = self.integer(value)
        if number is None or 0 <= number <= MAX_COUNT:
            return number
        self.odd()
        return None

    def total(self, values: Iterable[Json]) -> int | None:
        """The sum of those that are counts; None where none is."""
        counts = [count for count in map(self.count, values) if count is not None]
        return self.count(sum(counts)) if counts else None


def first_given(*values: Json) -> Json:
    """The first that is not null, where one thing goes by several names."""
    return next((value for value in values if value is not None), None)

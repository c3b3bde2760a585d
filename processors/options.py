"""Checks that options of several processors share; each raises ValueError naming the option and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Final

CREDENTIALS: Final = frozenset(
    ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
)


def check_share(option: str, value: float) -> None:
    """Refuse what is not a number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{option} is {value}; give a number from 0 to 1")


def check_limit(option: str, value: float | None, unit: str) -> None:
    """Refuse a limit that is neither absent nor a positive number."""
    if value is not None and not (isfinite(value) and value > 0):
        raise ValueError(f"{option} is {value}; give a positive number of {unit}, or null for no judgement")


def check_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is not among those known."""
    if value not in known:
        raise ValueError(f"{option} is {value!r}; choose one of {', '.join(known)}")


def check_headers(names: Iterable[str]) -> None:
    """Refuse headers that no capture ever holds; `names` in lower case."""
    for name in sorted(CREDENTIALS.intersection(names)):
        raise ValueError(f"{name} is a credential, which is never captured; choose another header")

"""W3C baggage: what the caller's trace carries along, as far as somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

MAX_SIZE: Final = 8192  # characters, as the specification has it; what follows is not looked at
MAX_MEMBERS: Final = 64


def members_of(baggage: str, wanted: Collection[str]) -> dict[str, str]:
    """Key → decoded value of the wanted members, without properties; of a key given twice the first."""
    found: dict[str, str] = {}
    for member in baggage[:MAX_SIZE].split(",", MAX_MEMBERS)[:MAX_MEMBERS]:
        key, equals, value = member.partition(";")[0].partition("=")
        name = key.strip()
        if equals and name in wanted and name not in found and (text := unquote(value.strip())):
            found[name] = text
    return found

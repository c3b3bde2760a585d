"""A message as it comes together, for the APIs whose parts come one after another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

from pipeline.records import Part, PartType

MAX_CITATIONS = 256  # of one message
MAX_CITED = 1000  # characters of each member of a citation: every source may repeat the words it supports


class Transcript:
    """Parts in the order they came; a piece of text belongs to the part before it if that is of its kind."""

    __slots__ = ("_parts", "_pieces")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._pieces: list[str] = []  # of the last part

    def say(self, kind: PartType, piece: str | None, begin: bool = False) -> bool:
        """A piece of text or reasoning, which may begin a part of its own; was it anything?"""
        if not piece:
            return False
        if begin or not self._pieces or self._parts[-1].type != kind:
            self.add(Part(kind))
        self._pieces.append(piece)
        return True

    def add(self, part: Part) -> None:
        """A part that is whole."""
        self._end()
        self._parts.append(part)

    def parts(self, citations: Iterable[dict[str, str]] = ()) -> tuple[Part, ...]:
        """What has come so far; the citations go to the last text."""
        self._end()
        parts = list(self._parts)
        last = next((n for n in reversed(range(len(parts))) if parts[n].type == "text"), None)
        if last is not None:
            cited = [_bounded(citation) for citation in islice(filter(None, citations), MAX_CITATIONS)]
            parts[last] = msgspec.structs.replace(parts[last], citations=tuple(cited))
        return tuple(parts)

    def _end(self) -> None:
        if self._pieces:
            self._parts[-1] = msgspec.structs.replace(self._parts[-1], content="".join(self._pieces))
            self._pieces = []


def _bounded(citation: dict[str, str]) -> dict[str, str]:
    return {name: value[:MAX_CITED] for name, value in citation.items()}

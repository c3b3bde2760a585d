"""What Gemini streams piece by piece besides text: a call's arguments, value by value, and sound."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from pipeline.records import Json, Part
from wire.media import BlobPieces
from wire.shapes import Shapes

Path = tuple[str | int, ...]

STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\[['"]([^'"]*)['"]\]""")
MAX_STEPS = 64
VALUES = ("stringValue", "numberValue", "boolValue")
SCALARS = (str, int, float, bool)


class CallPieces:
    """A function call: first its name, then parts of its arguments, each at its place (`$.city`, `$.days[0]`)."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._head: dict[str, Any] = {}
        self._values: dict[Path, list[Json]] = {}  # a text may come in several pieces

    @staticmethod
    def begins(part: dict[str, Any]) -> bool:
        call = part.get("functionCall")
        return type(call) is dict and (call.get("willContinue") is True or "partialArgs" in call)

    def takes(self, part: dict[str, Any]) -> bool:
        """Does this go on? The last piece is empty, and only the first has the name."""
        call = part.get("functionCall")
        return type(call) is dict and (not self._head or not call.get("name"))

    def add(self, part: dict[str, Any]) -> None:
        call = part["functionCall"]
        self._head = self._head or call
        for piece in self._shapes.records(call.get("partialArgs")):
            path = _path(self._shapes.text(piece.get("jsonPath")) or "")
            value = next((piece[name] for name in VALUES if type(piece.get(name)) in SCALARS), None)
            self._values.setdefault(path, []).append(value)

    def part(self) -> Part:
        text = self._shapes.text
        arguments = _nested({path: _joined(pieces) for path, pieces in self._values.items()})
        return Part("tool_call", id=text(self._head.get("id")), name=text(self._head.get("name")), arguments=arguments)


class SoundPieces:
    """Speech: every piece is some of the same sound."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._mime_type: str | None = None
        self._pieces = BlobPieces()

    @staticmethod
    def begins(part: dict[str, Any]) -> bool:
        data = part.get("inlineData")
        mime_type = data.get("mimeType") if type(data) is dict else None
        return type(mime_type) is str and mime_type.startswith("audio/")

    def takes(self, part: dict[str, Any]) -> bool:
        return self.begins(part) and self._mime_type in (None, part["inlineData"]["mimeType"])

    def add(self, part: dict[str, Any]) -> None:
        self._mime_type = part["inlineData"]["mimeType"]
        self._pieces.add(self._shapes.text(part["inlineData"].get("data")) or "")

    def part(self) -> Part:
        return self._pieces.part("audio", self._mime_type)


def _path(path: str) -> Path:
    """Where a value belongs: names of members and indices."""
    steps = [match.groups() for match in STEP.finditer(path)][:MAX_STEPS]
    return tuple([int(index) if index else name or quoted or "" for name, index, quoted in steps])


def _joined(pieces: list[Json]) -> Json:
    return "".join(pieces) if all(type(piece) is str for piece in pieces) else pieces[-1]


def _nested(values: dict[Path, Json]) -> dict[str, Json]:
    """The object that has these values at these places."""
    root: dict[str, Json] = {}
    for path, value in values.items():
        inner: Json = root
        for step, following in pairwise(path):
            inner = _enter(inner, step, [] if type(following) is int else {})
        if path:
            _enter(inner, path[-1], value)
    return root


def _enter(outer: Json, step: str | int, new: Json) -> Json:
    """What is there, or the new thing put there; an index beyond the end is the next one."""
    if type(outer) is list and type(step) is int:
        if step < len(outer):
            return outer[step]
        outer.append(new)
        return new
    return outer.setdefault(str(step), new) if type(outer) is dict else {}

"""Forms as uploads send them (RFC 7578): fields as text, files as parts that keep their size and digest."""

from __future__ import annotations

from typing import Any

from wire.shapes import Shapes


def fields_of(data: bytes, content_type: str, shapes: Shapes) -> dict[str, Any]:
    """The fields by name."""
    return {}

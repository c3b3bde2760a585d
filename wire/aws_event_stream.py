"""Amazon's event stream: length-prefixed binary messages with typed headers, each guarded by CRC-32."""

from __future__ import annotations

from collections.abc import Iterator

from wire.shapes import Shapes


def json_events(data: bytes, shapes: Shapes) -> Iterator[tuple[int, bytes]]:
    """Each message as JSON, {event type: payload}, and where it begins."""
    yield from ()

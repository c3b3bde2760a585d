"""What was said, as JSON text for an attribute: only as far as the switch allows, and always valid JSON.

An exporter may be stricter than the exchange, never looser, and cannot redact: an exchange that still has its
full texts gives nothing to an exporter that may have only redacted ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from pipeline.records import Exchange

Content = Literal["off", "redacted", "full"]


class Json(NamedTuple):
    """A JSON text, and whether something had to be left out of it."""

    text: bytes
    truncated: bool


def may_tell(exchange: Exchange, allowed: Content) -> bool:
    """May an exporter that is allowed this much tell what this exchange says?"""
    return exchange.content != "off" and (allowed == "full" or allowed == exchange.content == "redacted")


def as_json(items: Sequence[Any], limit: int) -> Json | None:
    """Messages, parts or tool definitions as a JSON array of at most `limit` bytes; None when there are none.

    Over the limit, long texts are cut first, then the oldest items are left out.
    """
    if not items:
        return None
    try:
        text = msgspec.json.encode(items)
    except (TypeError, ValueError, RecursionError):
        return shortened(items, limit)
    return Json(text, False) if len(text) <= limit else shortened(items, limit)


class Values(NamedTuple):
    """The same as JSON values, for attributes that hold structure."""

    items: list[Any]
    truncated: bool


def as_values(items: Sequence[Any], limit: int) -> Values | None:
    """What `as_json` gives, read back: only one way of cutting, and nothing that JSON cannot hold."""
    json = as_json(items, limit)
    return Values(msgspec.json.decode(json.text), json.truncated) if json else None


def shortened(items: Sequence[Any], limit: int) -> Json:
    """The newest items that fit, each with its texts cut."""
    kept: list[bytes] = []
    room = limit - 2
    for item in reversed(items):
        text = cut_to_fit(item, min(room, limit // 2))
        if text is None:
            break
        kept.append(text)
        room -= len(text) + 1
    return Json(b"[" + b",".join(reversed(kept)) + b"]", True)


def cut_to_fit(item: Any, room: int) -> bytes | None:
    """The item with its texts as long as `room` allows; None if it does not fit however short they are."""
    longest = room
    while longest >= 16:
        try:
            text = msgspec.json.encode(cut(msgspec.to_builtins(item), longest))
        except (TypeError, ValueError, RecursionError):
            return None
        if len(text) <= room:
            return text
        longest //= 4
    return None


def cut(value: Any, longest: int) -> Any:
    """Every text in `value` at most `longest` characters, and made of characters only."""
    if isinstance(value, str):
        return value[:longest].encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {cut(key, longest): cut(item, longest) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cut(item, longest) for item in value]
    return value

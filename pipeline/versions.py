"""Which judgement is this? An evaluator's version, to be told with each of its results: same version, same scores."""

from __future__ import annotations

import dataclasses
from hashlib import sha256
from typing import Any

import msgspec


def version_of(processor: Any) -> str:
    """What the class says of itself ("1" where it says nothing), and a digest of the options that are not as shipped.

    `2+3fa9c1d2` is the second edition with options of one's own.
    """
    edition = str(getattr(processor, "version", "1"))
    own = {name: plain(value) for name, value, default in options_of(processor) if plain(value) != plain(default)}
    return f"{edition}+{digest_of(own)[:8]}" if own else edition


def options_of(processor: Any) -> list[tuple[str, Any, Any]]:
    """(name, value, default) of every option."""
    if not dataclasses.is_dataclass(processor):
        return []
    return [
        (field.name, getattr(processor, field.name), default_of(field))
        for field in dataclasses.fields(processor)
        if field.metadata.get("option", True)
    ]


def default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def digest_of(value: Any) -> str:
    """Of anything that JSON can say; hex, the same in every process and whatever the order of keys."""
    return sha256(msgspec.json.encode(plain(value), order="deterministic")).hexdigest()


def plain(value: Any) -> Any:
    """As JSON can say it; of a secret no more than that it is one."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str, order="deterministic")

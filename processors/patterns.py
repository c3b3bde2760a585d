"""Patterns that users give as options: RE2, so that no text can make one slow, and refused with a reason."""

from __future__ import annotations

from typing import Any

import re2

MAX_PATTERN = 500  # characters
MAX_MEMORY = 2**21  # bytes RE2 may use for one of them


def compiled(place: str, pattern: str) -> Any:
    """The pattern, for UTF-8 bytes; raises ValueError naming its place, what is wrong and the remedy."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"{place} has {len(pattern)} characters; {MAX_PATTERN} are allowed, so split it")
    options = re2.Options()
    options.max_mem, options.log_errors = MAX_MEMORY, False
    try:
        found = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"{place} is no RE2 pattern ({_reason(error)}); RE2 has no look-around") from None
    if found.search(b""):
        raise ValueError(f"{place} matches the empty text; make it ask for something")
    return found


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "invalid"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)

"""What is wrong with a value, and what to write instead: pydantic's problems in the words of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

WANTED: Final = {
    "dict_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "list_type": "must be a list, like [a, b]",
    "tuple_type": "must be a list, like [a, b]",
    "frozen_set_type": "must be a list, like [a, b]",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "date_type": "must be a date, like 2026-07-01",
    "date_from_datetime_parsing": "must be a date, like 2026-07-01",
    "date_from_datetime_inexact": "must be a date without a time, like 2026-07-01",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}",
}
OF_ANOTHER_TYPE: Final = "_type"
PATTERNS: Final = {"^/": "must begin with /"}


def said(problem: Mapping[str, Any]) -> str:
    """One of pydantic's problems → a line without its place. It never quotes the value, which may be a secret."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "has a character that is not allowed here; remove it")
    if kind not in WANTED:
        return str(problem["msg"]).removeprefix("Value error, ")
    wanted = WANTED[kind].format_map(context)
    return f"{wanted}, not {kind_of(problem['input'])}" if kind.endswith(OF_ANOTHER_TYPE) else wanted


def kind_of(value: object) -> str:
    """What YAML took it for."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return "a truth value" if isinstance(value, bool) else "a number"
    return "text" if isinstance(value, str) else "a mapping" if isinstance(value, Mapping) else "a list"

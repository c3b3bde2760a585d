"""JSON Schema as the evaluators use it: compiled once, never fetching anything, explained without quoting a value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import jsonschema_rs
import orjson

from pipeline.records import Json

MAX_SCHEMA = 2**18  # bytes as JSON; compiled schemas are kept, so their size is bounded
KEPT_SCHEMAS = 64
MAX_PATH = 120  # characters
ALTERNATIVES = {"anyOf", "oneOf", "not"}
MASKED = re.compile(r"\[[A-Z][A-Z0-9_]*_\d+\]")  # what redaction leaves; a constraint it breaks proves nothing


class UnusableSchema(ValueError):
    """The schema itself is wrong, so it says nothing about an answer."""


class Violation(Protocol):
    """What is read of an error of jsonschema-rs."""

    instance: Json
    instance_path: list[str | int]
    schema_path: list[str | int]  # through a `$ref`, from its target on
    evaluation_path: list[str | int]  # from the root, each `$ref` a step


class Validator(Protocol):
    """What is called of a validator of jsonschema-rs."""

    def iter_errors(self, instance: Json) -> Iterable[Violation]: ...


def check_schema(schema: Json) -> None:
    """Raise UnusableSchema for what is no schema, is too large, or refers to another document."""
    _compiled(_dumped(schema))


def violation(schema: Json, value: Json) -> str | None:
    """The first error as `$.path: keyword`, None when the value conforms; raises UnusableSchema."""
    try:
        errors = _compiled(_dumped(schema)).iter_errors(value)
        first = next((error for error in errors if not _caused_by_redaction(error)), None)
    except UnusableSchema:
        raise
    except ValueError:  # a value no JSON text can hold, such as half of a surrogate pair
        return "$: not JSON"
    return None if first is None else f"{_path(first)}: {_keyword(first)}"


def _dumped(schema: Json) -> bytes:
    try:
        return orjson.dumps(schema)
    except TypeError as error:
        raise UnusableSchema("not JSON") from error


@lru_cache(maxsize=KEPT_SCHEMAS)
def _compiled(schema: bytes) -> Validator:
    if len(schema) > MAX_SCHEMA:
        raise UnusableSchema(f"larger than {MAX_SCHEMA} bytes")
    try:
        validator: Validator = jsonschema_rs.validator_for(
            orjson.loads(schema),
            offline=True,  # the schema is the client's: a reference in it must not make us fetch or read
            pattern_options=jsonschema_rs.RegexOptions(),  # linear time
            validate_formats=False,
        )
    except ValueError as error:
        raise UnusableSchema("not a JSON Schema") from error
    return validator


def _caused_by_redaction(error: Violation) -> bool:
    if isinstance(error.instance, str):
        return MASKED.search(error.instance) is not None
    return _keyword(error) in ALTERNATIVES and MASKED.search(str(error.instance)) is not None


def _keyword(error: Violation) -> str:
    """What was not kept; the schema `false`, which nothing keeps, has no keywords."""
    return str(error.schema_path[-1]) if error.schema_path else "false"


def _path(error: Violation) -> str:
    """The place in the answer; a key the schema does not name is the answer's own and shown as `*`."""
    named = {name for keyword, name in pairwise(error.evaluation_path) if keyword == "properties"}
    shown = (step if isinstance(step, int) or step in named else "*" for step in error.instance_path)
    path = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in shown)
    return path[:MAX_PATH]

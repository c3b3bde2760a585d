"""Problems are told in the words of YAML, and never with the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from config.settings import Limits, Proxy, Route
from config.wording import kind_of, said


@dataclass(frozen=True)
class Options:
    names: tuple[str, ...] = ()
    ratio: float = 1.0
    side: Literal["input", "output"] = "input"


def problem_of(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)
    (problem,) = refused.value.errors()
    return said(problem)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Limits, "text", "must be a mapping of keys to values, not text"),
        (Limits, {"max_connections": "many"}, "must be a whole number"),
        (Limits, {"max_connections": 1.5}, "must be a whole number"),
        (Limits, {"max_connections": 0}, "must be at least 1"),
        (Proxy, {"upstreams": ["http://h"]}, "must be a mapping of keys to values, not a list"),
        (Proxy, {"upstreams": {}}, "must have at least 1"),
        (Route, {"prefix": "v1", "upstream": "a"}, "must begin with /"),
        (Route, {"prefix": "/", "upstream": 5}, "must be text, not a number"),
        (Route, {"prefix": "/", "upstream": "a", "strip_prefix": "maybe"}, "must be true or false"),
        (Options, {"names": "one"}, "must be a list, like [a, b], not text"),
        (Options, {"ratio": "25%"}, "must be a number"),
        (Options, {"side": "left"}, "must be 'input' or 'output'"),
    ],
)
def test_a_problem_says_what_to_write(kind: Any, value: object, words: str) -> None:
    assert problem_of(kind, value) == words


def test_the_value_is_not_told() -> None:
    assert "canary" not in problem_of(Limits, {"max_connections": "canary"})
    assert "canary" not in problem_of(Limits, "canary")


def test_words_of_our_own_stay() -> None:
    assert problem_of(Limits, {"drain": "soon"}).startswith("'soon' is not a duration; write ")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "nothing"),
        (True, "a truth value"),
        (2.5, "a number"),
        ("x", "text"),
        ({}, "a mapping"),
        ([], "a list"),
    ],
)
def test_kinds_have_the_names_of_yaml(value: object, kind: str) -> None:
    assert kind_of(value) == kind

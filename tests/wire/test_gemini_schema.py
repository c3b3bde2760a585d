"""Gemini's schemas by the standard."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Json
from wire.gemini_schema import json_schema

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "items", "anyOf", "properties", "nullable", "enum", "x"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("schema", "standard"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string", "minLength": 1}, {"type": "string", "minLength": 1}),
        ({"items": {"type": "NUMBER"}, "minItems": "2"}, {"items": {"type": "number"}, "minItems": 2}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        ({"type": "STRING", "enum": ["A"], "nullable": True}, {"type": ["string", "null"], "enum": ["A", None]}),
        ({"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ({"type": "OBJECT", "propertyOrdering": ["a"]}, {"type": "object"}),
        ({"$defs": {"TYPE": {"type": "OBJECT"}}}, {"$defs": {"TYPE": {"type": "object"}}}),
        (None, None),
        (True, True),
    ],
)
def test_schema_by_the_standard(schema: Json, standard: Json) -> None:
    assert json_schema(schema) == standard


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "nullable": {"type": "BOOLEAN"}}}
    assert json_schema(schema)["properties"] == {"type": {"type": "string"}, "nullable": {"type": "boolean"}}


def test_a_validator_understands_it() -> None:
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}}, "required": ["n"]}
    validator = jsonschema_rs.validator_for(json_schema(schema))
    assert validator.is_valid({"n": None})
    assert not validator.is_valid({"n": "1"})


@given(ANY_JSON)
def test_any_schema_is_read_and_once_is_enough(schema: Json) -> None:
    standard = json_schema(schema)
    assert json_schema(standard) == standard

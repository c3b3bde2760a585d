from __future__ import annotations

import pytest

from processors.json_schema import KEPT_SCHEMAS, UnusableSchema, _compiled, check_schema, violation


def test_a_schema_is_compiled_once() -> None:
    before = _compiled.cache_info().misses
    for _ in range(3):
        assert violation({"type": "integer", "title": "compiled once"}, 1) is None
    assert _compiled.cache_info().misses == before + 1


def test_compiled_schemas_are_bounded() -> None:
    for number in range(2 * KEPT_SCHEMAS):
        violation({"minimum": number}, number)
    assert _compiled.cache_info().currsize == KEPT_SCHEMAS


def test_a_path_through_a_reference_names_the_schemas_own_keys() -> None:
    schema = {
        "properties": {"home": {"$ref": "#/$defs/place"}},
        "$defs": {"place": {"properties": {"no": {"minimum": 1}}}},
    }
    assert violation(schema, {"home": {"no": 0}}) == "$.home.no: minimum"


def test_the_schema_false_is_violated_by_everything() -> None:
    assert violation(False, {"a": 1}) == "$: false"


def test_a_value_that_no_json_can_hold_is_said_to_be_none() -> None:
    assert violation({"type": "string"}, "\ud800") == "$: not JSON"


def test_a_schema_that_is_not_json_is_unusable() -> None:
    with pytest.raises(UnusableSchema, match="not JSON"):
        check_schema({"const": object()})

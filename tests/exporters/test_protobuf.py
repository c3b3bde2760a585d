from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from exporters.protobuf import (
    common_attribute,
    double_attribute,
    flag_attribute,
    int_attribute,
    repeated,
    text_attribute,
    texts_attribute,
    varint,
)

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates and NULs too


def parsed(attribute: bytes) -> KeyValue:
    """The attribute, parsed as the only one of a Resource."""
    [key_value] = Resource.FromString(repeated(b"\x0a", [attribute])).attributes
    return key_value


def valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@given(ANY_TEXT, ANY_TEXT)
def test_texts_are_read_back_by_the_official_classes(key: str, value: str) -> None:
    expected = KeyValue(key=valid(key), value=AnyValue(string_value=valid(value)))
    assert parsed(text_attribute(key, value)) == parsed(common_attribute(key, value)) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_read_back_by_the_official_classes(value: int) -> None:
    assert parsed(int_attribute("n", value)) == KeyValue(key="n", value=AnyValue(int_value=value))


@given(st.floats(allow_nan=False))
def test_doubles_are_read_back_by_the_official_classes(value: float) -> None:
    assert parsed(double_attribute("d", value)) == KeyValue(key="d", value=AnyValue(double_value=value))


@pytest.mark.parametrize("value", [True, False])
def test_flags_are_read_back_by_the_official_classes(value: bool) -> None:
    assert parsed(flag_attribute("f", value)) == KeyValue(key="f", value=AnyValue(bool_value=value))


@given(st.lists(ANY_TEXT))
def test_arrays_are_read_back_by_the_official_classes(values: list[str]) -> None:
    array = ArrayValue(values=[AnyValue(string_value=valid(value)) for value in values])
    assert parsed(texts_attribute("a", values)) == KeyValue(key="a", value=AnyValue(array_value=array))


@given(st.lists(st.sampled_from([("a", "1"), ("b", "2" * 300), ("c", "")])))
def test_repeated_fields_keep_every_element_in_order(pairs: list[tuple[str, Any]]) -> None:
    resource = Resource.FromString(repeated(b"\x0a", [text_attribute(*pair) for pair in pairs]))
    assert [(each.key, each.value.string_value) for each in resource.attributes] == pairs


def test_long_texts_are_not_remembered() -> None:
    from exporters.protobuf import remembered

    before = remembered.cache_info().currsize
    common_attribute("k", "x" * 5000)
    assert remembered.cache_info().currsize == before


@pytest.mark.parametrize(("number", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")])
def test_varints_are_seven_bits_at_a_time(number: int, encoded: str) -> None:
    assert varint(number).hex() == encoded

"""Request parameters as attributes: they are as the client sent them, so each must first prove its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporters import semconv
from exporters.protobuf import INT64, double_attribute, int_attribute, text_attribute, texts_attribute
from pipeline.records import Json

MOST_TEXTS = 64


def parameter_attributes(parameters: Mapping[str, Json], longest: int) -> list[bytes]:
    """The known ones of the right type, texts at most `longest` characters."""
    encoded = (parameter_attribute(name, value, longest) for name, value in parameters.items())
    return [attribute for attribute in encoded if attribute is not None]


def parameter_attribute(name: str, value: Json, longest: int) -> bytes | None:
    kind = semconv.PARAMETERS.get(name)
    if kind is None or (name == "choice.count" and value == 1):
        return None
    return ENCODE_PARAMETER[kind](semconv.PARAMETER_PREFIX + name, value, longest)


def double_parameter(key: str, value: Json, longest: int) -> bytes | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        return None
    return double_attribute(key, value)


def int_parameter(key: str, value: Json, longest: int) -> bytes | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return int_attribute(key, value) if type(value) is int and value in INT64 else None


def text_parameter(key: str, value: Json, longest: int) -> bytes | None:
    return text_attribute(key, value[:longest]) if isinstance(value, str) else None


def texts_parameter(key: str, value: Json, longest: int) -> bytes | None:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        return None
    return texts_attribute(key, [each[:longest] for each in values[:MOST_TEXTS]])


ENCODE_PARAMETER: dict[semconv.AttributeType, Callable[[str, Json, int], bytes | None]] = {
    "double": double_parameter,
    "int": int_parameter,
    "string": text_parameter,
    "string[]": texts_parameter,
}

"""The few words of protobuf's wire format that OTLP is written in.

Attributes become length-prefixed KeyValue messages without the tag of the field that holds them, so the same
bytes serve a span (field 9), a log record (field 6) and a resource (field 1): `repeated` adds the tag. Text is
made valid UTF-8 here, because a lone surrogate from a client's JSON would fail the whole request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf
from struct import Struct
from typing import Any

COMMON_LENGTH = 128  # longer texts are not worth remembering
INT64 = range(-(2**63), 2**63)

pack_double = Struct("<d").pack
pack_fixed64 = Struct("<Q").pack
pack_fixed32 = Struct("<I").pack


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits at a time."""
    if number < 128:
        return SMALL[number]
    encoded = bytearray()
    while number >= 128:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


SMALL = tuple(bytes((number,)) for number in range(128))


def utf8(text: str) -> bytes:
    """The text's bytes; what is not a character becomes a question mark."""
    return text.encode("utf-8", "replace")


def sized(payload: bytes) -> bytes:
    """The payload after its length."""
    return varint(len(payload)) + payload


def repeated(tag: bytes, fields: Sequence[bytes]) -> bytes:
    """Length-prefixed messages as the elements of one repeated field."""
    return tag + tag.join(fields) if fields else b""


def bytes_attribute(key: str, value: bytes) -> bytes:
    """A KeyValue holding a string that is UTF-8 already."""
    length = varint(len(value))
    text = b"\x0a" + length + value
    return sized(key_field(key) + b"\x12" + varint(len(text)) + text)


def text_attribute(key: str, value: str) -> bytes:
    """A KeyValue holding a string."""
    return bytes_attribute(key, utf8(value))


def common_attribute(key: str, value: str) -> bytes:
    """A KeyValue holding a string that is likely to come again: a method, a model, an evaluator."""
    return remembered(key, value) if len(value) <= COMMON_LENGTH else text_attribute(key, value)


remembered = lru_cache(4096)(text_attribute)


def double_attribute(key: str, value: float) -> bytes:
    """A KeyValue holding a double."""
    return double_head(key) + pack_double(value)


def int_attribute(key: str, value: int) -> bytes:
    """A KeyValue holding a 64-bit integer; `value` must be in INT64."""
    number = b"\x18" + varint(value if value >= 0 else value + 2**64)
    return sized(key_field(key) + b"\x12" + SMALL[len(number)] + number)


@lru_cache(512)
def flag_attribute(key: str, value: bool) -> bytes:
    """A KeyValue holding a boolean."""
    return sized(key_field(key) + (b"\x12\x02\x10\x01" if value else b"\x12\x02\x10\x00"))


def texts_attribute(key: str, values: Iterable[str]) -> bytes:
    """A KeyValue holding an array of strings."""
    elements = [sized(b"\x0a" + sized(utf8(value))) for value in values]
    array = b"\x2a" + sized(repeated(b"\x0a", elements))
    return sized(key_field(key) + b"\x12" + sized(array))


def value_attribute(key: str, value: Any) -> bytes:
    """A KeyValue holding any JSON value, structured."""
    return sized(key_field(key) + b"\x12" + sized(any_value(value)))


def any_value(value: Any) -> bytes:
    """An AnyValue: null is one without content, an integer too large for 64 bits a double."""
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return b"\x0a" + sized(utf8(value))
        case int() if value in INT64:
            return b"\x18" + varint(value if value >= 0 else value + 2**64)
        case int() | float():
            return b"\x21" + pack_double(as_double(value))
        case dict():
            pairs = [sized(key_field(str(key)) + b"\x12" + sized(any_value(each))) for key, each in value.items()]
            return b"\x32" + sized(repeated(b"\x0a", pairs))
    return b"\x2a" + sized(repeated(b"\x0a", [sized(any_value(each)) for each in value]))


def as_double(number: float) -> float:
    """Infinity for an integer that is larger than any double."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


@lru_cache(512)
def key_field(key: str) -> bytes:
    return b"\x0a" + sized(utf8(key))


@lru_cache(512)
def double_head(key: str) -> bytes:
    head = key_field(key) + b"\x12\x09\x21"
    return varint(len(head) + 8) + head

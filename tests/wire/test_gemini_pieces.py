"""Calls and sound that Gemini streams in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Json
from wire.bodies import MAX_DEPTH, deeper
from wire.gemini_pieces import CallPieces, SoundPieces
from wire.media import blob
from wire.shapes import Shapes

DEEP: Json = {}
for _ in range(500):
    DEEP = {"a": DEEP}


def value(path: object, **named: Json) -> dict[str, Json]:
    return {"jsonPath": path, **named}


def arguments(*values: object) -> Json:
    pieces = CallPieces(Shapes())
    pieces.add({"functionCall": {"name": "f", "willContinue": True}})
    for each in values:
        pieces.add({"functionCall": {"partialArgs": [each], "willContinue": True}})
    return pieces.part().arguments


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ([], {}),
        ([value("$.a", stringValue="x"), value("$.a", stringValue="y")], {"a": "xy"}),
        ([value("$.a", numberValue=1), value("$.b", boolValue=False)], {"a": 1, "b": False}),
        ([value("$.a", nullValue="NULL_VALUE")], {"a": None}),
        ([value("$.a.b[0].c", stringValue="x"), value("$.a.b[1]", numberValue=2)], {"a": {"b": [{"c": "x"}, 2]}}),
        ([value("$['a b'][0]", stringValue="x")], {"a b": ["x"]}),
        ([value("$.a[9]", numberValue=1), value("$.a[999999]", numberValue=2)], {"a": [1, 2]}),
        ([value("$.a", numberValue=1), value("$.a.b", numberValue=2)], {"a": 1}),
        ([value("$.a", stringValue="x"), value("$.a", numberValue=2)], {"a": 2}),
        ([value("", stringValue="x"), value(None), value(7), "no object"], {}),
        ([value("$.a", stringValue=DEEP)], {"a": None}),
    ],
)
def test_arguments_come_together_at_their_places(values: list[Any], result: Json) -> None:
    assert arguments(*values) == result


@given(st.lists(st.text(alphabet=".$[]'\"ab019", max_size=200)))
def test_any_place_gives_bounded_arguments(paths: list[str]) -> None:
    assert not deeper(arguments(*[value(path, stringValue="x") for path in paths]), MAX_DEPTH)


@pytest.mark.parametrize(
    ("part", "begins"),
    [
        ({"functionCall": {"name": "f", "willContinue": True}}, True),
        ({"functionCall": {"partialArgs": []}}, True),
        ({"functionCall": {"name": "f", "args": {}}}, False),
        ({"functionCall": {}}, False),
        ({"functionCall": 1}, False),
        ({"text": "a"}, False),
    ],
)
def test_a_call_in_pieces_is_known_by_its_first(part: dict[str, Any], begins: bool) -> None:
    assert CallPieces.begins(part) is begins


def test_a_name_begins_another_call() -> None:
    pieces = CallPieces(Shapes())
    pieces.add({"functionCall": {"name": "f", "willContinue": True}})
    assert pieces.takes({"functionCall": {}})
    assert not pieces.takes({"functionCall": {"name": "f"}})
    assert not pieces.takes({"text": "a"})


def test_sound_in_pieces_is_one_sound() -> None:
    pieces = SoundPieces(Shapes())
    for data in ("AAEC", "Aw=="):
        part = {"inlineData": {"mimeType": "audio/pcm", "data": data}}
        assert pieces.takes(part)
        pieces.add(part)
    assert pieces.part() == blob("audio", "audio/pcm", "AAECAw==")
    assert not pieces.takes({"inlineData": {"mimeType": "audio/wav", "data": "AAEC"}})
    assert not pieces.takes({"inlineData": {"mimeType": "image/png", "data": "AAEC"}})

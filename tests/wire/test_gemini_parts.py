"""Gemini's parts, in either spelling."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Json, Message, Part
from wire.gemini_parts import messages_of, modality_of, parts_of, snake_case
from wire.shapes import Shapes


def read(part: Json) -> tuple[tuple[Part, ...], str | None]:
    shapes = Shapes()
    return parts_of([part], shapes), shapes.problem


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        ({"text": "a"}, (Part("text", content="a"),)),
        ({"text": "a", "thought": True, "thoughtSignature": "YQ=="}, (Part("reasoning", content="a"),)),
        ({"text": "", "thoughtSignature": "YQ=="}, ()),
        ({"thought_signature": "YQ=="}, ()),
        ({"text": None, "functionCall": {"name": "f"}}, (Part("tool_call", name="f"),)),
        (
            {"function_call": {"id": "c", "name": "f", "args": {"a": 1}}},
            (Part("tool_call", id="c", name="f", arguments={"a": 1}),),
        ),
        (
            {"fileData": {"fileUri": "gs://b/v.mp4", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 1}},
            (Part("uri", modality="video", mime_type="video/mp4", uri="gs://b/v.mp4"),),
        ),
        (
            {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}}},
            (
                Part(
                    "server_tool_call",
                    id="s",
                    name="google_search_web",
                    server_tool_call={"type": "google_search_web", "args": {"queries": ["q"]}},
                ),
            ),
        ),
        (
            {"toolResponse": {"id": "s", "toolType": "URL_CONTEXT", "response": {"image": "iVBORw0KGgo="}}},
            (Part("server_tool_call_response", id="s", server_tool_call_response={"type": "url_context"}),),
        ),
        (
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"}},
            (
                Part(
                    "server_tool_call_response",
                    server_tool_call_response={
                        "type": "code_execution",
                        "outcome": "OUTCOME_FAILED",
                        "output": "ZeroDivisionError",
                    },
                    is_error=True,
                ),
            ),
        ),
        ({"hologram": {}}, (Part("generic", name="hologram"),)),
    ],
)
def test_part(part: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert read(part) == (parts, None)


@pytest.mark.parametrize(
    "part",
    [
        "text",
        {"text": 1},
        {"functionCall": "f"},
        {"functionCall": {"name": 1}},
        {"functionResponse": {"response": "text"}},
        {"inlineData": {"data": 1}},
        {"fileData": {"fileUri": []}},
        {"executableCode": {"code": {}}},
    ],
)
def test_wrong_shape_is_noticed(part: Json) -> None:
    assert read(part)[1] == "unexpected_shape"


def test_arguments_nested_without_end_are_left_out() -> None:
    deep: Json = {}
    for _ in range(500):
        deep = {"a": deep}
    (call,), _ = read({"functionCall": {"name": "f", "args": deep}})
    (response,), _ = read({"functionResponse": {"name": "f", "response": deep}})
    assert (call.arguments, response.response) == (None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"parts": {"text": "a"}}, Message("user", (Part("text", content="a"),))),
        ({"role": "model", "parts": [{"text": "a"}]}, Message("assistant", (Part("text", content="a"),))),
        (
            {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"output": 1}}}]},
            Message("tool", (Part("tool_call_response", name="f", response={"output": 1}),)),
        ),
    ],
)
def test_roles(content: dict[str, Any], message: Message) -> None:
    assert messages_of(content, Shapes()) == messages_of([content], Shapes()) == (message,)


@pytest.mark.parametrize(
    ("mime_type", "modality"),
    [
        ("image/png", "image"),
        ("Audio/mp3", "audio"),
        ("video/mp4", "video"),
        ("text/csv", "document"),
        (None, "document"),
    ],
)
def test_modality(mime_type: str | None, modality: str) -> None:
    assert modality_of(mime_type) == modality


def test_spelling() -> None:
    assert [snake_case(name) for name in ("googleSearch", "url_context", "text")] == [
        "google_search",
        "url_context",
        "text",
    ]

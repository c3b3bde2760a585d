"""Items one by one: what each is made of."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Part
from wire.openai_items import item_parts
from wire.shapes import Shapes


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ({"type": "compaction", "id": "c", "encrypted_content": "g"}, Part("compaction", id="c")),
        ({"type": "hologram", "id": "h"}, Part("generic", name="hologram", id="h")),
        (
            {"type": "computer_call", "call_id": "c", "actions": [{"type": "wait"}]},
            Part("tool_call", id="c", name="computer", arguments={"actions": [{"type": "wait"}]}),
        ),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
            Part("tool_call", id="c", name="apply_patch", arguments={"type": "delete_file", "path": "a"}),
        ),
        (
            {"type": "mcp_approval_request", "id": "m", "server_label": "s", "name": "f", "arguments": "{}"},
            Part(
                "server_tool_call",
                id="m",
                name="mcp_approval_request",
                server_tool_call={"type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": {}},
            ),
        ),
        (
            {"type": "tool_search_call", "execution": "client", "call_id": "t", "arguments": {"goal": "g"}},
            Part("tool_call", id="t", name="tool_search", arguments={"goal": "g"}),
        ),
        (
            {"type": "tool_search_output", "call_id": "t", "tools": [{"type": "function", "name": "f"}]},
            Part(
                "server_tool_call_response", id="t", server_tool_call_response={"type": "tool_search", "tools": ["f"]}
            ),
        ),
        (
            {"type": "program", "call_id": "p", "code": "1"},
            Part("server_tool_call", id="p", name="program", server_tool_call={"type": "program", "code": "1"}),
        ),
    ],
)
def test_items(members: dict[str, Any], part: Part) -> None:
    assert item_parts(members, Shapes()) == (part,)


def test_a_tool_that_failed_is_an_error() -> None:
    failed = {"type": "mcp_call", "id": "m", "status": "failed", "name": "f", "error": "No."}
    told = item_parts(failed, Shapes())[1]
    assert (told.is_error, told.server_tool_call_response) == (True, {"type": "mcp", "error": "No."})


def test_a_screenshot_is_told_by_its_digest() -> None:
    screenshot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgpwaXhlbHM="}
    output = {"type": "computer_call_output", "call_id": "c", "output": screenshot}
    told, image = item_parts(output, Shapes())
    assert (told, image.mime_type, image.size) == (Part("tool_call_response", id="c", response=""), "image/png", 14)


@pytest.mark.parametrize(
    "error",
    ["No.", {"message": "No."}, {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "No."}]}],
)
def test_what_went_wrong_in_a_tool(error: object) -> None:
    told = item_parts({"type": "mcp_call", "id": "m", "error": error}, Shapes())[1]
    assert (told.is_error, told.server_tool_call_response) == (True, {"type": "mcp", "error": "No."})


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", (Part("text", content="a"),)),
        ("", ()),
        ([{"type": "output_text", "text": ""}], ()),
        ([{"type": "refusal", "refusal": "No."}], (Part("refusal", content="No."),)),
        ([{"type": "input_file", "file_id": "f"}], (Part("file", modality="document", file_id="f"),)),
        ([{"type": "input_file", "file_data": "%%%a"}], (Part("blob", modality="document"),)),
        ([{"type": "hologram"}], (Part("generic", name="hologram"),)),
        (
            [{"type": "output_text", "text": "a", "annotations": [{"type": "file_path", "file_id": "f", "index": 0}]}],
            (Part("text", content="a", citations=({"file_id": "f"},)),),
        ),
    ],
)
def test_content(content: object, parts: tuple[Part, ...]) -> None:
    shapes = Shapes()
    assert (item_parts({"role": "user", "content": content}, shapes), shapes.problem) == (parts, None)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "content": 5},
        {"type": "function_call", "name": 5},
        {"type": "web_search_call", "action": "search"},
        {"type": "file_search_call", "queries": [5], "results": [{"score": "high"}]},
        {"type": "code_interpreter_call", "outputs": {"logs": "a"}},
        {"type": "image_generation_call", "result": 5},
        {"type": "mcp_list_tools", "tools": [5]},
        {"type": "function_call_output", "output": 5},
    ],
)
def test_wrong_types_are_noticed(item: dict[str, Any]) -> None:
    shapes = Shapes()
    item_parts(item, shapes)
    assert shapes.problem == "unexpected_shape"

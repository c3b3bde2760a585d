"""What OpenAI's items are made of: messages, calls and their results, reasoning, tools of the provider's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.records import Json, Part
from wire.media import blob, uri
from wire.openai_dialect import citation, input_audio
from wire.reading import arguments_of, given
from wire.shapes import Shapes


def item_parts(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """The parts of one item of an input or an output; one without a type is a message."""
    kind = shapes.text(item.get("type")) or "message"
    if kind == "message":
        return content_parts(item.get("content"), shapes)
    if kind in CALLS:
        return _call(item, *CALLS[kind], shapes)
    if kind.endswith("_call_output"):
        return _call_output(item, shapes)
    read = ITEMS.get(kind)
    return read(item, shapes) if read else (Part("generic", name=kind, id=shapes.text(item.get("id"))),)


def content_parts(content: Json, shapes: Shapes) -> tuple[Part, ...]:
    """Content is an array of parts, or text in place of the only one; empty text is none."""
    if type(content) is str:
        return (Part("text", content=content),) if content else ()
    parts = [part for each in shapes.records(content) for part in _content_part(each, shapes)]
    return tuple([part for part in parts if part.content or part.type not in ("text", "refusal", "reasoning")])


def _content_part(part: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    kind = shapes.text(part.get("type")) or ""
    match kind:
        case "output_text":
            citations = [citation(each, shapes) for each in shapes.records(part.get("annotations"))]
            return (Part("text", content=shapes.text(part.get("text")), citations=tuple(filter(None, citations))),)
        case "input_text" | "text":
            return (Part("text", content=shapes.text(part.get("text"))),)
        case "refusal":
            return (Part("refusal", content=shapes.text(part.get("refusal"))),)
        case "reasoning_text" | "summary_text":
            return (Part("reasoning", content=shapes.text(part.get("text"))),)
        case "input_image" | "computer_screenshot":
            return (_file("image", part, "image_url", "", shapes),)
        case "input_file":
            return (_file("document", part, "file_url", "file_data", shapes),)
        case "input_audio":
            return (input_audio(part.get("input_audio"), shapes),)
        case "output_audio":
            return _output_audio(part, shapes)
        case _:
            return (Part("generic", name=kind),)


def _file(modality: str, part: dict[str, Any], address: str, data: str, shapes: Shapes) -> Part:
    """An upload by its id, an address, or the file itself: as a data URI, or bare base64."""
    if file_id := shapes.text(part.get("file_id")):
        return Part("file", modality=modality, file_id=file_id)
    if where := shapes.text(part.get(address)):
        return uri(modality, where)
    encoded = shapes.text(part.get(data)) or ""
    return uri(modality, encoded) if encoded.startswith("data:") else blob(modality, None, encoded)


def _output_audio(part: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    sound = shapes.text(part.get("data"))
    said = Part("text", content=shapes.text(part.get("transcript")))
    return (said, blob("audio", None, sound)) if sound else (said,)


# Calls the client is to answer: the member that holds what is asked, and their name where they have none of their own.
CALLS: dict[str, tuple[str, str | None]] = {
    "function_call": ("arguments", None),
    "custom_tool_call": ("input", None),
    "computer_call": ("action", "computer"),
    "local_shell_call": ("action", "local_shell"),
    "shell_call": ("action", "shell"),
    "apply_patch_call": ("operation", "apply_patch"),
}


def _call(item: dict[str, Any], member: str, name: str | None, shapes: Shapes) -> tuple[Part, ...]:
    asked = _actions(item, shapes) if member == "action" else item.get(member)
    call_id = shapes.text(item.get("call_id")) or shapes.text(item.get("id"))
    return (Part("tool_call", id=call_id, name=name or shapes.text(item.get("name")), arguments=arguments_of(asked)),)


def _actions(item: dict[str, Any], shapes: Shapes) -> Json:
    """One action, or several at once; with commands that were streamed beside it."""
    if "actions" in item:
        return {"actions": shapes.items(item["actions"])}
    action, streamed = item.get("action"), shapes.records(item.get("commands"))
    if not streamed:
        return action
    return shapes.record(action) | {"commands": [shapes.text(each.get("command")) for each in streamed]}


def _call_output(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """What the tool said as text; anything else it gave follows as parts."""
    output, call_id = item.get("output"), shapes.text(item.get("call_id")) or shapes.text(item.get("id"))
    if type(output) is dict:
        output = [output]
    parts = content_parts(_printed(output, shapes), shapes)
    text = "\n".join(part.content or "" for part in parts if part.type == "text")
    media = [part for part in parts if part.type != "text"]
    failed = item.get("status") == "failed"
    return (Part("tool_call_response", id=call_id, response=text, is_error=failed), *media)


def _printed(output: Json, shapes: Shapes) -> Json:
    """A shell's output as content."""
    if type(output) is not list or not any(type(each) is dict and "stdout" in each for each in output):
        return output
    streams = [each.get(name) for each in shapes.records(output) for name in ("stdout", "stderr")]
    return [{"type": "text", "text": text} for text in streams if text]


def _reasoning(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """Its summaries, then the reasoning itself where it is told; what is encrypted is not kept."""
    return content_parts(item.get("summary"), shapes) + content_parts(item.get("content"), shapes)


def _server_tool(
    kind: str, item: dict[str, Any], asked: dict[str, Json], told: dict[str, Json], shapes: Shapes
) -> tuple[Part, ...]:
    """A tool of the provider's: what it was asked and, when that is known, what it said."""
    item_id = shapes.text(item.get("id"))
    call = Part("server_tool_call", id=item_id, name=kind, server_tool_call={"type": kind, **given(asked)})
    failed, said = item.get("status") == "failed" or bool(item.get("error")), given(told)
    if not said and not failed:
        return (call,)
    answer = {"type": kind, **said}
    return call, Part("server_tool_call_response", id=item_id, server_tool_call_response=answer, is_error=failed)


def _texts(item: dict[str, Any], names: tuple[str, ...], shapes: Shapes) -> dict[str, Json]:
    return {name: shapes.text(item.get(name)) for name in names}


def _listed(values: Json, shapes: Shapes) -> list[str] | None:
    return [text for text in map(shapes.text, shapes.items(values)) if text is not None] or None


def _web_search(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    action = shapes.record(item.get("action"))
    asked = _texts(action, ("query", "url", "pattern"), shapes)
    asked |= {"action": shapes.text(action.get("type")), "queries": _listed(action.get("queries"), shapes)}
    sources = [shapes.text(source.get("url")) for source in shapes.records(action.get("sources"))]
    return _server_tool("web_search", item, asked, {"sources": sources or None}, shapes)


def _file_search(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    results = [
        given(_texts(result, ("file_id", "filename", "text"), shapes) | {"score": shapes.number(result.get("score"))})
        for result in shapes.records(item.get("results"))
    ]
    asked = {"queries": _listed(item.get("queries"), shapes)}
    return _server_tool("file_search", item, asked, {"results": results or None}, shapes)


def _code_interpreter(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    outputs = shapes.records(item.get("outputs"))
    logs = [text for text in (shapes.text(output.get("logs")) for output in outputs) if text]
    images = [address for address in (shapes.text(output.get("url")) for output in outputs) if address]
    asked = _texts(item, ("code", "container_id"), shapes)
    parts = _server_tool("code_interpreter", item, asked, {"logs": logs or None}, shapes)
    return (*parts, *[uri("image", address) for address in images])


def _image_generation(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    asked = _texts(item, ("action", "revised_prompt", "size", "quality", "background", "output_format"), shapes)
    told = _texts(shapes.record(item.get("error")), ("message",), shapes)
    parts = _server_tool("image_generation", item, asked, told, shapes)
    image_format = asked["output_format"]
    result = shapes.text(item.get("result"))
    return (*parts, blob("image", f"image/{image_format}" if image_format else None, result)) if result else parts


def _mcp_call(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    asked = _texts(item, ("server_label", "name"), shapes) | {"arguments": arguments_of(item.get("arguments"))}
    told = {"output": shapes.text(item.get("output")), "error": _mcp_error(item.get("error"), shapes)}
    return _server_tool("mcp", item, asked, told, shapes)


def _mcp_error(error: Json, shapes: Shapes) -> str | None:
    """What went wrong: text, a message, or content as the tool gave it."""
    if type(error) is str:
        return error
    details = shapes.record(error)
    if type(details.get("content")) is list:
        return "\n".join(part.content or "" for part in content_parts(details["content"], shapes))
    return shapes.text(details.get("message"))


def _mcp_list_tools(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    asked = _texts(item, ("server_label",), shapes)
    return _server_tool("mcp_list_tools", item, asked, {"tools": _names(item, shapes)}, shapes)


def _mcp_approval_request(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    asked = _texts(item, ("server_label", "name"), shapes) | {"arguments": arguments_of(item.get("arguments"))}
    return _server_tool("mcp_approval_request", item, asked, {}, shapes)


def _mcp_approval_response(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    approved = item.get("approve") if type(item.get("approve")) is bool else None
    told = given({"type": "mcp_approval_response", "approve": approved, "reason": shapes.text(item.get("reason"))})
    request = shapes.text(item.get("approval_request_id"))
    return (Part("server_tool_call_response", id=request, server_tool_call_response=told),)


def _tool_search(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """Which tools there are for something: the provider's to find, unless the client is to say."""
    if item.get("execution") == "client":
        return _call(item, "arguments", "tool_search", shapes)
    return _server_tool("tool_search", item, {"arguments": arguments_of(item.get("arguments"))}, {}, shapes)


def _tool_search_output(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    told = {"type": "tool_search", "tools": _names(item, shapes) or []}
    item_id = shapes.text(item.get("call_id")) or shapes.text(item.get("id"))
    return (Part("server_tool_call_response", id=item_id, server_tool_call_response=told),)


def _names(item: dict[str, Any], shapes: Shapes) -> list[str] | None:
    names = [shapes.text(tool.get("name")) for tool in shapes.records(item.get("tools"))]
    return [name for name in names if name] or None


def _program(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    call = {"type": "program", **given(_texts(item, ("code",), shapes))}
    return (Part("server_tool_call", id=shapes.text(item.get("call_id")), name="program", server_tool_call=call),)


def _program_output(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    told = {"type": "program", **given(_texts(item, ("result",), shapes))}
    return (Part("server_tool_call_response", id=shapes.text(item.get("call_id")), server_tool_call_response=told),)


def _compaction(item: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return (Part("compaction", id=shapes.text(item.get("id"))),)


ITEMS: dict[str, Callable[[dict[str, Any], Shapes], tuple[Part, ...]]] = {
    "reasoning": _reasoning,
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "code_interpreter_call": _code_interpreter,
    "image_generation_call": _image_generation,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_list_tools,
    "mcp_approval_request": _mcp_approval_request,
    "mcp_approval_response": _mcp_approval_response,
    "tool_search_call": _tool_search,
    "tool_search_output": _tool_search_output,
    "program": _program,
    "program_output": _program_output,
    "compaction": _compaction,
    "compaction_summary": _compaction,
}

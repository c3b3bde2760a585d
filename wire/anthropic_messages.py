"""Anthropic's messages, and the servers that speak them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.bodies import MAX_DEPTH, deeper
from wire.http import header, may_have, path_of
from wire.media import blob, uri
from wire.reading import (
    Answered,
    Asked,
    Call,
    JsonApi,
    arguments_of,
    decode_call,
    finish_reason,
    given,
    metadata_claims,
    tool_definition,
)
from wire.shapes import Shapes, first_given

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
}
# What each kind of delta adds to: the block's type, and the member of it.
DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool_use", "partial_json"),
    "compaction_delta": ("compaction", "content"),
}
CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
# Vertex names the model in its path; `count-tokens` stands there for another method.
VERTEX_PATH = re.compile(r"/publishers/anthropic/models/(?!count-tokens:)([^/:]+):(rawPredict|streamRawPredict)$")
TIERS = {
    "ephemeral_5m_input_tokens": "cache_write_5m.input_tokens",
    "ephemeral_1h_input_tokens": "cache_write_1h.input_tokens",
}
SERVER_TOOLS = {"web_search_requests": "web_searches", "code_execution_requests": "code_executions"}


class AnthropicMessages(JsonApi):
    """POST …/v1/messages and Vertex's …/models/{model}:rawPredict, one JSON body or server-sent events."""

    name: ClassVar[str] = "anthropic_messages"
    provider: ClassVar[str] = "anthropic"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        path = unquote(path_of(capture)).rstrip("/")
        if capture.method != "POST":
            return False
        if path.endswith("/messages"):
            return is_anthropic(capture) or (path.endswith("/v1/messages") and may_have(capture, "messages"))
        return VERTEX_PATH.search(path) is not None

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        wanted = shapes.record(shapes.record(request.get("output_config")).get("format"))
        vertex = VERTEX_PATH.search(call.path)
        return Asked(
            input_messages=_input_messages(request, shapes),
            system_instructions=_parts(request.get("system"), shapes),
            tool_definitions=tuple([_tool(tool, shapes) for tool in shapes.records(request.get("tools"))]),
            parameters=_parameters(request, shapes),
            output_type="json" if wanted.get("type") == "json_schema" else None,
            output_schema=wanted.get("schema"),
            model=vertex[1] if vertex else None,
            stream=True if vertex and vertex[2] == "streamRawPredict" else None,
            claims=_claims(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> MessageAnswer:
        return MessageAnswer(shapes)


def is_anthropic(capture: Capture) -> bool:
    """Says the client that it speaks to Anthropic? Others send messages, too."""
    return header(capture.request_headers, "anthropic-version") is not None


def _input_messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    return tuple([_input_message(message, shapes) for message in shapes.records(request.get("messages"))])


def _input_message(message: dict[str, Any], shapes: Shapes) -> Message:
    """Tool results come as the user's blocks; a message of nothing else is the tool's."""
    role = shapes.text(message.get("role")) or "user"
    content = message.get("content")
    parts = _parts(content, shapes)
    if parts and type(content) is list and all(_is_tool_result(block) for block in content):
        role = "tool"
    return Message(role, parts)


def _is_tool_result(block: Json) -> bool:
    return type(block) is dict and block.get("type") == "tool_result"


def _tool(tool: dict[str, Any], shapes: Shapes) -> Json:
    """The client's own tools have a schema; Anthropic's are known by type and name."""
    kind = shapes.text(tool.get("type"))
    return tool_definition("function" if kind == "custom" else kind, tool, tool.get("input_schema"), shapes)


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    stop = request.get("stop_sequences")
    return given(
        {
            "temperature": shapes.number(request.get("temperature")),
            "top_p": shapes.number(request.get("top_p")),
            "top_k": shapes.integer(request.get("top_k")),
            "max_tokens": shapes.integer(request.get("max_tokens")),
            "stop_sequences": [text for text in map(shapes.text, shapes.items(stop)) if text is not None] or None,
            "reasoning.level": shapes.text(shapes.record(request.get("output_config")).get("effort")),
        }
    )


def _claims(request: dict[str, Any], shapes: Shapes) -> dict[str, str]:
    """Who asks, and the message whose thread goes on."""
    claims = metadata_claims(request.get("metadata"), shapes)
    previous = shapes.text(shapes.record(request.get("thread")).get("previous_message_id"))
    return claims | ({"previous_response_id": previous} if previous else {})


class MessageAnswer:
    """The message as it comes together, from events or from one whole message."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._message: dict[str, Any] | None = None  # its head; None until it begins
        self._blocks: list[Block] = []
        self._by_index: dict[int, Block] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None

    def add(self, event: dict[str, Any]) -> bool:
        """One event of the stream, or a whole `message`."""
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "content_block_start":
            return self._start_block(event)
        if kind == "message_delta":
            self._change(self._shapes.record(event.get("delta")), event.get("usage"))
        elif kind == "message_start":
            return self._start(self._shapes.record(event.get("message")))
        elif kind == "message" or "content" in event:
            return self._start(event)
        elif kind == "message_stop":
            self.ended = True
        return False

    def _start(self, message: dict[str, Any]) -> bool:
        self._message = message
        self._change(message, message.get("usage"))
        content = message.get("content")
        self._blocks += [Block(block) for block in _content_blocks(content, self._shapes)]
        return bool(content)

    def _change(self, changes: dict[str, Any], usage: Json) -> None:
        """A stop reason, and counts so far: cumulative, each replacing what was said before."""
        if reason := finish_reason(changes.get("stop_reason"), FINISH_REASONS, self._shapes):
            self._stop_reason = reason
        self._usage.update(given(self._shapes.record(usage)))

    def _start_block(self, event: dict[str, Any]) -> bool:
        head = self._shapes.record(event.get("content_block"))
        self._add_block(event.get("index"), Block(head))
        return head.get("type") in CALLS or bool(head.get("text") or head.get("thinking"))

    def _add_block(self, index: Json, block: Block) -> Block:
        self._blocks.append(block)
        if type(index) is int:
            self._by_index[index] = block
        else:
            self._shapes.odd()
        return block

    def _delta(self, event: dict[str, Any]) -> bool:
        delta = self._shapes.record(event.get("delta"))
        if "citation" in delta:
            self._block(event.get("index"), "text").cite(delta["citation"])
        kind, member = DELTAS.get(self._shapes.text(delta.get("type")) or "", (None, ""))
        if kind is None:
            return False  # a citation, a signature
        piece = self._shapes.text(delta.get(member))
        if piece:
            self._block(event.get("index"), kind).add(member, piece)
        return bool(piece)

    def _block(self, index: Json, kind: str) -> Block:
        """The block of this index; without one the last, and where none was begun a new one."""
        if type(index) is int:
            return self._by_index.get(index) or self._add_block(index, Block({"type": kind}))
        self._shapes.odd()
        return self._blocks[-1] if self._blocks else self._add_block(index, Block({"type": kind}))

    def answered(self) -> Answered:
        head = self._message or {}
        return Answered(
            response_id=self._shapes.text(head.get("id")),
            response_model=self._model(head),
            output_messages=self._output_messages(head),
            usage=_usage(self._usage, self._shapes),
            attributes=given(
                {
                    "sidelight.response.service_tier": self._shapes.text(self._usage.get("service_tier")),
                    "sidelight.response.speed": self._shapes.text(self._usage.get("speed")),
                }
            ),
        )

    def _model(self, head: dict[str, Any]) -> str | None:
        """Where another model took over in the midst of the answer, the last that did."""
        models = [fallback for block in self._blocks if (fallback := block.fallback(self._shapes))]
        return models[-1] if models else self._shapes.text(head.get("model"))

    def _output_messages(self, head: dict[str, Any]) -> tuple[Message, ...]:
        """llama-server leaves `message_start` out of the shortest streams: a reason to stop makes a message, too."""
        if self._message is None and not self._blocks and not self._stop_reason:
            return ()
        role = self._shapes.text(head.get("role")) or "assistant"
        parts = _block_parts([block.whole() for block in self._blocks], self._shapes)
        return (Message(role, parts, finish_reason=self._stop_reason),)


class Block:
    """One content block, its text piece by piece."""

    __slots__ = ("_citations", "_head", "_pieces")

    def __init__(self, head: dict[str, Any]) -> None:
        self._head = head
        self._pieces: dict[str, list[str]] = {}
        self._citations: list[Json] = []

    def add(self, member: str, piece: str) -> None:
        self._pieces.setdefault(member, []).append(piece)

    def cite(self, citation: Json) -> None:
        self._citations.append(citation)

    def fallback(self, shapes: Shapes) -> str | None:
        """The model that goes on from here, if the block says that one does."""
        if self._head.get("type") != "fallback":
            return None
        return shapes.text(shapes.record(self._head.get("to")).get("model"))

    def whole(self) -> dict[str, Any]:
        """The block as it would have come in one piece."""
        block = dict(self._head)
        if self._citations:
            begun = block.get("citations")
            block["citations"] = [*(begun if type(begun) is list else []), *self._citations]
        for member, pieces in self._pieces.items():
            text = "".join(pieces)
            if member == "partial_json":
                block["input"] = text
            else:
                begun = block.get(member)
                block[member] = begun + text if type(begun) is str else text
        return block


def _usage(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """The conventions' input tokens hold the cached ones, Anthropic's do not.

    A compaction is made by the same model but counted only as an iteration. An advisor's iterations stay out: they
    are another model's, at another price.
    """
    if not usage:
        return Usage()
    counted = [usage, *[each for each in shapes.records(usage.get("iterations")) if each.get("type") == "compaction"]]
    read = _sum(counted, "cache_read_input_tokens", shapes)
    written = _sum(counted, "cache_creation_input_tokens", shapes)
    uncached = _sum(counted, "input_tokens", shapes)
    return Usage(
        input_tokens=None if uncached is None else uncached + (read or 0) + (written or 0),
        output_tokens=_sum(counted, "output_tokens", shapes),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=shapes.count(shapes.record(usage.get("output_tokens_details")).get("thinking_tokens")),
        details=_details(counted, shapes),
    )


def _sum(counted: list[dict[str, Any]], name: str, shapes: Shapes) -> int | None:
    return shapes.total(each.get(name) for each in counted)


def _details(counted: list[dict[str, Any]], shapes: Shapes) -> dict[str, float]:
    tiers = [shapes.record(each.get("cache_creation")) for each in counted]
    tools = shapes.record(counted[0].get("server_tool_use"))
    written = {name: _sum(tiers, tier, shapes) for tier, name in TIERS.items()}
    return given(written | {name: shapes.count(tools.get(requests)) for requests, name in SERVER_TOOLS.items()})


def _parts(content: Json, shapes: Shapes) -> tuple[Part, ...]:
    return _block_parts(_content_blocks(content, shapes), shapes)


def _content_blocks(content: Json, shapes: Shapes) -> list[dict[str, Any]]:
    """Content is an array of blocks, or text in place of the only one."""
    return [{"type": "text", "text": content}] if type(content) is str else shapes.records(content)


def _block_parts(blocks: Iterable[dict[str, Any]], shapes: Shapes) -> tuple[Part, ...]:
    return tuple([part for block in blocks for part in _parts_of(block, shapes)])


def _parts_of(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """One block is one part, but what a tool's result holds besides text follows it; empty text is none."""
    kind = shapes.text(block.get("type"))
    if read := BLOCKS.get(kind or ""):
        return read(block, shapes)
    if kind and kind.endswith("_tool_result"):
        return (_server_tool_result(kind.removesuffix("_tool_result"), block, shapes),)
    return (Part("generic", name=kind, id=shapes.text(block.get("id"))),)


def _text(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    text = shapes.text(block.get("text"))
    cited = [_citation(citation, shapes) for citation in shapes.records(block.get("citations"))]
    return (Part("text", content=text, citations=tuple(cited)),) if text else ()


def _citation(citation: dict[str, Any], shapes: Shapes) -> Json:
    """What was cited and where it stands, whichever of the kinds of place that is."""
    text = shapes.text
    return given(
        {
            "text": text(citation.get("cited_text")),
            "title": text(first_given(citation.get("title"), citation.get("document_title"))),
            "uri": text(first_given(citation.get("url"), citation.get("source"))),
            "file_id": text(citation.get("file_id")),
        }
    )


def _thinking(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    thinking = shapes.text(block.get("thinking"))
    return (Part("reasoning", content=thinking),) if thinking else ()


def _compaction(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return (Part("compaction", content=shapes.text(block.get("content"))),)


def _search_result(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return _parts(block.get("content"), shapes)


def _media(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return _source_parts(shapes.text(block.get("type")) or "", shapes.record(block.get("source")), shapes)


def _container_upload(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    return (Part("file", modality="document", file_id=shapes.text(block.get("file_id"))),)


def _tool_call(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    name, arguments = shapes.text(block.get("name")), arguments_of(block.get("input"))
    return (Part("tool_call", id=shapes.text(block.get("id")), name=name, arguments=arguments),)


def _server_tool_call(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    name, asked = shapes.text(block.get("name")), arguments_of(block.get("input"))
    told = asked if type(asked) is dict else given({"input": asked})
    return (_server_part(block, name, {**told, "type": name}, shapes),)


def _mcp_call(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    server, asked = shapes.text(block.get("server_name")), arguments_of(block.get("input"))
    told = given({"type": "mcp", "server_name": server, "arguments": asked})
    return (_server_part(block, shapes.text(block.get("name")), told, shapes),)


def _server_part(block: dict[str, Any], name: str | None, told: Json, shapes: Shapes) -> Part:
    return Part("server_tool_call", id=shapes.text(block.get("id")), name=name, server_tool_call=told)


def _tool_result(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    parts = _parts(block.get("content"), shapes)
    text = "\n".join(part.content or "" for part in parts if part.type == "text")
    media = [part for part in parts if part.type != "text"]
    tool_id, failed = shapes.text(block.get("tool_use_id")), block.get("is_error") is True
    return (Part("tool_call_response", id=tool_id, response=text, is_error=failed), *media)


def _server_tool_result(kind: str, block: dict[str, Any], shapes: Shapes) -> Part:
    """A tool of Anthropic's says what it found, or why it failed by an error code."""
    content = block.get("content")
    failed = block.get("is_error") is True or (type(content) is dict and "error_code" in content)
    told = None if deeper(content, MAX_DEPTH) else legible(content)
    said = given({"type": kind, "content": told})
    return Part(
        "server_tool_call_response",
        id=shapes.text(block.get("tool_use_id")),
        server_tool_call_response=said,
        is_error=failed,
    )


def legible(value: Json) -> Json:
    """Without what is encrypted or binary."""
    if type(value) is list:
        return [legible(each) for each in value]
    if type(value) is not dict:
        return value
    hidden = {"data"} if value.get("type") in ("base64", "image", "audio") else set()
    if value.get("file_type", "text") != "text":
        hidden.add("content")
    return {
        name: legible(each) for name, each in value.items() if name not in hidden and not name.startswith("encrypted_")
    }


def _source_parts(modality: str, source: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """Where an image or a document is: in the request, at an address, or uploaded before."""
    kind = shapes.text(source.get("type"))
    mime_type = shapes.text(source.get("media_type"))
    match kind:
        case "base64":
            return (blob(modality, mime_type, shapes.text(source.get("data")) or ""),)
        case "url":
            return (uri(modality, shapes.text(source.get("url")) or ""),)
        case "file":
            return (Part("file", modality=modality, file_id=shapes.text(source.get("file_id"))),)
        case "text":
            return (Part("text", content=shapes.text(source.get("data"))),)
        case "content":
            return _parts(source.get("content"), shapes)
        case _:
            shapes.odd()
            return (Part("generic", name=modality),)


BLOCKS: Mapping[str, Callable[[dict[str, Any], Shapes], tuple[Part, ...]]] = {
    "text": _text,
    "thinking": _thinking,
    "tool_use": _tool_call,
    "tool_result": _tool_result,
    "server_tool_use": _server_tool_call,
    "mcp_tool_use": _mcp_call,
    "image": _media,
    "document": _media,
    "search_result": _search_result,
    "container_upload": _container_upload,
    "compaction": _compaction,
}

"""Amazon Bedrock's Converse: one shape for the models of every vendor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.anthropic_messages import legible
from wire.bodies import MAX_DEPTH, deeper, loads
from wire.http import path_of
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

PATH = re.compile(r"(?>.*?/model/)(.+)/converse(-stream)?$")  # the first /model/: a search for more is quadratic
FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
# Formats whose media type is not the modality and the format's own name.
MEDIA_TYPES = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "m4a": "audio/mp4",
    "md": "text/markdown",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "pdf": "application/pdf",
    "three_gp": "video/3gpp",
    "txt": "text/plain",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class BedrockConverse(JsonApi):
    """POST /model/{model}/converse, one JSON body, and …/converse-stream, Amazon's event stream."""

    name: ClassVar[str] = "bedrock_converse"
    provider: ClassVar[str] = "aws.bedrock"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and PATH.match(path_of(capture).rstrip("/")) is not None

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, self)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request, path = call.body, PATH.match(call.path)
        output_type, output_schema = _output(request, shapes)
        guardrail = shapes.record(request.get("guardrailConfig")).get("guardrailIdentifier")
        return Asked(
            input_messages=tuple([_message(message, shapes) for message in shapes.records(request.get("messages"))]),
            system_instructions=_parts(request.get("system"), shapes),
            tool_definitions=_tools(request, shapes),
            parameters=_parameters(request, shapes),
            output_type=output_type,
            output_schema=output_schema,
            attributes=given({"aws.bedrock.guardrail.id": shapes.text(guardrail)}),
            model=path[1] if path else None,
            stream=path is not None and path[2] is not None,
            claims=metadata_claims(request.get("requestMetadata"), shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> ConverseAnswer:
        return ConverseAnswer(shapes)


def _message(message: dict[str, Any], shapes: Shapes) -> Message:
    """Tool results come as the user's blocks; a message of nothing else is the tool's."""
    blocks = shapes.records(message.get("content"))
    results = bool(blocks) and all("toolResult" in block for block in blocks)
    role = "tool" if results else shapes.text(message.get("role")) or "user"
    return Message(role, _block_parts(blocks, shapes))


def _tools(request: dict[str, Any], shapes: Shapes) -> tuple[Json, ...]:
    tools = []
    for tool in shapes.records(shapes.record(request.get("toolConfig")).get("tools")):
        if "toolSpec" in tool:
            spec = shapes.record(tool["toolSpec"])
            schema = shapes.record(spec.get("inputSchema")).get("json")
            tools.append(tool_definition("function", spec, schema, shapes))
        elif "systemTool" in tool:
            tools.append(tool_definition("system", shapes.record(tool["systemTool"]), None, shapes))
    return tuple(tools)


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    """Nova's own requests, which are otherwise the same, write some names with underscores."""
    config = shapes.record(request.get("inferenceConfig"))
    more = shapes.record(request.get("additionalModelRequestFields"))
    top_k = first_given(config.get("topK"), config.get("top_k"), more.get("top_k"), more.get("topK"))
    stop = shapes.items(config.get("stopSequences"))
    return given(
        {
            "temperature": shapes.number(config.get("temperature")),
            "top_p": shapes.number(first_given(config.get("topP"), config.get("top_p"))),
            "top_k": shapes.integer(first_given(top_k, shapes.record(more.get("inferenceConfig")).get("topK"))),
            "max_tokens": shapes.integer(first_given(config.get("maxTokens"), config.get("max_new_tokens"))),
            "stop_sequences": [text for text in map(shapes.text, stop) if text is not None] or None,
            "reasoning.level": _reasoning_level(request, more, shapes),
        }
    )


def _reasoning_level(request: dict[str, Any], more: dict[str, Any], shapes: Shapes) -> str | None:
    """Converse's own effort, or each vendor's: Anthropic's, OpenAI's, Nova's."""
    efforts = (
        shapes.record(request.get("outputConfig")).get("effort"),
        shapes.record(more.get("output_config")).get("effort"),
        more.get("reasoning_effort"),
        shapes.record(more.get("reasoningConfig")).get("maxReasoningEffort"),
    )
    return shapes.text(first_given(*efforts))


def _output(request: dict[str, Any], shapes: Shapes) -> tuple[str | None, Json]:
    """The format the answer is to have, and its JSON Schema, which comes as text."""
    wanted = shapes.record(shapes.record(request.get("outputConfig")).get("textFormat"))
    if wanted.get("type") != "json_schema":
        return None, None
    definition = shapes.record(shapes.record(wanted.get("structure")).get("jsonSchema"))
    schema = shapes.text(definition.get("schema"))
    try:
        return "json", loads(schema.encode()) if schema else None
    except ValueError:
        shapes.odd(schema)
        return "json", None


class ConverseAnswer:
    """The message as it comes together, from events or from one whole answer."""

    def __init__(self, shapes: Shapes) -> None:
        self.ended = False
        self._shapes = shapes
        self._begun = False
        self._role: str | None = None
        self._model: str | None = None
        self._stop_reason: str | None = None
        self._whole: list[dict[str, Any]] = []
        self._blocks: list[Block] = []
        self._by_index: dict[int, Block] = {}
        self._usage: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """An event of the stream by its type, or a whole answer, which has an `output`."""
        came = False
        for kind, value in event.items():
            if take := TAKES.get(kind):
                came = take(self, self._shapes.record(value)) or came
        if "output" in event:
            self._take_end(event)
            self._take_metadata(event)
        return came

    def _take_output(self, output: dict[str, Any]) -> bool:
        if output.get("message") is None:
            return False
        message = self._shapes.record(output["message"])
        self._take_start(message)
        self._whole = self._shapes.records(message.get("content"))
        return bool(self._whole)

    def _take_start(self, message: dict[str, Any]) -> bool:
        self._begun = True
        self._role = self._shapes.text(message.get("role"))
        return False

    def _take_end(self, end: dict[str, Any]) -> bool:
        self.ended = True
        self._stop_reason = finish_reason(end.get("stopReason"), FINISH_REASONS, self._shapes)
        return False

    def _take_metadata(self, metadata: dict[str, Any]) -> bool:
        """The counts, and the model that a prompt router chose."""
        self._usage = self._shapes.record(metadata.get("usage"))
        router = self._shapes.record(self._shapes.record(metadata.get("trace")).get("promptRouter"))
        self._model = self._shapes.text(router.get("invokedModelId"))
        return False

    def _take_block_start(self, event: dict[str, Any]) -> bool:
        start = self._shapes.record(event.get("start"))
        self._new_block(event.get("contentBlockIndex")).begin(start)
        return "toolUse" in start

    def _take_delta(self, event: dict[str, Any]) -> bool:
        return self._block(event.get("contentBlockIndex")).add(self._shapes.record(event.get("delta")), self._shapes)

    def _block(self, index: Json) -> Block:
        """The block of this index; without one the last. Text begins without a word of it."""
        if type(index) is int:
            return self._by_index.get(index) or self._new_block(index)
        self._shapes.odd()
        return self._blocks[-1] if self._blocks else self._new_block(index)

    def _new_block(self, index: Json) -> Block:
        block = Block()
        self._blocks.append(block)
        if type(index) is int:
            self._by_index[index] = block
        else:
            self._shapes.odd()
        return block

    def answered(self) -> Answered:
        return Answered(
            response_model=self._model, output_messages=self._messages(), usage=token_usage(self._usage, self._shapes)
        )

    def _messages(self) -> tuple[Message, ...]:
        if not (self._begun or self._blocks or self._stop_reason):
            return ()
        blocks = self._whole + [whole for block in self._blocks for whole in block.wholes()]
        parts = _block_parts(blocks, self._shapes)
        return (Message(self._role or "assistant", parts, finish_reason=self._stop_reason),)


TAKES: Mapping[str, Callable[[ConverseAnswer, dict[str, Any]], bool]] = {
    "output": ConverseAnswer._take_output,
    "messageStart": ConverseAnswer._take_start,
    "contentBlockStart": ConverseAnswer._take_block_start,
    "contentBlockDelta": ConverseAnswer._take_delta,
    "messageStop": ConverseAnswer._take_end,
    "metadata": ConverseAnswer._take_metadata,
}


class Block:
    """One streamed content block, piece by piece."""

    __slots__ = ("_citations", "_head", "_input", "_reasoning", "_redacted", "_results", "_text")

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._redacted = False
        self._input: list[str] = []
        self._results: list[Json] = []
        self._citations: list[Json] = []

    def begin(self, start: dict[str, Any]) -> None:
        self._head = {kind: dict(head) if type(head) is dict else {} for kind, head in start.items()}

    def add(self, delta: dict[str, Any], shapes: Shapes) -> bool:
        """Take a delta; did it bring text, reasoning or arguments?"""
        reasoning = shapes.record(delta.get("reasoningContent"))
        self._redacted = self._redacted or "redactedContent" in reasoning
        self._results += shapes.items(delta.get("toolResult"))
        self._citations += [delta["citation"]] if "citation" in delta else []
        if "image" in delta:
            self._head.setdefault("image", {}).update(shapes.record(delta["image"]))
        pieces = (
            (self._text, delta.get("text")),
            (self._reasoning, reasoning.get("text")),
            (self._input, shapes.record(delta.get("toolUse")).get("input")),
        )
        return any([_grow(grown, shapes.text(piece)) for grown, piece in pieces])

    def wholes(self) -> Iterator[dict[str, Any]]:
        """The block as it would have come in one piece; several, where a server gave them one index."""
        head = dict(self._head)
        call, result = head.pop("toolUse", None), head.pop("toolResult", None)
        if self._reasoning:
            yield {"reasoningContent": {"reasoningText": {"text": "".join(self._reasoning)}}}
        if self._redacted:
            yield {"reasoningContent": {"redactedContent": ""}}
        if text := "".join(self._text):
            yield {"citationsContent": {"content": [{"text": text}], "citations": self._citations}}
        if call is not None or self._input:
            yield {"toolUse": {"input": "".join(self._input) or {}, **(call or {})}}
        if result is not None or self._results:
            yield {"toolResult": {**(result or {}), "content": self._results}}
        yield from [{kind: value} for kind, value in head.items()]


def _grow(grown: list[str], piece: str | None) -> bool:
    if piece:
        grown.append(piece)
    return bool(piece)


def token_usage(usage: dict[str, Any], shapes: Shapes) -> Usage:
    """The conventions' input tokens hold the cached ones, Bedrock's do not, unless the total says that they do."""
    if not usage:
        return Usage()
    count = shapes.count
    read = count(first_given(usage.get("cacheReadInputTokens"), usage.get("cacheReadInputTokenCount")))
    written = count(first_given(usage.get("cacheWriteInputTokens"), usage.get("cacheWriteInputTokenCount")))
    told, output = count(usage.get("inputTokens")), count(usage.get("outputTokens"))
    cached = (read or 0) + (written or 0)
    holds_cached = told is not None and told >= cached and usage.get("totalTokens") == told + (output or 0)
    return Usage(
        input_tokens=told if told is None or holds_cached else told + cached,
        output_tokens=output,
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        details=_cache_details(usage, shapes),
    )


def _cache_details(usage: dict[str, Any], shapes: Shapes) -> dict[str, float]:
    """Tokens written to the cache by how long they live there."""
    told = shapes.records(usage.get("cacheDetails"))
    written = {
        ttl: shapes.total(detail.get("inputTokens") for detail in told if detail.get("ttl") == ttl)
        for ttl in ("5m", "1h")
    }
    return given({f"cache_write_{ttl}.input_tokens": tokens for ttl, tokens in written.items()})


def _parts(blocks: Json, shapes: Shapes) -> tuple[Part, ...]:
    return _block_parts(shapes.records(blocks), shapes)


def _block_parts(blocks: list[dict[str, Any]], shapes: Shapes) -> tuple[Part, ...]:
    return tuple([part for block in blocks for part in _parts_of(block, shapes)])


def _parts_of(block: dict[str, Any], shapes: Shapes) -> tuple[Part, ...]:
    """A block has one member, named for what it is; what is new among them is known by that name alone."""
    for kind, value in block.items():
        if read := BLOCKS.get(kind):
            return read(value, shapes)
    return tuple([Part("generic", name=kind) for kind in list(block)[:1]])


def _text(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    text = shapes.text(value)
    return (Part("text", content=text),) if text else ()


def _texts(value: Json, shapes: Shapes) -> str:
    """What an array of texts says."""
    return "".join(text for block in shapes.records(value) if (text := shapes.text(block.get("text"))))


def _media(modality: str) -> Callable[[Json, Shapes], tuple[Part, ...]]:
    def read(value: Json, shapes: Shapes) -> tuple[Part, ...]:
        block = shapes.record(value)
        source, named = shapes.record(block.get("source")), shapes.text(block.get("format"))
        mime_type = MEDIA_TYPES.get(named, f"{modality}/{named}") if named else None
        if (encoded := shapes.text(source.get("bytes"))) is not None:
            return (blob(modality, mime_type, encoded),)
        if "s3Location" in source:
            return (uri(modality, shapes.text(shapes.record(source["s3Location"]).get("uri")) or ""),)
        text = shapes.text(source.get("text")) or _texts(source.get("content"), shapes)
        return (Part("text", content=text) if text else Part("generic", name=modality),)

    return read


def _tool_use(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    call = shapes.record(value)
    call_id, name = shapes.text(call.get("toolUseId")), shapes.text(call.get("name"))
    arguments = arguments_of(call.get("input"))
    if call.get("type") != "server_tool_use":
        return (Part("tool_call", id=call_id, name=name, arguments=arguments),)
    told = arguments if type(arguments) is dict else given({"input": arguments})
    return (Part("server_tool_call", id=call_id, name=name, server_tool_call={**told, "type": name}),)


def _tool_result(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    """A result with a type is of a tool that ran on Bedrock's side."""
    result = shapes.record(value)
    call_id, failed = shapes.text(result.get("toolUseId")), result.get("status") == "error"
    parts: list[Part] = []
    told: list[Json] = []
    for block in shapes.records(result.get("content")):
        if "json" in block:
            told.append(None if deeper(block["json"], MAX_DEPTH) else block["json"])
        else:
            parts += _parts_of(block, shapes)
    media = [part for part in parts if part.type != "text"]
    text = "\n".join(part.content or "" for part in parts if part.type == "text")
    response = (told[0] if len(told) == 1 else told) if told and not text else text
    if kind := shapes.text(result.get("type")):
        said = {"type": kind, "content": legible(response)}
        return (Part("server_tool_call_response", id=call_id, server_tool_call_response=said, is_error=failed), *media)
    return (Part("tool_call_response", id=call_id, response=response, is_error=failed), *media)


def _reasoning(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    reasoning = shapes.record(value)
    if "redactedContent" in reasoning:
        return (Part("generic", name="redactedContent"),)
    text = shapes.text(shapes.record(reasoning.get("reasoningText")).get("text"))
    return (Part("reasoning", content=text),) if text else ()


def _guard_content(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    guarded = shapes.record(value)
    if "image" in guarded:
        return _media("image")(guarded["image"], shapes)
    return _text(shapes.record(guarded.get("text")).get("text"), shapes)


def _search_result(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    return _parts(shapes.record(value).get("content"), shapes)


def _cited(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    cited = shapes.record(value)
    text = _texts(cited.get("content"), shapes)
    citations = [_citation(citation, shapes) for citation in shapes.records(cited.get("citations"))]
    return (Part("text", content=text, citations=tuple(citations)),) if text else ()


def _citation(citation: dict[str, Any], shapes: Shapes) -> Json:
    web = shapes.record(shapes.record(citation.get("location")).get("web"))
    told = {
        "text": _texts(citation.get("sourceContent"), shapes) or None,
        "title": shapes.text(citation.get("title")),
        "uri": shapes.text(first_given(web.get("url"), citation.get("source"))),
    }
    return given(told)


def _nothing(value: Json, shapes: Shapes) -> tuple[Part, ...]:
    return ()


BLOCKS: Mapping[str, Callable[[Json, Shapes], tuple[Part, ...]]] = {
    "text": _text,
    "image": _media("image"),
    "document": _media("document"),
    "video": _media("video"),
    "audio": _media("audio"),
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "guardContent": _guard_content,
    "citationsContent": _cited,
    "searchResult": _search_result,
    "cachePoint": _nothing,
}

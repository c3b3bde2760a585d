"""OpenAI's responses, and the servers that speak them."""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple

import msgspec

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import is_versioned, may_have, path_of
from wire.openai_dialect import (
    OUTPUT_TYPES,
    claims_of,
    service_tier,
    token_usage,
    usage_attributes,
    with_blocked,
)
from wire.openai_items import content_parts, item_parts
from wire.reading import (
    Answered,
    Asked,
    Call,
    JsonApi,
    decode_call,
    finish_reason,
    given,
    tool_definition,
)
from wire.shapes import Shapes

PATHS = {
    "POST": re.compile(r"/responses(?:/compact|/input_tokens|/(?P<id>[^/]+)/cancel)?$"),
    "GET": re.compile(r"/responses/(?P<id>[^/]+)$"),
}
FINISH_REASONS = {"max_output_tokens": "length"}  # of answers that are incomplete
UNFINISHED = ("queued", "in_progress")
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
WHOLE = ("response", "response.compaction", "response.input_tokens")  # what a whole body calls itself
ANNOTATIONS = ("response.output_text.annotation", "response.output_text_annotation")
ROLES = {"mcp_approval_response": "user", "additional_tools": "developer", "configuration_update": "developer"}
HEARD = ("text", "reasoning", "refusal", "tool_call")  # what counts as content while it streams


class OpenAIResponses(JsonApi):
    """POST …/responses and what is beside it: stored ones, compaction, counting; JSON or server-sent events."""

    name: ClassVar[str] = "openai_responses"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "chat"

    def matches(self, capture: Capture) -> bool:
        """Surveys have responses, too: without a version, theirs name no model and have other ids."""
        pattern = PATHS.get(capture.method)
        path = pattern.search(path_of(capture).rstrip("/")) if pattern else None
        if path is None or is_versioned(capture):
            return path is not None
        return path["id"].startswith("resp") if path["id"] else may_have(capture, "model")

    def decode(self, capture: Capture) -> Exchange:
        if not capture.request_body and path_of(capture).rstrip("/").endswith("/cancel"):
            capture = msgspec.structs.replace(capture, request_body=b"{}")  # there is nothing to say
        return with_blocked(decode_call(capture, self), capture)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        if call.method == "GET":
            return _asked_again(call)
        asked = asked_of(call.body, shapes)
        if call.path.endswith("/responses/input_tokens"):
            return msgspec.structs.replace(asked, operation="count_tokens")
        return msgspec.structs.replace(asked, operation="fetch_response") if call.path.endswith("/cancel") else asked

    def answer(self, call: Call, shapes: Shapes) -> ResponseAnswer:
        return ResponseAnswer(shapes, fetched=call.method == "GET" or call.path.endswith("/cancel"))


def _asked_again(call: Call) -> Asked:
    """A response made before, whole or streamed again from some event on."""
    cursor = call.query.get("starting_after")
    return Asked(
        operation="fetch_response",
        stream=call.query.get("stream") == "true",
        attributes=given({"openai.api.type": "responses", "gen_ai.request.stream_cursor": cursor}),
    )


def asked_of(request: dict[str, Any], shapes: Shapes) -> Asked:
    """What a request to create a response says, also when it came over a WebSocket."""
    output_type, output_schema = _output(request, shapes)
    tier = service_tier(request, shapes)
    return Asked(
        input_messages=_input_messages(request.get("input"), shapes),
        system_instructions=content_parts(request.get("instructions"), shapes),
        tool_definitions=_tools(request, shapes),
        parameters=_parameters(request, shapes),
        output_type=output_type,
        output_schema=output_schema,
        attributes=given({"openai.api.type": "responses", "openai.request.service_tier": tier}),
        conversation=_conversation(request.get("conversation"), shapes),
        claims=claims_of(request, shapes),
    )


def _conversation(value: Json, shapes: Shapes) -> str | None:
    """Its id, bare or in an object."""
    return value if type(value) is str else shapes.text(shapes.record(value).get("id"))


def _output(request: dict[str, Any], shapes: Shapes) -> tuple[str | None, Json]:
    """The format the answer is to have, and its JSON Schema."""
    wanted = shapes.record(shapes.record(request.get("text")).get("format"))
    return OUTPUT_TYPES.get(shapes.text(wanted.get("type")) or ""), wanted.get("schema")


def _parameters(request: dict[str, Any], shapes: Shapes) -> dict[str, Json]:
    return given(
        {
            "temperature": shapes.number(request.get("temperature")),
            "top_p": shapes.number(request.get("top_p")),
            "max_tokens": shapes.integer(request.get("max_output_tokens")),
            "reasoning.level": shapes.text(shapes.record(request.get("reasoning")).get("effort")),
            "previous_response.id": shapes.text(request.get("previous_response_id")),
        }
    )


def _tools(request: dict[str, Any], shapes: Shapes) -> tuple[Json, ...]:
    """Functions and tools of the provider's; a namespace stands for what it holds."""
    tools = []
    for tool in shapes.records(request.get("tools")):
        tools += shapes.records(tool.get("tools")) if tool.get("type") == "namespace" else [tool]
    return tuple([_tool(tool, shapes) for tool in tools])


def _tool(tool: dict[str, Any], shapes: Shapes) -> Json:
    return tool_definition(shapes.text(tool.get("type")), tool, tool.get("parameters"), shapes)


def _input_messages(value: Json, shapes: Shapes) -> tuple[Message, ...]:
    """Text, or items; what the assistant made in a row is one message, as it was when it was made."""
    if type(value) is str:
        return (Message("user", (Part("text", content=value),)),)
    messages: list[tuple[str, list[Part]]] = []
    for item in shapes.records(value):
        role, parts = _role_of(item, shapes), item_parts(item, shapes)
        if role == "assistant" and messages and messages[-1][0] == role:
            messages[-1][1].extend(parts)
        elif parts:
            messages.append((role, list(parts)))
    return tuple([Message(role, tuple(parts)) for role, parts in messages])


def _role_of(item: dict[str, Any], shapes: Shapes) -> str:
    kind = shapes.text(item.get("type")) or "message"
    if kind == "message":
        return shapes.text(item.get("role")) or "user"
    return ROLES.get(kind, "tool" if kind.endswith("_call_output") else "assistant")


class ResponseAnswer:
    """A response as it comes together, from events or from one whole response.

    The last word counts most: the response of the terminal event before items said whole, and those before deltas.
    """

    def __init__(self, shapes: Shapes, fetched: bool = False) -> None:
        self.ended = False
        self._shapes = shapes
        self._fetched = fetched
        self._response: dict[str, Any] = {}  # what was last said of it as a whole
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._by_index: dict[int, Item] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """One event of the stream, or a whole response."""
        kind = self._shapes.text(event.get("type")) or ""
        name, _, verb = kind.rpartition(".")
        if grown := GROWS.get(name):
            return self._grow(event, grown, verb)
        if name == "response.output_item":
            return self._put(event, verb == "done")
        if part := PARTS.get(name):
            return self._put_part(event, part, verb == "done")
        if name in ANNOTATIONS:
            self._annotate(event)
        elif "response" in event:
            self._hear(self._shapes.record(event["response"]), kind in TERMINAL)
        elif not kind and ("output" in event or event.get("object") in WHOLE):
            return self._whole(event)
        return False

    def _annotate(self, event: dict[str, Any]) -> None:
        if annotation := self._shapes.record(event.get("annotation")):
            block = self._item(event, "message").part("content", event.get("content_index"), "output_text")
            block.annotations.append(annotation)

    def _whole(self, response: dict[str, Any]) -> bool:
        self._hear(response, True)
        return bool(response.get("output"))

    def _hear(self, response: dict[str, Any], terminal: bool) -> None:
        if terminal or not self.ended:
            self._response.update(given(response))
            self.ended = self.ended or terminal

    def _put(self, event: dict[str, Any], done: bool) -> bool:
        """An item that begins or is whole; did it bring what no delta had?"""
        said = self._shapes.record(event.get("item"))
        stage, kind = DONE if done else BEGUN, self._shapes.text(said.get("type")) or ""
        item = self._known(said.get("id"), event.get("output_index"), kind, stage)
        item = item or self._begin(said.get("id"), event.get("output_index"), kind)
        item.stage = max(item.stage, stage)
        item.put(said, done)
        item.put_parts(said, self._shapes)
        return item.first(any(part.type in HEARD for part in item_parts(said, self._shapes)))

    def _put_part(self, event: dict[str, Any], grown: Grows, done: bool) -> bool:
        said = self._shapes.record(event.get("part"))
        kind = self._shapes.text(said.get("type")) or grown.part
        item = self._item(event, "reasoning" if kind in ("reasoning_text", "summary_text") else grown.item)
        item.part(grown.parts, event.get(grown.place), kind).put(said, done)
        return item.first(bool(said.get("text") or said.get("refusal")))

    def _grow(self, event: dict[str, Any], grown: Grows, verb: str) -> bool:
        """A delta, or with `done` all of what the deltas said."""
        item = self._item(event, grown.item)
        block = item.part(grown.parts, event.get(grown.place), grown.part) if grown.parts else item
        if verb == "delta":
            piece = self._shapes.text(event.get("delta"))
            block.add(grown.member, piece or "")
            item.heard = item.heard or bool(piece)
            return bool(piece)
        said = self._shapes.text(event.get(grown.member))
        if said:
            block.put({**block.head, grown.member: said}, True)
        return item.first(bool(said))

    def _item(self, event: dict[str, Any], kind: str) -> Item:
        """The item an event is about; one that never began begins here."""
        item_id, index = event.get("item_id"), event.get("output_index")
        return self._known(item_id, index, kind, DONE) or self._begin(item_id, index, kind)

    def _known(self, item_id: Json, index: Json, kind: str, stage: int) -> Item | None:
        """By its id; by its index where ids are missing or change with every event, but not for what it is past."""
        if type(item_id) is str and (item := self._by_id.get(item_id)) and item.kind == kind:
            return item
        if type(index) is int:
            item = self._by_index.get(index)
        else:
            self._shapes.odd(index)
            item = self._items[-1] if self._items and not item_id else None
        return item if item and item.kind == kind and item.stage < stage else None

    def _begin(self, item_id: Json, index: Json, kind: str) -> Item:
        last = self._items[-1].index if self._items else 0
        item = Item(kind, index if type(index) is int else last)
        self._items.append(item)
        if type(item_id) is str:
            self._by_id[item_id] = item
        if type(index) is int:
            self._by_index[index] = item
        return item

    def answered(self) -> Answered:
        text = self._shapes.text
        response, status = self._response, text(self._response.get("status"))
        told = status if self._fetched or response.get("background") is True else None
        return Answered(
            response_id=text(response.get("id")),
            response_model=text(response.get("model")),
            output_messages=self._output_messages(status),
            usage=_usage(response, self._shapes),
            attributes=given(
                {
                    "gen_ai.response.status": told,
                    "openai.response.service_tier": service_tier(response, self._shapes),
                    "sidelight.count_tokens.input_tokens": self._counted(),
                    **usage_attributes(self._shapes.record(response.get("usage"))),
                }
            ),
            conversation=_conversation(response.get("conversation"), self._shapes),
            failure={"error": response.get("error") or {}} if status == "failed" else None,
            unfinished=status in UNFINISHED,
        )

    def _counted(self) -> str | None:
        """The answer to how many tokens an input would be: asked, not used."""
        if self._response.get("object") != "response.input_tokens":
            return None
        count = self._shapes.count(self._response.get("input_tokens"))
        return None if count is None else str(count)

    def _output_messages(self, status: str | None) -> tuple[Message, ...]:
        """Everything the answer holds is one message; an answer that ended is one even when it holds nothing."""
        items = self._output_items()
        if not items and status not in ("completed", "incomplete"):
            return ()
        parts = _made_here([part for item in items for part in item_parts(item, self._shapes)])
        return (Message("assistant", tuple(parts), finish_reason=self._finish_reason(status, parts)),)

    def _output_items(self) -> list[dict[str, Any]]:
        """What the end told, unless it left out what was streamed; input a compaction repeats is none."""
        told = self._shapes.records(self._response.get("output")) if self.ended or not self._items else []
        items = told or [item.whole() for item in sorted(self._items, key=lambda item: item.index)]
        return [item for item in items if item.get("role") in (None, "assistant")]

    def _finish_reason(self, status: str | None, parts: list[Part]) -> str | None:
        if status == "incomplete":
            details = self._shapes.record(self._response.get("incomplete_details"))
            return finish_reason(details.get("reason"), FINISH_REASONS, self._shapes) or status
        if status == "failed":
            return "error"
        if self._response.get("object") == "response.compaction":
            return "compaction"
        if status != "completed":
            return None
        return "tool_call" if any(part.type == "tool_call" for part in parts) else "stop"


def _made_here(parts: list[Part]) -> list[Part]:
    """A call whose result is in the same answer was the provider's to make."""
    answered = {part.id for part in parts if part.type == "tool_call_response" and part.id}
    return [_by_server(part) if part.id in answered else part for part in parts] if answered else parts


def _by_server(part: Part) -> Part:
    told = {"type": part.name or "function", "arguments": part.arguments, "response": part.response}
    if part.type == "tool_call":
        return Part("server_tool_call", id=part.id, name=part.name, server_tool_call=given(told))
    if part.type == "tool_call_response":
        return Part("server_tool_call_response", id=part.id, server_tool_call_response=given(told))
    return part


BEGUN, DONE = 1, 2  # how far an item is: its beginning was told, all of it was


class Block:
    """An object whose texts come piece by piece: an item, or a part of one."""

    __slots__ = ("_closed", "_pieces", "annotations", "head")

    def __init__(self, head: dict[str, Any], closed: bool = False) -> None:
        self.head = head  # as it was last said
        self.annotations: list[Json] = []
        self._closed = closed  # it was said whole
        self._pieces: dict[str, list[str]] = {}  # what came since

    def put(self, head: dict[str, Any], closed: bool = False) -> None:
        """Say it anew; of what it does not say, the pieces stay."""
        self.head = head
        self._closed = self._closed or closed
        for member in [member for member in self._pieces if head.get(member)]:
            del self._pieces[member]

    def add(self, member: str, piece: str) -> None:
        """A piece more, unless all of it was said before."""
        if not (self._closed and self.head.get(member)):
            self._pieces.setdefault(member, []).append(piece)

    def whole(self) -> dict[str, Any]:
        """The object as it would have come in one piece."""
        block = dict(self.head)
        for member, pieces in self._pieces.items():
            begun, text = block.get(member), "".join(pieces)
            block[member] = begun + text if type(begun) is str else text
        if self.annotations and not block.get("annotations"):
            block["annotations"] = self.annotations
        return block


class Item(Block):
    """One output item: its own texts, and the parts of its content and summary."""

    __slots__ = ("_last", "_parts", "heard", "index", "kind", "stage")

    def __init__(self, kind: str, index: int) -> None:
        super().__init__({"type": kind})
        self.kind = kind
        self.index = index
        self.stage = 0  # no more than deltas came
        self.heard = False  # something came that counts as content
        self._parts: dict[str, dict[tuple[int, str], Block]] = {}
        self._last: dict[tuple[str, str], int] = {}  # where the last part of a kind is

    def first(self, came: bool) -> bool:
        """Is this the first content it brings?"""
        came = came and not self.heard
        self.heard = self.heard or came
        return came

    def put_parts(self, head: dict[str, Any], shapes: Shapes) -> None:
        """Take over the parts the item came with."""
        for member in ("content", "summary"):
            if said := shapes.records(head.get(member)):
                parts = [(shapes.text(part.get("type")) or "", part) for part in said]
                done = self.stage == DONE
                self._parts[member] = {(n, kind): Block(part, done) for n, (kind, part) in enumerate(parts)}
                self._last |= {(member, kind): n for n, (kind, _) in enumerate(parts)}

    def part(self, member: str, index: Json, kind: str) -> Block:
        """The part of this kind at this place; without a place, the last of its kind."""
        parts = self._parts.setdefault(member, {})
        if type(index) is not int:
            index = self._last.get((member, kind), len(parts))
        self._last[member, kind] = index
        return parts.setdefault((index, kind), Block({"type": kind}))

    def whole(self) -> dict[str, Any]:
        item = super().whole()
        for member, parts in self._parts.items():
            item[member] = [part.whole() for _, part in sorted(parts.items(), key=lambda pair: pair[0])]
        return item


class Grows(NamedTuple):
    """What a delta adds to: a member of an item of this type, or of one of its parts."""

    item: str
    member: str
    parts: str = ""  # the item's array of parts
    place: str = ""  # what the event calls the place in it
    part: str = ""  # the part's type


GROWS = {  # by the event's type without .delta and .done
    "response.output_text": Grows("message", "text", "content", "content_index", "output_text"),
    "response.refusal": Grows("message", "refusal", "content", "content_index", "refusal"),
    "response.audio": Grows("message", "data", "content", "content_index", "output_audio"),
    "response.audio.transcript": Grows("message", "transcript", "content", "content_index", "output_audio"),
    "response.reasoning_text": Grows("reasoning", "text", "content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text": Grows("reasoning", "text", "summary", "summary_index", "summary_text"),
    "response.function_call_arguments": Grows("function_call", "arguments"),
    "response.custom_tool_call_input": Grows("custom_tool_call", "input"),
    "response.mcp_call_arguments": Grows("mcp_call", "arguments"),
    "response.code_interpreter_call_code": Grows("code_interpreter_call", "code"),
    "response.shell_call_command": Grows("shell_call", "command", "commands", "command_index", "command"),
}
PARTS = {
    "response.content_part": Grows("message", "text", "content", "content_index", "output_text"),
    "response.reasoning_part": Grows("reasoning", "text", "content", "content_index", "reasoning_text"),  # vLLM
    "response.reasoning_summary_part": Grows("reasoning", "text", "summary", "summary_index", "summary_text"),
}


def _usage(response: dict[str, Any], shapes: Shapes) -> Usage:
    """Input holds the cached tokens and output the reasoning; searches are counted beside them."""
    searches = shapes.record(shapes.record(response.get("tool_usage")).get("web_search")).get("num_requests")
    return token_usage(shapes.record(response.get("usage")), ("input", "output"), shapes, searches)

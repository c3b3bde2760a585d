"""Takes personal data and secrets out of an exchange before anything is written, evaluated or sent."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import msgspec
import re2

from pipeline.records import Exchange, Http, Json, Message, Part
from processors.options import check_choice
from processors.sensitive import BYTES, KINDS, SECRET_NAME, Hit, find, looks_secret, user_rules

Content = Literal["full", "redacted", "off"]
STRICTNESS = get_args(Content)
COPIES = "copies"  # of texts whose findings are counted where they stand
MAX_DEPTH = 100  # levels of nested JSON that are walked; deeper ones are removed
SECRET_KEY = re.compile(SECRET_NAME.decode() + r"\Z", re.IGNORECASE)
JSON_STRING = re2.compile(rb'"(?:[^"\\]|\\(?s:.))*"?', BYTES)
Record = TypeVar("Record", Part, Message, Http, Exchange)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Redact:
    """Replaces e-mail addresses, phone, card and account numbers, IP addresses and keys by `[KIND_n]`."""

    content: Content = "redacted"  # redacted; full: only count; off: count, then remove every text
    kinds: tuple[str, ...] = KINDS  # what is looked for
    patterns: Mapping[str, str] = field(default_factory=dict)  # further kinds: NAME → RE2 pattern

    def __post_init__(self) -> None:
        check_choice("content", self.content, STRICTNESS)
        for kind in self.kinds:
            check_choice("kinds", kind, KINDS)
        user_rules(tuple(self.patterns.items()))

    def redact(self, exchange: Exchange) -> Exchange:
        """The exchange with its texts as `content` says and the findings counted; itself when nothing changes."""
        masking = Masking(self.kinds, tuple(self.patterns.items()))
        masked = masking.exchange(exchange)
        if exchange.content != "full":  # redacted before: what was found then is no longer there to be found
            masking.add(exchange.findings)
        kept = exchange if self.content == "full" else masked
        if self.content == "off":
            kept = without_content(kept)
        content = max(exchange.content, self.content, key=STRICTNESS.index)
        return _replaced(kept, content=content, findings=masking.findings())


class Masking:
    """One exchange's placeholders (a value keeps its number on both sides) and counts."""

    def __init__(self, kinds: tuple[str, ...], patterns: tuple[tuple[str, str], ...]) -> None:
        self._kinds = kinds
        self._patterns = patterns
        self._numbers: dict[str, dict[bytes, int]] = {}
        self._counts: dict[str, Counter[str]] = {"input": Counter(), "output": Counter(), COPIES: Counter()}
        self._side = "input"

    def findings(self) -> dict[str, dict[str, int]]:
        """Side → kind → occurrences; sides without any are left out."""
        return {side: dict(counts) for side, counts in self._counts.items() if counts and side != COPIES}

    def add(self, findings: Mapping[str, Mapping[str, int]]) -> None:
        """Count what was found before, too."""
        for side, counts in findings.items():
            self._counts.setdefault(side, Counter()).update(counts)

    def exchange(self, exchange: Exchange) -> Exchange:
        """Input first, so that the numbers follow the conversation."""
        self._side = "input"
        masked = _replaced(
            exchange,
            http=_replaced(exchange.http, path=self.text(exchange.http.path), query=self._query(exchange.http.query)),
            system_instructions=_each(self.part, exchange.system_instructions),
            input_messages=_each(self.message, exchange.input_messages),
            tool_definitions=_each(self.json, exchange.tool_definitions),
            parameters=self.json(exchange.parameters),
            output_schema=self.json(exchange.output_schema),
            attributes=self.json(exchange.attributes),
            conversation=self._optional(exchange.conversation),
            session=self._optional(exchange.session),
        )
        self._side = COPIES
        expected = self.text(exchange.ground_truth) if exchange.ground_truth else exchange.ground_truth
        masked = _replaced(masked, context=_each(self.text, exchange.context), ground_truth=expected)
        self._side = "output"
        return _replaced(
            masked,
            output_messages=_each(self.message, exchange.output_messages),
            error_message=self._optional(exchange.error_message),
        )

    def message(self, message: Message) -> Message:
        return _replaced(message, parts=_each(self.part, message.parts), name=self._optional(message.name))

    def part(self, part: Part) -> Part:
        if part.type == "text" and has_text_alone(part):  # nearly every part
            return _replaced(part, content=self._optional(part.content))
        return _replaced(
            part,
            content=self._optional(part.content),
            name=self._optional(part.name),
            arguments=self.json(part.arguments),
            response=self.json(part.response),
            server_tool_call=self.json(part.server_tool_call),
            server_tool_call_response=self.json(part.server_tool_call_response),
            citations=self.json(part.citations),
            uri=self._optional(part.uri),
        )

    def json(self, value: Json, depth: int = 0) -> Json:
        """Strings, keys and long numbers at any depth; the same object when nothing was found."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping | list | tuple) and depth == MAX_DEPTH:
            return None
        if isinstance(value, Mapping):
            pairs = [(self.json(key), self._member(key, item, depth + 1)) for key, item in value.items()]
            same = all(key is old and item is value[old] for (key, item), old in zip(pairs, value, strict=True))
            return value if same else dict(pairs)
        if isinstance(value, list | tuple):
            items = [self.json(item, depth + 1) for item in value]
            return value if all(map(_is, items, value)) else type(value)(items)
        return self._number(value) if type(value) is int else value

    def text(self, text: str) -> str:
        """The text with every finding replaced; the same object when there is none."""
        data = text.encode("utf-8", "surrogatepass")
        hits = find(data, self._kinds, self._patterns)
        if not hits:
            return text
        masked, position = bytearray(), 0
        strings = _json_strings(data)
        for hit in hits:
            masked += data[position : hit.start] + self._placeholder(data, hit, strings)
            position = hit.end
        return (bytes(masked) + data[position:]).decode("utf-8", "surrogatepass")

    def _member(self, key: Json, value: Json, depth: int) -> Json:
        """A value whose key says that it is a secret need not look like one."""
        secret = isinstance(key, str) and isinstance(value, str) and "API_KEY" in self._kinds and SECRET_KEY.search(key)
        if secret and looks_secret(data := value.encode("utf-8", "surrogatepass")):
            return self._count("API_KEY", data)
        return self.json(value, depth)

    def _number(self, value: int) -> int:
        """A number cannot carry a placeholder: it becomes 0."""
        if not 10**6 < value < 10**20:
            return value
        hits = find(b"%d" % value, self._kinds, self._patterns)
        for hit in hits:
            self._count(hit.kind, b"%d" % value)
        return 0 if hits else value

    def _placeholder(self, data: bytes, hit: Hit, strings: list[tuple[int, int]] | None) -> bytes:
        found = data[hit.start : hit.end]
        placeholder = self._count(hit.kind, found).encode()
        bare = strings is not None and found.isdigit() and not _inside(strings, hit.start)
        if not bare:
            return placeholder
        return b"1" if data[hit.end : hit.end + 1].isdigit() else b"0"  # no JSON number begins with a 0 and goes on

    def _count(self, kind: str, found: bytes) -> str:
        """The placeholder of this value; case and separators do not make it another."""
        self._counts[self._side][kind] += 1
        numbers = self._numbers.setdefault(kind, {})
        value = found if kind == "API_KEY" else found.lower().translate(None, b" .-()/")
        return f"[{kind}_{numbers.setdefault(value, len(numbers) + 1)}]"

    def _optional(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _query(self, query: str | None) -> str | None:
        """Its first parameter is recognised by the `?` before it."""
        return None if query is None else self.text("?" + query)[1:]


def has_text_alone(part: Part) -> bool:
    """Is there nothing else in it that a text could be in?"""
    return (
        not part.citations
        and part.name is part.uri is part.arguments is part.response is None
        and part.server_tool_call is part.server_tool_call_response is None
    )


def without_content(exchange: Exchange) -> Exchange:
    """The exchange with every text removed that people or models wrote; its shape stays."""
    return _replaced(
        exchange,
        system_instructions=_each(_empty_part, exchange.system_instructions),
        input_messages=_each(_empty_message, exchange.input_messages),
        output_messages=_each(_empty_message, exchange.output_messages),
        tool_definitions=_each(_bare_definition, exchange.tool_definitions),
        error_message=None,
        context=(),
        ground_truth=None,
    )


def _empty_message(message: Message) -> Message:
    return _replaced(message, parts=_each(_empty_part, message.parts))


def _empty_part(part: Part) -> Part:
    return _replaced(
        part,
        content=None,
        arguments=None,
        response=None,
        server_tool_call=None,
        server_tool_call_response=None,
        citations=(),
        uri=None,
    )


def _bare_definition(definition: Json) -> Json:
    if not isinstance(definition, Mapping):
        return None
    bare = {key: definition[key] for key in ("type", "name") if key in definition}
    return definition if bare == definition else bare


def _json_strings(data: bytes) -> list[tuple[int, int]] | None:
    """Where the strings are, if the text looks like JSON."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    return [match.span() for match in JSON_STRING.finditer(data)]


def _inside(strings: list[tuple[int, int]], position: int) -> bool:
    before = bisect_right(strings, (position, position)) - 1
    return before >= 0 and position < strings[before][1]


def _replaced(record: Record, **changes: Any) -> Record:
    """The record with these fields, or itself when it has them already."""
    changes = {name: new for name, new in changes.items() if _differs(getattr(record, name), new)}
    return msgspec.structs.replace(record, **changes) if changes else record


def _differs(old: Any, new: Any) -> bool:
    return old is not new and not (isinstance(new, dict | str) and old == new)


def _each(change: Callable[[Item], Item], items: tuple[Item, ...]) -> tuple[Item, ...]:
    changed = tuple(map(change, items))
    return items if all(map(_is, changed, items)) else changed


def _is(one: object, other: object) -> bool:
    return one is other

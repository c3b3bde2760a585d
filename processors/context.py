"""What an answer should be grounded in, wherever a retrieval application puts it: the first source that has any."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, get_args
from urllib.parse import unquote

import msgspec
import orjson

from config.settings import Size
from pipeline.records import Capture, Exchange, Json, Message, Part
from processors.delimiters import delimiters_of, set_off
from processors.options import check_choice, check_headers

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath

Source = Literal["header", "metadata", "tools", "citations", "delimiters", "json_path"]
SOURCES: Final = get_args(Source)
LATEST_LAST: Final = ("tools", "delimiters")  # in the order of the conversation; the others bring the best first
READS: Final = frozenset(("chat", "generate_content", "text_completion"))  # operations whose answers have a context
BASE64: Final = "base64:"
RETRIEVES: Final = ("search", "retriev", "fetch", "ground", "knowledge", "mcp")  # in the types of such server tools
TEXT_MEMBERS: Final = ("text", "content", "snippet", "output", "data", "passage", "page_content")
MAX_DEPTH: Final = 8  # levels of a tool's answer that are walked
MAX_FOUND: Final = 1000  # values of a path that are looked at
PROMPTS: Final = frozenset(("system", "developer", "user"))


@dataclass(frozen=True, slots=True)
class Context:
    """Finds the texts that an answer should be grounded in."""

    sources: tuple[Source, ...] = SOURCES  # where context is looked for; the first that has any is taken
    headers: tuple[str, ...] = ("x-sidelight-context",)  # percent-encoded text, or base64: and UTF-8 in base64
    metadata: tuple[str, ...] = ("context",)  # keys of the request's metadata
    tools: tuple[str, ...] = ()  # tools whose results are context; empty: all
    delimiters: tuple[str, ...] = ()  # RE2 patterns with a group (?P<context>…), for system and user texts
    known_delimiters: bool = True  # <context>, <documents>, "Context:" and the like
    json_path: str | None = None  # RFC 9535, into the request's body
    max_texts: int = 64
    max_size: Size = 65536  # bytes of all texts; the one that crosses it is cut

    def __post_init__(self) -> None:
        for source in self.sources:
            check_choice("sources", source, SOURCES)
        check_headers(self.headers_read)
        if self.max_texts < 1 or self.max_size < 1:
            raise ValueError("max_texts and max_size must be at least 1; leave out sources to turn one off")
        delimiters_of(self.delimiters, self.known_delimiters)
        if self.json_path is not None:
            path_of(self.json_path)

    @property
    def headers_read(self) -> frozenset[str]:
        """Request headers, in lower case, that captures must hold."""
        return frozenset(map(str.lower, self.headers)) if "header" in self.sources else frozenset()

    def extract(self, capture: Capture, exchange: Exchange) -> Exchange:
        """The exchange with its context and where it was; itself where there is none. Comes before `identify`, which
        empties the claims, and before redaction."""
        if exchange.operation not in READS:
            return exchange
        for source in self.sources:
            texts = dict.fromkeys(filter(str.strip, FINDERS[source](self, capture, exchange)))
            found = self._bounded(list(texts), from_end=source in LATEST_LAST)
            if found:
                return msgspec.structs.replace(exchange, context=found, context_source=source)
        return exchange

    def _bounded(self, texts: list[str], from_end: bool) -> tuple[str, ...]:
        """As many as are allowed; where they are in the order of the conversation, the last of them."""
        left = self.max_size
        kept: list[str] = []
        for text in reversed(texts) if from_end else texts:
            data = text.encode("utf-8", "replace")
            whole = len(data) <= left
            if piece := text if whole else data[:left].decode("utf-8", "ignore"):
                kept.append(piece)
            left -= len(data)
            if not whole or len(kept) == self.max_texts:
                break
        return tuple(reversed(kept) if from_end else kept)


def _from_headers(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    names = options.headers_read
    for name, value in capture.request_headers:
        if name.lower() in names:
            yield from _texts_of(_unpacked(value.strip()))


def _unpacked(value: str) -> str:
    """A header's value as text; base64 that is none is no text."""
    if not value.startswith(BASE64):
        return unquote(value)
    try:
        return b64decode(value.removeprefix(BASE64)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _from_metadata(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    for key in options.metadata:
        yield from _texts_of(exchange.claims.get(f"metadata.{key}", ""))


def _texts_of(value: str) -> list[str]:
    """A JSON array of texts is several, anything else is one."""
    if value.startswith("["):
        try:
            items = orjson.loads(value)
        except ValueError:
            return [value]
        if all(type(item) is str for item in items):
            return items  # type: ignore[no-any-return]
    return [value]


def _from_tools(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    """What the client's tools gave back, and what the provider's own retrieved; not what failed."""
    names: dict[str | None, str | None] = {}
    for part in _parts((*exchange.input_messages, *exchange.output_messages)):
        if part.type in ("tool_call", "server_tool_call"):
            names[part.id] = part.name
        elif part.type == "tool_call_response":
            if not part.is_error and _is_wanted(options, part.name or names.get(part.id)):
                yield _result(part.response)
        elif part.type == "server_tool_call_response":
            said = part.server_tool_call_response
            kind = str(said.get("type")) if isinstance(said, Mapping) else ""
            name = part.name or names.get(part.id) or kind
            if not part.is_error and _is_wanted(options, name) and any(word in kind for word in RETRIEVES):
                yield from _texts_in(said)


def _is_wanted(options: Context, name: str | None) -> bool:
    return not options.tools or name in options.tools


def _result(response: Json) -> str:
    if response is None or isinstance(response, str):
        return response or ""
    try:
        return orjson.dumps(response).decode()
    except TypeError:  # half a surrogate pair, a number beyond 64 bits
        return repr(response)


def _texts_in(value: Json, depth: int = 0) -> Iterator[str]:
    """What is text in a tool's answer of unknown shape: the members that are called so."""
    if depth == MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str) and name in TEXT_MEMBERS:
                yield member
            elif not isinstance(member, str):
                yield from _texts_in(member, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item, depth + 1)


def _from_citations(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    """What the answer, or a document in the request, says that it leans on."""
    for part in _parts((*exchange.input_messages, *exchange.output_messages)):
        for citation in part.citations:
            if isinstance(citation, Mapping) and isinstance(text := citation.get("text"), str):
                yield text


def _from_delimiters(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    asked = [message for message in exchange.input_messages if message.role in PROMPTS]
    for part in (*exchange.system_instructions, *_parts(asked)):
        if part.type == "text" and part.content:
            yield from set_off(part.content, options.delimiters, options.known_delimiters)


def _from_json_path(options: Context, capture: Capture, exchange: Exchange) -> Iterator[str]:
    """From the request's body where it can be read as it is: whole JSON, in no content encoding."""
    encoded = any(name.lower() == "content-encoding" for name, _ in capture.request_headers)
    if options.json_path is None or encoded or capture.request_cut:
        return
    try:
        body = orjson.loads(capture.request_body)
        for match in islice(path_of(options.json_path).finditer(body), MAX_FOUND):
            yield from _texts_at(match.value)
    except Exception:  # not JSON, nested deeper than a path goes, a filter that does not suit the value
        return


def _texts_at(value: Json) -> list[str]:
    """An array of texts is several, anything else is one."""
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else [_result(value)]


@lru_cache(maxsize=8)
def path_of(json_path: str) -> JSONPath | CompoundJSONPath:
    """The path, ready for use; raises ValueError for one that is none."""
    from jsonpath import JSONPathEnvironment, JSONPathError  # 60 ms, which only those who use it should wait

    try:
        return JSONPathEnvironment(strict=True).compile(json_path)
    except JSONPathError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"json_path is no JSONPath ({reason}); write it like $.documents[*].text") from None


def _parts(messages: Iterable[Message]) -> Iterator[Part]:
    return (part for message in messages for part in message.parts)


FINDERS: Mapping[Source, Callable[[Context, Capture, Exchange], Iterable[str]]] = {
    "header": _from_headers,
    "metadata": _from_metadata,
    "tools": _from_tools,
    "citations": _from_citations,
    "delimiters": _from_delimiters,
    "json_path": _from_json_path,
}

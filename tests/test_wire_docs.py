"""docs/wire-formats.md names every wire format and decode error; `python -m tests.test_wire_docs` writes its table.

The table is what the recorded cases in tests/wire/data show of each format.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import SplicedFormat, WireFormat
from wire import SPLICED_FORMATS, WIRE_FORMATS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "wire-formats.md"
CASES = ROOT / "tests" / "wire" / "data"
FORMATS: tuple[WireFormat | SplicedFormat, ...] = (*WIRE_FORMATS, *SPLICED_FORMATS)
HEAD = ("wire format", "what it reads", "operations", "streams as", "what is counted")
TABLE = re.compile(rf"^\| {re.escape(HEAD[0])} \|.*?(?=^$)", re.MULTILINE | re.DOTALL)
STREAMS = {
    ".sse": "server-sent events",
    ".ndjson": "lines of JSON",
    ".array": "a JSON array",
    ".amazon": "Amazon's event stream",
    ".jsonl": "WebSocket messages",
}
COUNTS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache read",
    "cache_write_input_tokens": "cache write",
    "reasoning_output_tokens": "reasoning",
}


# The table


def table() -> str:
    lines = [HEAD, ("---",) * len(HEAD), *map(row, FORMATS)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def row(wire_format: WireFormat | SplicedFormat) -> tuple[str, ...]:
    folder = CASES / wire_format.name
    exchanges = list(exchanges_in(folder))
    suffixes = {file.suffix for file in folder.glob("*/*") if file.stem in ("response", "dialogue")}
    return (
        f"`{wire_format.name}`",
        (wire_format.__doc__ or "").strip(),
        listed(f"`{operation}`" for operation in sorted({str(each["operation"]) for each in exchanges})),
        listed(word for suffix, word in STREAMS.items() if suffix in suffixes),
        listed(counted(exchanges)),
    )


def exchanges_in(folder: Path) -> Iterator[dict[str, Any]]:
    """What the format's cases say must come of them; of a WebSocket also the turns."""
    for file in folder.glob("*/exchange*.json"):
        read = json.loads(file.read_text())
        yield from (each for each in (read if isinstance(read, list) else [read]) if each.get("operation"))


def counted(exchanges: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Tokens first, then their parts and what is not counted in tokens."""
    usages = [each.get("usage", {}) for each in exchanges]
    yield from (word for name, word in COUNTS.items() if any(name in usage for usage in usages))
    details = {name for usage in usages for name in usage.get("details", {})}
    yield from sorted(name.removesuffix("_tokens").replace("_", " ").replace(".", " ") for name in details)


def listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "–"


# The decode errors


def decode_errors() -> set[str]:
    """Every text in wire/ that is noted, raised or returned as a problem, or set as the decode error."""
    trees = [ast.parse(file.read_text("utf-8")) for file in (ROOT / "wire").rglob("*.py")]
    said = [text for tree in trees for node in ast.walk(tree) for text in texts_in(problem_in(node))]
    return {text for text in said if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}


def problem_in(node: ast.AST) -> ast.AST | list[ast.stmt] | None:
    """The part of this node that names a problem."""
    match node:
        case ast.Call(func=ast.Attribute(attr="note"), args=[told, *_]):
            return told
        case ast.Raise(exc=ast.Call(args=[told, *_])):
            return told
        case ast.keyword(arg="problem" | "decode_error", value=told):
            return told
        case ast.Assign(targets=[ast.Attribute(attr="problem")], value=told):
            return told
        case ast.FunctionDef(name="problem", body=body):
            return body
    return None


def texts_in(nodes: ast.AST | list[ast.stmt] | None) -> Iterator[str]:
    for node in nodes if isinstance(nodes, list) else [nodes] if nodes else []:
        constants = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
        yield from (value for value in constants if isinstance(value, str))


# The page


def page() -> str:
    return PAGE.read_text("utf-8")


def section(title: str) -> str:
    """From this heading to the next."""
    return page().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_table_is_what_the_cases_show() -> None:
    found = TABLE.search(page())
    assert found is not None
    assert found[0] == table(), "run python -m tests.test_wire_docs"


@pytest.mark.parametrize("name", [wire_format.name for wire_format in FORMATS])
def test_the_page_says_what_counts_as_usage_in_each_format(name: str) -> None:
    assert f"`{name}`" in section("Usage")


def test_the_page_explains_exactly_the_decode_errors_there_are() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", section("Decode errors"), re.MULTILINE)
    assert sorted(explained) == sorted(decode_errors())


def test_decode_errors_of_every_origin_are_found() -> None:
    """Noted, noted on a condition, raised, returned, set, and what Shapes says by itself."""
    origins = {"form_cut", "event_cut", "websocket_broken", "content_encoding_unsupported", "decoder_failed"}
    assert origins | {"expansion_limit", "unexpected_shape"} <= decode_errors()


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), page()), "utf-8")

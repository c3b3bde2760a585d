"""The bytes of a file → its rows: CSV with a head, a JSON object a line, JSON with one list of objects.

A row that cannot be read is a Problem with its number, and the others are read.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import ConfigError

LARGEST_FIELD: Final = 16 * 2**20  # characters
MARKS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
NEVER_CLOSED: Final = "a quotation mark opens in it that nothing closes; what follows it is not read"


class Row(NamedTuple):
    """`number` counts as people do: the first row below a CSV's head is 1, the first line of JSON too."""

    number: int
    values: Mapping[str, Any]


class Problem(NamedTuple):
    """A row that is none."""

    number: int
    said: str


def rows_of_csv(text: str, path: Path) -> Iterator[Row | Problem]:
    """Of a `.tsv` by tabs; of a `.csv` by commas, or by semicolons where the head has no comma."""
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter_of(text, path), strict=True)
    number = 0
    head: list[str] | None = None
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Problem(number, NEVER_CLOSED if str(error) == "unexpected end of data" else str(error))
            continue
        if head is None:
            head = head_of(values, path)
            continue
        number += 1
        yield row_of(number, head, values)


def delimiter_of(text: str, path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    head = text.partition("\n")[0]
    return ";" if ";" in head and "," not in head else ","


def head_of(values: Sequence[str], path: Path) -> list[str]:
    names = [name.strip() for name in values]
    if any("\0" in name for name in names):
        raise ConfigError(f"{path}: is no UTF-8 text, its head holds NUL characters; save it as UTF-8")
    refuse_namesakes(names, path)
    return names


def refuse_namesakes(names: Sequence[str], path: Path) -> None:
    """Of two columns with one name only one could be evaluated, and nobody would know which."""
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ConfigError(
            *(f"{path}: more than one column is called {name!r}; give each a name of its own" for name in twice)
        )


def row_of(number: int, head: Sequence[str], values: Sequence[str]) -> Row | Problem:
    if not any(value.strip() for value in values):
        return Problem(number, "it is empty")
    if len(values) != len(head):
        return Problem(number, f"it has {len(values)} columns where the head has {len(head)}")
    if any("\0" in value for value in values):
        return Problem(number, "it holds a NUL character")
    return Row(number, dict(zip(head, values, strict=True)))


def text_of_file(data: bytes, path: Path) -> str:
    """UTF-8, or what its first bytes say; ConfigError with the row where it is neither."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        read = data[: error.start].decode(encoding, "ignore")
        row = sum(1 for _ in csv.reader(StringIO(read, newline=""))) - 1
        where = f"in row {row}" if row > 0 else "in its head"
        hint = older(data) if encoding == "utf-8" else ""
        raise ConfigError(f"{path}: is not {encoding} text {where}{hint}; save it as UTF-8") from None


def older(data: bytes) -> str:
    """What a text may be that is no Unicode; nothing in it says so."""
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return ", but may be Windows-1252 or Latin-1"


def rows_of_json_lines(data: bytes) -> Iterator[Row | Problem]:
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            yield row_of_json(number, line)


def row_of_json(number: int, line: bytes) -> Row | Problem:
    try:
        return row_of_value(number, json.loads(line))
    except UnicodeDecodeError:
        return Problem(number, "it is no UTF-8 text")
    except (ValueError, RecursionError):
        return Problem(number, "it is no JSON")


def row_of_value(number: int, value: Any) -> Row | Problem:
    if not isinstance(value, dict):
        return Problem(number, "it is no JSON object")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Problem(number, "it holds half a character, a surrogate without its other")
    return Row(number, value)


def rows_of_json(data: bytes, path: Path) -> Iterator[Row | Problem]:
    """The file is one list."""
    try:
        values = json.loads(data)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{path}: is no JSON{where}; an object a line is .jsonl") from None
    if not isinstance(values, list):
        raise ConfigError(f"{path}: must hold one list of objects, [{{…}}, …]; an object a line is .jsonl")
    return (row_of_value(number, value) for number, value in enumerate(values, start=1))

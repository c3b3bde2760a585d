"""A file of questions and answers → exchanges, as if they had just passed.

Columns are found by the names that people give them, or as `--map FIELD=COLUMN` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import ConfigError
from pipeline.records import Exchange, Http, Message, Part, Timing, TraceContext
from sidelight.parquet import rows_of_parquet
from sidelight.rows import Problem, Row, rows_of_csv, rows_of_json, rows_of_json_lines, text_of_file

# What an exchange can get from a column, and what such columns are called; in lower case, words joined by `_`.
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "query": ("query", "question", "prompt", "input", "user", "user_input", "instruction", "request"),
    "response": ("response", "answer", "output", "completion", "generated_text", "model_output", "prediction", "reply"),
    "ground_truth": (
        "ground_truth", "reference", "expected", "reference_output", "reference_answer", "expected_output", "ideal",
        "target",
    ),
    "context": ("context", "contexts", "retrieved_contexts", "documents", "knowledge", "passages"),
    "system": ("system", "system_prompt", "system_instructions"),
    "model": ("model", "model_name"),
    "finish_reason": ("finish_reason", "stop_reason"),
}  # fmt: skip
NEEDED: Final = ("query", "response")
KINDS: Final = ".csv, .tsv, .jsonl, .json or .parquet"


class Dataset(NamedTuple):
    """What is in a file."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    digest: str  # SHA-256 of the file, hex


def read_dataset(path: Path) -> Dataset:
    """All of the file; ConfigError when it is none that can be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    match path.suffix.lower():
        case ".csv" | ".tsv":
            found = list(rows_of_csv(text_of_file(data, path), path))
        case ".jsonl" | ".ndjson":
            found = list(rows_of_json_lines(data))
        case ".json":
            found = list(rows_of_json(data, path))
        case ".parquet":
            found = list(rows_of_parquet(data, path))
        case other:
            raise ConfigError(f"{path}: {other or 'a file without an ending'} is not read; give {KINDS}")
    rows = tuple(each for each in found if isinstance(each, Row))
    problems = tuple(each for each in found if isinstance(each, Problem))
    columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    if not rows:
        said = f"; {problems[0].said}, in row {problems[0].number}" if problems else ""
        raise ConfigError(f"{path}: there is no row to evaluate{said}")
    return Dataset(columns, rows, problems, sha256(data).hexdigest())


def mapping_of(columns: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Field → column: as given, else by the columns' names. ConfigError before anything is evaluated."""
    problems = [
        f"--map {field}={column}: there is no field {field!r}; {nearest(field, FIELDS)}"
        for field, column in given.items()
        if field not in FIELDS
    ]
    problems += [
        f"--map {field}={column}: there is no column {column!r}; {nearest(column, columns)}"
        for field, column in given.items()
        if field in FIELDS and column not in columns
    ]
    if problems:
        raise ConfigError(*problems)
    free = {plain(column): column for column in reversed(columns) if column not in given.values()}
    found = {
        field: free[name]
        for field, names in FIELDS.items()
        if field not in given
        for name in [next((name for name in names if name in free), None)]
        if name is not None
    }
    mapping = {**found, **given}
    if missing := [field for field in NEEDED if field not in mapping]:
        raise ConfigError(
            *(f"no column is known to be the {field}; say --map {field}=COLUMN, one of {listed(columns)}"
              for field in missing)
        )  # fmt: skip
    return mapping


def plain(column: str) -> str:
    return "_".join(column.lower().replace("-", " ").replace("_", " ").split())


def nearest(word: str, words: Sequence[str] | Mapping[str, Any]) -> str:
    close = get_close_matches(word, words, 1)
    return f"did you mean {close[0]}?" if close else f"there are {listed(words)}"


def listed(words: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(words)


def exchange_of(row: Row, mapping: Mapping[str, str]) -> Exchange:
    """A chat that said this; without times, since nobody measured any."""
    told = {field: row.values.get(column) for field, column in mapping.items()}
    system, reason = as_text(told.get("system")), as_text(told.get("finish_reason"))
    return Exchange(
        id=f"{row.number:032x}",
        trace=TraceContext("0" * 32, "0" * 16, "0" * 16, sampled=False),
        upstream="file",
        http=Http("POST", "/", None, "http", "1.1", 200, "", 0, "", 0, 0, 0),
        timing=Timing(0, None, None, 0),
        wire="file",
        operation="chat",
        request_model=as_text(told.get("model")) or None,
        system_instructions=(Part("text", content=system),) if system else (),
        input_messages=(Message("user", (Part("text", content=as_text(told["query"])),)),),
        output_messages=(
            Message("assistant", (Part("text", content=as_text(told["response"])),), finish_reason=reason or None),
        ),
        context=tuple(filter(None, map(as_text, as_list(told.get("context"))))),
        context_source="file",
        ground_truth=as_text(told.get("ground_truth")) or None,
    )


def row_number(exchange: Exchange) -> int:
    """Which row became this exchange."""
    return int(exchange.id, 16)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_list(value: Any) -> list[Any]:
    """A list as it is, in JSON or not; a text alone is a list of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]
    return value if isinstance(value, list) else [value]

"""The rows of a Parquet file, with pyarrow, which is installed for who asks: `pip install 'sidelight[parquet]'`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ConfigError
from sidelight.rows import Problem, Row, refuse_namesakes

BATCH: Final = 1024  # rows made Python's at a time


def rows_of_parquet(data: bytes, path: Path) -> Iterator[Row | Problem]:
    """Texts, numbers and lists as they are, other values as they are written; ConfigError when it is none."""
    if find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet needs pyarrow, which is not installed: pip install pyarrow, or give a .csv")
    parquet = import_module("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(BytesIO(data))
        refuse_namesakes(file.schema_arrow.names, path)
        batches = list(file.iter_batches(BATCH))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: is no Parquet that can be read: {first_sentence(error)}") from None
    number = 0
    for batch in batches:
        for index in range(batch.num_rows):
            number += 1
            yield row_of_batch(number, batch, index)


def row_of_batch(number: int, batch: Any, index: int) -> Row | Problem:
    try:
        values = {name: as_json(batch[name][index].as_py()) for name in batch.schema.names}
    except (UnicodeDecodeError, ValueError, OverflowError):
        return Problem(number, "it holds a value that is no text, number, time or list")
    if all(value is None or value == "" for value in values.values()):
        return Problem(number, "it is empty")
    return Row(number, values)


def as_json(value: Any) -> Any:
    """What JSON has, as it is; `nan` is how a column of numbers says that there is none."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return None if isnan(value) else value
        case bytes():
            return value.decode()
        case list() | tuple():
            return [as_json(each) for each in value]
        case dict():
            return {str(name): as_json(each) for name, each in value.items()}
        case _:
            return str(value)


def first_sentence(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__

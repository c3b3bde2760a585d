"""Parquet as pandas and Arrow write it, and what only has its name."""

from __future__ import annotations

import datetime
import io
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sidelight.dataset import exchange_of, mapping_of, read_dataset
from sidelight.parquet import rows_of_parquet
from sidelight.rows import Problem, Row

FILE = Path("data.parquet")


def parquet(table: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def rows_of(columns: dict[str, Any]) -> list[Row | Problem]:
    return list(rows_of_parquet(parquet(pyarrow.table(columns)), FILE))


def test_a_row_becomes_the_exchange_that_a_csv_would_give(tmp_path: Path) -> None:
    data = {"Question": ["How many?"], "Answer": ["Three."], "contexts": [["one", "two"]]}
    (tmp_path / "data.parquet").write_bytes(parquet(pyarrow.table(data)))
    dataset = read_dataset(tmp_path / "data.parquet")
    exchange = exchange_of(dataset.rows[0], mapping_of(dataset.columns, {}))
    assert exchange.context == ("one", "two")
    assert exchange.input_messages[0].parts[0].content == "How many?"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (float("nan"), None),
        (b"bytes", "bytes"),
        (Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ([{"id": 1, "score": 0.5}], [{"id": 1, "score": 0.5}]),
        (True, True),
    ],
)
def test_values_are_as_json_has_them(value: Any, read: Any) -> None:
    assert rows_of({"q": ["x"], "v": [value]}) == [Row(1, {"q": "x", "v": read})]


def test_texts_in_a_dictionary_are_texts() -> None:
    (row,) = rows_of({"q": pyarrow.array(["a"]).dictionary_encode()})
    assert row == Row(1, {"q": "a"})


def test_a_row_that_is_none_is_told_by_its_number() -> None:
    found = rows_of({"q": ["a", None, "c"], "v": [b"a", None, b"\xff"]})
    assert [type(each) for each in found] == [Row, Problem, Problem]
    assert [each.number for each in found] == [1, 2, 3]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3000))
def test_every_row_is_read_in_order(texts: list[str]) -> None:
    assert rows_of({"q": texts}) == [Row(number, {"q": text}) for number, text in enumerate(texts, start=1)]


@pytest.mark.parametrize("data", [b"", b"question,answer\n", parquet(pyarrow.table({"q": ["a"]}))[:-9], b"PAR1" * 9])
def test_what_is_no_parquet_is_one_sentence(data: bytes) -> None:
    with pytest.raises(ConfigError, match="is no Parquet that can be read") as refused:
        list(rows_of_parquet(data, FILE))
    assert "\n" not in str(refused.value)


def test_two_columns_with_one_name_are_refused() -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["q", "q"])
    with pytest.raises(ConfigError, match="more than one column is called 'q'"):
        list(rows_of_parquet(parquet(table), FILE))


def test_without_pyarrow_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        list(rows_of_parquet(b"", FILE))

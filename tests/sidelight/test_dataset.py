"""Files as people have them, and their columns by whatever name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.records import text_of
from sidelight.dataset import Dataset, exchange_of, mapping_of, read_dataset
from sidelight.rows import Problem, rows_of_json_lines

CSV = "Question,Answer,Reference\nHow many?,Three.,3\n"


def written(tmp_path: Path, content: str | bytes, name: str = "data.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(tmp_path: Path, content: str | bytes, name: str = "data.csv") -> Dataset:
    return read_dataset(written(tmp_path, content, name))


def refusal(tmp_path: Path, content: str | bytes, name: str = "data.csv") -> str:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, content, name)
    return str(refused.value)


def test_a_row_becomes_a_chat_that_said_this(tmp_path: Path) -> None:
    dataset = read(tmp_path, CSV)
    exchange = exchange_of(dataset.rows[0], mapping_of(dataset.columns, {}))
    assert text_of(exchange.input_messages) == "How many?"
    assert text_of(exchange.output_messages) == "Three."
    assert (exchange.ground_truth, exchange.operation, exchange.timing.ended_at) == ("3", "chat", 0)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (CSV.replace(",", "\t"), "data.tsv"),
        ('{"Question": "How many?", "Answer": "Three.", "Reference": "3"}\n', "data.jsonl"),
        ('[\n {"Question": "How many?", "Answer": "Three.", "Reference": "3"}\n]', "data.json"),
        (CSV.replace(",", ";"), "data.csv"),
        (CSV.encode("utf-8-sig"), "data.csv"),
        (CSV.encode("utf-16"), "data.csv"),
        (CSV.replace("\n", "\r\n"), "data.csv"),
    ],
)
def test_the_same_in_other_clothes_is_the_same(tmp_path: Path, content: str | bytes, name: str) -> None:
    assert read(tmp_path, content, name).rows == read(tmp_path, CSV).rows


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("question,answer\n", "data.csv", "no row"),
        ("", "data.csv", "no row"),
        ("[]\n", "data.jsonl", "it is no JSON object, in row 1"),
        ("[]\n", "data.json", "no row"),
        ("a", "data.xlsx", ".xlsx is not read"),
        ("a", "data", "without an ending"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: str | bytes, name: str, said: str) -> None:
    assert said in refusal(tmp_path, content, name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_dataset(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("columns", "query", "response"),
    [
        (["Question", "Answer"], "Question", "Answer"),
        (["user input", "Model-Output", "x"], "user input", "Model-Output"),
        (["prompt", "input", "completion"], "prompt", "completion"),
    ],
)
def test_columns_are_found_by_what_people_call_them(columns: list[str], query: str, response: str) -> None:
    mapping = mapping_of(columns, {})
    assert (mapping["query"], mapping["response"]) == (query, response)


def test_what_is_given_goes_before_what_is_found() -> None:
    mapping = mapping_of(["question", "answer", "Reference", "mine"], {"response": "mine", "ground_truth": "answer"})
    assert mapping == {"query": "question", "response": "mine", "ground_truth": "answer"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"response": "Anser"}, "no column 'Anser'; did you mean Answer?"),
        ({"response": "x"}, "there are Question, Answer"),
        ({"respons": "Answer"}, "no field 'respons'; did you mean response?"),
    ],
)
def test_a_wrong_name_fails_before_anything_is_evaluated(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        mapping_of(["Question", "Answer"], given)
    assert said in str(refused.value)


def test_a_column_that_nobody_can_guess_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="--map response=COLUMN, one of question, zzz"):
        mapping_of(["question", "zzz"], {})


@pytest.mark.parametrize(
    ("value", "documents"),
    [
        ("one text", ("one text",)),
        ('["a", "b"]', ("a", "b")),
        (["a", {"b": 1}], ("a", '{"b": 1}')),
        ("[broken", ("[broken",)),
        (None, ()),
    ],
)
def test_context_is_one_text_or_a_list(value: Any, documents: tuple[str, ...]) -> None:
    (row,) = rows_of_json_lines(json.dumps({"query": "q", "response": "r", "context": value}).encode())
    assert not isinstance(row, Problem)
    assert exchange_of(row, {"query": "query", "response": "response", "context": "context"}).context == documents

"""Odd files: heads, encodings, quotes and rows, each told with its number."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sidelight.rows import NEVER_CLOSED, Problem, Row, rows_of_csv, rows_of_json, rows_of_json_lines, text_of_file

HEAD = "question,answer\n"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def read(text: str, name: str = "data.csv") -> list[Row | Problem]:
    return list(rows_of_csv(text, Path(name)))


def refusal(data: bytes, name: str = "data.csv") -> str:
    with pytest.raises(ConfigError) as refused:
        read(text_of_file(data, Path(name)), name)
    return str(refused.value)


@pytest.mark.parametrize("field", ['a, "b"\nc', "é 🙂", "one\u2028two", "one\x0ctwo\x85three", "a\r\nb", " ", '"'])
def test_whatever_is_within_a_field_is_kept(field: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("question", "answer"), (field, "x")])
    assert read(out.getvalue()) == [Row(1, {"question": field, "answer": "x"})]


@given(st.lists(st.tuples(TEXTS, TEXTS.filter(str.strip)), max_size=5))
def test_what_is_written_as_csv_is_read_again(pairs: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("question", "answer"), *pairs])
    assert [list(row.values.values()) for row in read(out.getvalue()) if isinstance(row, Row)] == list(map(list, pairs))


def test_a_row_that_is_none_is_told_by_its_number_and_the_others_are_read() -> None:
    assert read(HEAD + "a,b\n\n,\nc\nd,e,f\ng,\0\nh,i\n") == [
        Row(1, {"question": "a", "answer": "b"}),
        Problem(2, "it is empty"),
        Problem(3, "it is empty"),
        Problem(4, "it has 1 columns where the head has 2"),
        Problem(5, "it has 3 columns where the head has 2"),
        Problem(6, "it holds a NUL character"),
        Row(7, {"question": "h", "answer": "i"}),
    ]


def test_a_quote_that_is_never_closed_is_told_where_it_opens() -> None:
    found = read(HEAD + 'a,b\nc,"d\ne,f\ng,h\n')
    assert found[1:] == [Problem(2, NEVER_CLOSED)]


def test_text_behind_a_closed_quote_is_told_and_the_next_row_is_read() -> None:
    first, second = read(HEAD + 'a,"b"c\nd,e\n')
    assert (first.number, isinstance(first, Problem), isinstance(second, Row)) == (1, True, True)


def test_a_field_that_is_too_large_is_told() -> None:
    (found,) = read(HEAD + f"a,{'b' * (16 * 2**20 + 1)}\n")
    assert isinstance(found, Problem)
    assert "larger than field limit" in found.said


def test_semicolons_divide_where_the_head_has_no_comma() -> None:
    assert read("question;answer\na, b;c\n") == [Row(1, {"question": "a, b", "answer": "c"})]
    assert read("question,a;b\nc,d;e\n") == [Row(1, {"question": "c", "a;b": "d;e"})]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"question,answer\na,b\nc,\xff\n", "is not utf-8 text in row 2"),
        (b'question,answer\n"a\nb\nc",d\ne,\xff\n', "in row 2"),
        (b"quest\xffion,answer\na,b\n", "in its head"),
        ("question,answer\na,é\n".encode("latin-1"), "may be Windows-1252 or Latin-1; save it as UTF-8"),
        (b"question,answer\na,\x81\n", "in row 1; save it as UTF-8"),
        ("question,answer\na,b\n".encode("utf-16") + b"\0", "is not utf-16 text"),
        ("question,answer\na,b\n".encode("utf-16-le"), "holds NUL characters; save it as UTF-8"),
        ("question,answer\na,b\n".encode("utf-32"), "holds NUL characters; save it as UTF-8"),
        (b"answer,question,answer\na,b,c\n", "more than one column is called 'answer'"),
    ],
)
def test_a_file_that_can_only_be_misread_is_one_sentence(data: bytes, said: str) -> None:
    assert said in refusal(data)


def test_columns_without_a_name_may_be_many() -> None:
    (row,) = read("question,answer,,\na,b,,\n")
    assert isinstance(row, Row)


def test_lines_that_are_no_objects_are_told_by_their_number() -> None:
    lines = [b'{"q": 1}', b"", b'{"q": ', b"[1]", b"[" * 100_000, b'{"q": "\xe9"}', b'{"q": "\\ud800"}', b'{"q": 2}']
    found = list(rows_of_json_lines(b"\n".join(lines)))
    assert [(row.number, row.values["q"]) for row in found if isinstance(row, Row)] == [(1, 1), (8, 2)]
    assert [(each.number, each.said) for each in found if isinstance(each, Problem)] == [
        (3, "it is no JSON"),
        (4, "it is no JSON object"),
        (5, "it is no JSON"),
        (6, "it is no UTF-8 text"),
        (7, "it holds half a character, a surrogate without its other"),
    ]


def test_a_list_is_read_item_by_item() -> None:
    found = list(rows_of_json(b'[{"q": "a"}, 5, {"q": "b"}]', Path("x.json")))
    assert found == [Row(1, {"q": "a"}), Problem(2, "it is no JSON object"), Row(3, {"q": "b"})]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"q": 1}\n{"q": 2}\n', "is no JSON in line 2; an object a line is .jsonl"),
        (b'{"q": 1}', "must hold one list of objects"),
        (b'["\xff"]', "is no UTF-8 text"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_json_that_is_no_list_is_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        rows_of_json(data, Path("x.json"))
    assert said in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    list(rows_of_json_lines(data))
    with suppress(ConfigError):
        list(rows_of_json(data, Path("x.json")))
    with suppress(ConfigError):
        list(rows_of_csv(text_of_file(data, Path("x.csv")), Path("x.csv")))


@given(st.text(st.characters(categories=["Cs", "L"])))
def test_only_what_can_be_sent_on_is_read(text: str) -> None:
    (found,) = rows_of_json_lines(json.dumps({"q": text}).encode())
    if isinstance(found, Row):
        assert found.values["q"].encode().decode() == found.values["q"]
    else:
        assert any("\ud800" <= each <= "\udfff" for each in text)

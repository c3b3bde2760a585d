"""Forms: fields as text, files as parts; whatever is cut or broken is read as far as it goes."""

from __future__ import annotations

import hashlib
from time import perf_counter

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Part
from wire.multipart import MAX_HEAD, MAX_PARTS, fields_of
from wire.shapes import Shapes

TYPE = "multipart/form-data; boundary=edge"
PNG = b"\x89PNG\r\n\x1a\n\x00\x01"
FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-image-2\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="image[]"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PNG + b"\r\n"
    b"--edge--\r\n"
)


def read(data: bytes, content_type: str = TYPE) -> tuple[dict[str, object], str | None]:
    shapes = Shapes()
    return fields_of(data, content_type, shapes), shapes.problem


def field(name: str, content: bytes, more: str = "") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n{more}\r\n'.encode() + content + b"\r\n"


def the_image(mime_type: str = "image/png") -> Part:
    digest = hashlib.sha256(PNG).hexdigest()
    return Part("blob", modality="image", mime_type=mime_type, size=len(PNG), digest=digest)


def test_fields_are_text_and_files_are_blobs() -> None:
    assert read(FORM) == ({"model": "gpt-image-2", "image": [the_image()]}, None)


def test_the_name_of_a_file_is_dropped() -> None:
    assert "a.png" not in repr(read(FORM))


def test_repeated_names_are_a_list() -> None:
    form = field("include", b"a") + field("include", b"b") + field("granularities[]", b"word") + b"--edge--"
    assert read(form) == ({"include": ["a", "b"], "granularities": ["word"]}, None)


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ("Content-Type: text/plain; charset=utf-8\r\n", "\u00e9"),
        ("Content-Type: application/json\r\n", "\u00e9"),
        ("CONTENT-TYPE: Audio/WAV\r\n", "audio"),
        ("Content-Type: application/octet-stream\r\n", "document"),
    ],
)
def test_without_a_file_name_the_type_tells(more: str, value: str) -> None:
    fields, problem = read(field("x", b"\xc3\xa9", more) + b"--edge--")
    got = fields["x"]
    assert (got.modality if isinstance(got, Part) else got, problem) == (value, None)


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="edge"',
        "multipart/form-data;boundary=edge",
        "Multipart/Form-Data; charset=utf-8; BOUNDARY=edge; x=y",
    ],
)
def test_boundary_is_found_in_any_spelling(content_type: str) -> None:
    assert read(FORM, content_type)[1] is None


def test_quoted_names_are_unquoted() -> None:
    form = b'--edge\r\nContent-Disposition: form-data; filename="name=\\"no\\".txt"; name="a\\"b"\r\n\r\nx\r\n--edge--'
    assert list(read(form)[0]) == ['a"b']


def test_preamble_epilogue_and_padding_are_no_parts() -> None:
    form = b"hello\r\n" + FORM.replace(b"--edge\r\n", b"--edge \t\r\n") + b"\r\nbye\r\n--edge\r\n"
    assert read(form) == read(FORM)


def test_what_only_looks_like_a_boundary_is_content() -> None:
    content = b" --edge\r\n\n--edge\r\n\r\n--edges\r\n-- edge"
    assert read(field("x", content) + b"--edge--") == ({"x": content.decode()}, None)


def test_cut_text_is_kept_as_far_as_it_came() -> None:
    assert read(field("a", b"1") + field("b", b"two")[:-4]) == ({"a": "1", "b": "t"}, "form_cut")


def test_cut_file_has_neither_size_nor_digest() -> None:
    fields, problem = read(FORM[:-15])
    assert fields["image"] == [Part("blob", modality="image", mime_type="image/png")]
    assert problem == "form_cut"


@pytest.mark.parametrize(
    ("data", "content_type", "problem"),
    [
        (FORM, "multipart/form-data", "form_broken"),
        (FORM, "multipart/form-data; boundary=", "form_broken"),
        (FORM, "multipart/form-data; boundary=" + "x" * 300, "form_broken"),
        (FORM, "multipart/form-data; boundary=other", "form_cut"),
        (b"", TYPE, "form_cut"),
        (b"--edge\r\n\r\n\r\nx\r\n--edge--", TYPE, "form_broken"),
        (b"--edge\r\n--edge--", TYPE, "form_broken"),
        (b"--edge\r\nnonsense\r\n--edge--", TYPE, "form_broken"),
        (field("x", b"1", "X: " + "y" * MAX_HEAD + "\r\n") + b"--edge--", TYPE, "form_broken"),
        (field("x", b"1") * (MAX_PARTS + 1) + b"--edge--", TYPE, "form_broken"),
    ],
)
def test_what_is_no_form_is_named(data: bytes, content_type: str, problem: str) -> None:
    assert read(data, content_type)[1] == problem


def test_an_empty_form_is_whole() -> None:
    assert read(b"--edge--\r\n") == ({}, None)


def test_every_cut_is_a_beginning() -> None:
    whole, _ = read(FORM)
    for length in range(len(FORM)):
        fields, problem = read(FORM[:length])
        closed = FORM[:length].endswith((b"--edge--", b"--edge--\r"))
        assert problem == (None if closed else "form_cut")
        assert str(whole["model"]).startswith(str(fields.get("model", "")).rstrip("\r\n-edg"))


@given(st.binary(max_size=300), st.text(max_size=60))
def test_any_bytes_never_raise(data: bytes, content_type: str) -> None:
    assert read(data)[1] in (None, "form_cut", "form_broken")
    assert read(b"--edge\r\n" + data + b"\r\n--edge--")[1] in (None, "form_cut", "form_broken")
    read(data, "multipart/form-data;" + content_type)


@given(st.dictionaries(st.text("abc[]_\u00e9", min_size=1), st.text() | st.binary(), min_size=1, max_size=4))
def test_what_a_client_sends_is_read(values: dict[str, str | bytes]) -> None:
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    files = {name: ("f", value) for name, value in values.items() if isinstance(value, bytes)}
    request = httpx2.Request("POST", "http://host/", data=texts, files=files or {"": ("f", b"")})
    fields, problem = read(request.read(), request.headers["content-type"])
    assert problem is None
    for name, value in values.items():
        got = fields[name.removesuffix("[]")]
        first = got if isinstance(got, list) else [got]
        assert any(
            each == value if isinstance(value, str) else getattr(each, "size", None) == len(value) for each in first
        )


def test_large_files_are_read_fast() -> None:
    form = field("file", b"\r\n--edg" * 2**20, "Content-Type: audio/wav\r\n") + b"--edge--"
    began = perf_counter()
    fields, _ = read(form)
    assert fields["file"].size == 7 * 2**20  # type: ignore[attr-defined]
    assert perf_counter() - began < 5

"""Forms as uploads send them (RFC 7578): fields as text, files as parts that keep their size and digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pipeline.records import Part
from wire.media import blob_of_bytes
from wire.shapes import Shapes

MAX_PARTS: Final = 256
MAX_HEAD: Final = 8192  # bytes, of one part
MAX_BOUNDARY: Final = 256  # characters; RFC 2046 allows 70

_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]++))')
_ESCAPED = re.compile(r'\\(["\\])')


class _FormPart(NamedTuple):
    """One part of a form, its headers by lower-case name."""

    headers: dict[str, str]
    content: bytes
    cut: bool  # its end is missing


def fields_of(data: bytes, content_type: str, shapes: Shapes) -> dict[str, Any]:
    """The fields by name: text as str, files as blob parts; of `name[]` or a repeated name, a list.

    Notes form_cut where the end is missing (a cut file has neither size nor digest) and form_broken where the rest is
    no form.
    """
    fields: dict[str, Any] = {}
    for part in _parts(data, content_type, shapes):
        disposition = _parameters(part.headers.get("content-disposition", ""))
        name = disposition.get("name")
        if name is None:
            shapes.note("form_broken")
            continue
        _add(fields, name, _value(part, "filename" in disposition))
    return fields


def _add(fields: dict[str, Any], name: str, value: str | Part) -> None:
    key = name.removesuffix("[]")
    if key in fields:
        known = fields[key]
        fields[key] = [*known, value] if type(known) is list else [known, value]
    else:
        fields[key] = value if key == name else [value]


def _value(part: _FormPart, named_file: bool) -> str | Part:
    """A file has a file's name, or a type that text does not have."""
    kind = part.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not named_file and (not kind or kind.startswith("text/") or kind == "application/json"):
        return part.content.decode("utf-8", "replace")
    family = kind.partition("/")[0]
    modality = family if family in ("image", "audio", "video") else "document"
    if part.cut:
        return Part("blob", modality=modality, mime_type=kind or None)
    return blob_of_bytes(modality, kind or None, part.content)


def _parts(data: bytes, content_type: str, shapes: Shapes) -> Iterator[_FormPart]:
    """What stands between the boundaries; what comes before the first and after the last is not of the form."""
    boundary = _parameters(content_type).get("boundary", "")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        shapes.note("form_broken")
        return
    line = re.compile(rb"\r\n--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?:\r\n|\r?\Z)")
    data = b"\r\n" + data
    mark = line.search(data)
    for _ in range(MAX_PARTS):
        if mark is None or mark[1]:
            break
        following = line.search(data, mark.end() - 2)  # this line's end may begin the next
        part = _part(data[mark.end() : following.start() if following else len(data)], following is None)
        if part:
            yield part
        elif following:
            shapes.note("form_broken")
        mark = following
    if mark is None or not mark[1]:
        shapes.note("form_broken" if mark else "form_cut")


def _part(raw: bytes, cut: bool) -> _FormPart | None:
    head, end, content = raw.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD or not end:
        return None
    lines = [line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n")]
    return _FormPart({name.strip().lower(): value.strip() for name, _, value in lines}, content, cut)


def _parameters(value: str) -> dict[str, str]:
    """What a header's value says after its first semicolon."""
    found = _PARAMETER.finditer(value[:MAX_HEAD])
    return {match[1].lower(): _ESCAPED.sub(r"\1", match[2] or match[3] or "") for match in found}

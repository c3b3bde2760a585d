"""What is known already of a file's rows, kept in a file of its own, so that a run that was ended can go on.

The first line says what the outcomes are of; every other one is a row with what each evaluator said. A last line that
was cut short is dropped, and its row is evaluated again.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from pipeline.errors import ConfigError
from pipeline.records import LedgerEntry

Entries: TypeAlias = tuple[LedgerEntry, ...]

REMEDY: Final = "name another file, or delete this one to begin anew"


class Header(Struct, frozen=True):
    """All that the outcomes depend on."""

    sidelight: str  # version
    sha256: str  # of the file
    columns: Mapping[str, str]
    processors: Mapping[str, str]  # id → digest of its options: a key may be among them


class Line(Struct, frozen=True):
    """One row."""

    row: int
    entries: Entries


class Outcomes(dict[int, Entries]):
    """Row → entries. What is set is also written; what cannot be written is told in `failure`, and no row is lost."""

    def __init__(self, known: Mapping[int, Entries] | None = None, file: FileIO | None = None) -> None:
        super().__init__(known or {})
        self._file = file
        self.failure: str | None = None

    def __setitem__(self, row: int, entries: Entries) -> None:
        super().__setitem__(row, entries)
        if self._file and not self.failure:
            self._write(self._file, msgspec.json.encode(Line(row, entries)) + b"\n")

    def _write(self, file: FileIO, line: bytes) -> None:
        try:
            if file.write(line) < len(line):
                self.failure = "there is no room"
        except OSError as error:
            self.failure = error.strerror


def digests_of(processors: Mapping[str, Any]) -> dict[str, str]:
    """Id → SHA-256 of the options."""
    texts = {identity: json.dumps(options, sort_keys=True, default=str) for identity, options in processors.items()}
    return {identity: sha256(text.encode()).hexdigest() for identity, text in texts.items()}


@contextmanager
def outcomes_in(path: Path, header: Header) -> Iterator[Outcomes]:
    """Those there are, and a place for those to come; ConfigError when they are of something else."""
    with locked(path) as file:
        file.seek(0)
        data = file.readall()
        known = read_outcomes(data, header, path) if data else {}
        file.truncate(data.rfind(b"\n") + 1)
        if not data:
            file.write(msgspec.json.encode(header) + b"\n")
        yield Outcomes(known, file)


@contextmanager
def locked(path: Path) -> Iterator[FileIO]:
    """Open to read and to append, unbuffered; for one run at a time."""
    try:
        file = FileIO(path, "a+")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{path}: another run writes there; let it end, or name another file") from None
        yield file


def read_outcomes(data: bytes, header: Header, path: Path) -> dict[int, Entries]:
    """Row → entries of every whole line."""
    first, *lines = data[: data.rfind(b"\n") + 1].splitlines() or [b""]
    try:
        begun = msgspec.json.decode(first, type=Header)
        found = [msgspec.json.decode(line, type=Line) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"{path}: is not what an earlier run has left; {REMEDY}") from None
    if differing := differences(begun, header):
        raise ConfigError(f"{path}: was begun with another {' and another '.join(differing)}; {REMEDY}")
    return {line.row: line.entries for line in found}


def differences(begun: Header, now: Header) -> list[str]:
    """What the outcomes were made with that is not so now, in words."""
    changed = [name for name, _ in begun.processors.items() ^ now.processors.items()]
    return [
        *(["Sidelight"] if begun.sidelight != now.sidelight else []),
        *(["file"] if begun.sha256 != now.sha256 else []),
        *(["mapping of columns"] if begun.columns != now.columns else []),
        *(f"processors.{name}" for name in sorted(set(changed))),
    ]

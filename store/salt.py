"""The salt of every hash of a user: made once, kept beside the store, so that a user is the same after a restart."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from secrets import token_bytes
from typing import Final

from pipeline.errors import ConfigError

SIZE: Final = 32  # bytes
REMEDY: Final = "or set processors.identify.salt"


def salt_beside(path: str) -> bytes:
    """The 32 bytes in `<path>.salt`, made when there is no such file; fresh ones for `:memory:`.

    Of several processes that begin at a time all get the same. Raises ConfigError when it cannot be read or written.
    """
    if path == ":memory:":
        return token_bytes(SIZE)
    file = Path(f"{path}.salt")
    try:
        salt = _kept(file) or _made(file)
    except OSError as error:
        raise ConfigError(
            f"exporters.store.path: cannot keep a salt in {file}: {error.strerror}; "
            f"the file must be readable and its folder writable, {REMEDY}"
        ) from None
    if len(salt) != SIZE:
        raise ConfigError(
            f"exporters.store.path: {file} holds {len(salt)} bytes, not the {SIZE} of a salt; "
            f"put the right file back, or delete it, which makes every user a new one, {REMEDY}"
        )
    return salt


def _kept(file: Path) -> bytes:
    """What is in the file; nothing where there is none, or one that another process has only just made."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _made(file: Path) -> bytes:
    """Fill the file, unless another process has while this one waited for the lock."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        salt = handle.read()
        if not salt:
            salt = token_bytes(SIZE)
            handle.write(salt)
            handle.flush()
            os.fsync(handle.fileno())
        return salt

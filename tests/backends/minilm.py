"""The real model, where scripts/fetch-model has put it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

from processors import embeddings

FOLDER = Path(__file__).parents[2] / ".backends" / "minilm"


@contextmanager
def installed() -> Iterator[None]:
    """As if it were installed beside Sidelight."""
    sys.path.append(str(FOLDER))
    forget()
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))
        forget()


def forget() -> None:
    """What was found out about the model."""
    invalidate_caches()
    embeddings.folder.cache_clear()
    embeddings._loaded.cache_clear()

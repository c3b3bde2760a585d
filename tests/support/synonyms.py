"""A model of meaning that anybody can check: words of one group mean the same, all others nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from processors import embeddings


class Synonyms:
    """Each group is a direction; a text's vector counts the words of each."""

    def __init__(self, *groups: str) -> None:
        self._groups = [group.split() for group in groups]
        self.read: list[str] = []

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        counts = [[sum(text.lower().count(word) for word in group) for group in self._groups] for text in texts]
        rows = np.array(counts, np.float32).reshape(len(texts), len(self._groups))
        lengths: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.maximum(lengths, 1)


def install(monkeypatch: pytest.MonkeyPatch, *groups: str) -> Synonyms:
    """As if it were the model on this machine."""
    model = Synonyms(*groups)
    monkeypatch.setattr(embeddings, "folder", lambda: embeddings.Path())
    monkeypatch.setattr(embeddings, "_loaded", lambda: model)
    return model


def uninstall(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were no model."""
    monkeypatch.setattr(embeddings, "folder", lambda: None)

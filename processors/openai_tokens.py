"""OpenAI's own tokenizer, where tiktoken and its files are installed; never fetched."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

Count: TypeAlias = Callable[[str], int]

FOLDER: Final = "TIKTOKEN_CACHE_DIR"  # tiktoken's own variable; it takes the folder from nowhere else
FILES: Final = {  # encoding → its file's name in that folder, and the file's SHA-256
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}

logger = logging.getLogger(__name__)


class OpenAITokens:
    """Counts as OpenAI does for its models. An encoding takes 0.3 s and 60 MB, so each is loaded at its first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: dict[str, Count | None] = {}

    def count_for(self, model: str) -> Count | None:
        """Text → tokens for this model; None where its encoding is not known or not there."""
        try:
            encoding = import_module("tiktoken.model").encoding_name_for_model(model.rpartition("/")[2])
        except KeyError:
            return None
        if encoding not in self._counts:
            self._counts[encoding] = self._load(encoding)
        return self._counts[encoding]

    def _load(self, encoding: str) -> Count | None:
        if not is_whole(self._folder, encoding):
            return None
        os.environ.setdefault(FOLDER, str(self._folder))  # noqa: TID251
        try:
            encode = import_module("tiktoken").get_encoding(encoding).encode_ordinary
        except Exception as error:  # whatever is wrong with an optional library, the estimate remains
            logger.warning("tokens of OpenAI's models are estimated: tiktoken failed: %s", type(error).__name__)
            return None
        return lambda text: len(encode(text))


def find_openai_tokens() -> OpenAITokens | None:
    """The tokenizer, if tiktoken is installed and its files are in TIKTOKEN_CACHE_DIR or come with litellm."""
    if find_spec("tiktoken") is None:
        return None
    named = os.environ.get(FOLDER)  # noqa: TID251
    folder = Path(named) if named else folder_in_litellm()
    return OpenAITokens(folder) if folder and folder.is_dir() else None


def folder_in_litellm() -> Path | None:
    """Where a litellm package keeps the files; it is not imported for that."""
    package = find_spec("litellm")
    return Path(package.origin).parent / "litellm_core_utils" / "tokenizers" if package and package.origin else None


def is_whole(folder: Path, encoding: str) -> bool:
    """Is this encoding's file there, as tiktoken wants it? One that is not it would delete, and fetch."""
    name, digest = FILES.get(encoding, ("", ""))
    try:
        return bool(name) and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    except OSError:
        return False

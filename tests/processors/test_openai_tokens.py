from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from processors import openai_tokens
from processors.openai_tokens import FOLDER, OpenAITokens, find_openai_tokens, is_whole


class Tiktoken(ModuleType):
    """What is used of tiktoken; one token for each word."""

    def __init__(self) -> None:
        super().__init__("tiktoken")
        self.loaded: list[str] = []

    def get_encoding(self, name: str) -> Tiktoken:
        self.loaded.append(name)
        return self

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()

    def encoding_name_for_model(self, model: str) -> str:
        return {"gpt-4o": "o200k_base", "gpt-4": "cl100k_base", "davinci": "p50k_base"}[model]


@pytest.fixture
def tiktoken(monkeypatch: pytest.MonkeyPatch) -> Tiktoken:
    module = Tiktoken()
    monkeypatch.setitem(sys.modules, "tiktoken", module)
    monkeypatch.setitem(sys.modules, "tiktoken.model", module)
    monkeypatch.setenv(FOLDER, "")  # what is set on the way is taken back only where something was set before
    monkeypatch.delenv(FOLDER)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a file for one of the two encodings."""
    (tmp_path / "ranks").write_bytes(b"IQ== 0")
    digest = hashlib.sha256(b"IQ== 0").hexdigest()
    monkeypatch.setattr(openai_tokens, "FILES", {"o200k_base": ("ranks", digest), "cl100k_base": ("gone", digest)})
    return tmp_path


def test_a_model_is_counted_by_its_encoding_which_is_loaded_once(tiktoken: Tiktoken, folder: Path) -> None:
    tokens = OpenAITokens(folder)
    assert tiktoken.loaded == []
    counts = [tokens.count_for(model) for model in ("gpt-4o", "openai/gpt-4o", "gpt-4o")]
    assert [count and count("a few words") for count in counts] == [3, 3, 3]
    assert tiktoken.loaded == ["o200k_base"]


@pytest.mark.parametrize("model", ["gpt-4", "davinci", "claude-sonnet-4-5", ""])
def test_without_the_file_or_a_known_model_there_is_no_count(tiktoken: Tiktoken, folder: Path, model: str) -> None:
    assert OpenAITokens(folder).count_for(model) is None
    assert tiktoken.loaded == []


def test_a_file_that_is_another_is_left_alone_and_nothing_is_fetched(tiktoken: Tiktoken, folder: Path) -> None:
    (folder / "ranks").write_bytes(b"something else")
    assert OpenAITokens(folder).count_for("gpt-4o") is None
    assert tiktoken.loaded == []
    assert (folder / "ranks").read_bytes() == b"something else"


def test_a_fault_in_the_library_leaves_the_estimate(
    tiktoken: Tiktoken, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(Tiktoken, "get_encoding")
    assert OpenAITokens(folder).count_for("gpt-4o") is None
    assert "tiktoken failed: AttributeError" in caplog.text


def test_the_files_are_found_where_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, tiktoken: Tiktoken, folder: Path
) -> None:
    monkeypatch.setattr(openai_tokens, "find_spec", lambda name: object())
    monkeypatch.setenv(FOLDER, str(folder))
    found = find_openai_tokens()
    assert found is not None
    assert found.count_for("gpt-4o") is not None
    monkeypatch.setenv(FOLDER, str(folder / "nowhere"))
    assert find_openai_tokens() is None


def test_the_files_are_found_in_a_package_that_carries_them(
    monkeypatch: pytest.MonkeyPatch, tiktoken: Tiktoken, folder: Path
) -> None:
    inside = folder / "litellm" / "litellm_core_utils" / "tokenizers"
    inside.mkdir(parents=True)
    (folder / "litellm" / "__init__.py").write_text("raise RuntimeError('imported')")
    (inside / "ranks").write_bytes(b"IQ== 0")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    assert openai_tokens.folder_in_litellm() == inside
    assert is_whole(inside, "o200k_base")


def test_without_tiktoken_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_tokens, "find_spec", lambda name: None)
    assert find_openai_tokens() is None
    assert openai_tokens.folder_in_litellm() is None

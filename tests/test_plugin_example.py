"""docs/examples/plugin as somebody uses it: built, installed beside Sidelight into an environment of its own, asked."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from sysconfig import get_path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "plugin"
NAME = "sidelight-forbidden-words"
MODULE = "sidelight_forbidden_words"

pytestmark = pytest.mark.e2e


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def built(source: Path, folder: Path) -> Path:
    """Its wheel, made without a network by what the development environment has."""
    result = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=source)
    assert result.returncode == 0, result.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of a fresh environment with both wheels; what Sidelight needs is looked up in the development environment,
    whose editable Sidelight is not."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    wheels = [built(ROOT, folder / "sidelight"), built(folder / "source", folder / "example")]
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    place = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip()
    (Path(place) / "needed.pth").write_text(get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    result = run(*pip, "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", *wheels, folder=folder)
    assert result.returncode == 0, result.stderr
    return folder / "venv" / "bin"


def test_it_imports_from_sidelight_alone() -> None:
    tree = ast.parse((EXAMPLE / f"{MODULE}.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {str(module).partition(".")[0] for module in modules} - sys.stdlib_module_names == {"sidelight"}


def test_both_are_the_installed_ones(programs: Path) -> None:
    code = f"import sidelight, {MODULE}; print(sidelight.__file__, {MODULE}.__file__)"
    found = run(programs / "python", "-c", code, folder=programs).stdout.split()
    assert [Path(file).is_relative_to(programs.parent) for file in found] == [True, True]
    with pytest.raises(PackageNotFoundError):
        distribution(NAME)


def test_its_own_test_passes(programs: Path, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / f"test_{MODULE}.py", tmp_path)
    result = run(programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert result.returncode == 0, result.stdout


def test_sidelight_names_it(programs: Path, tmp_path: Path) -> None:
    result = run(programs / "sidelight", "components", folder=tmp_path)
    assert f"forbidden_words: among the processors, from {NAME} 1.0" in result.stdout, result.stderr


def test_sidelight_asks_it_about_a_file(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("question,answer\nMay I?,You may.\nAnd then?,We guarantee a refund.\n")
    asked = ("data.csv", "--config", EXAMPLE / "sidelight.yaml", "--json", "out.json")
    result = run(programs / "sidelight", "evaluate", *asked, folder=tmp_path)
    assert result.returncode == 1, result.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert [row["outcomes"]["forbidden_words"]["outcome"] for row in told["rows"]] == ["pass", "fail"]
    assert "2 words of the answer are among the 2 forbidden ones" in " ".join(result.stdout.split())


def test_an_option_that_is_wrong_is_told_with_its_place(programs: Path, tmp_path: Path) -> None:
    text = (EXAMPLE / "sidelight.yaml").read_text().replace("words: [guarantee, refund]", "words: []")
    (tmp_path / "sidelight.yaml").write_text(text)
    result = run(programs / "sidelight", "validate", folder=tmp_path)
    assert (result.returncode, "processors.forbidden_words" in result.stderr) == (2, True), result.stderr

"""docs/extending.md is followed to the letter, in a copy of the source: its code must be sound and its tests pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
PACKAGES = ("sidelight", "proxy", "wire", "processors", "exporters", "console", "config", "store", "pipeline")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "data", "found", "clients")
FENCED = re.compile(r"((?:^(?!```)[^\n]+\n)+)\n^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+\.(?:py|json|sse|toml))`")
TABLE = re.compile(r"^(?:PROCESSORS|EXPORTERS|WIRE_FORMATS|KNOWN_PATHS)\b.*[({].*\n", re.MULTILINE)
FUTURE = "from __future__ import annotations\n"
ANY_UPSTREAM = "proxy: {upstreams: {any: {url: 'http://127.0.0.1:9'}}}\n"


class Block(NamedTuple):
    """A fenced block; the file is the first that the paragraph above it names."""

    file: str | None
    language: str
    text: str

    @property
    def is_a_line(self) -> bool:
        """Something to add to a table, not a file."""
        return self.text.startswith("    ")


def blocks() -> Iterator[Block]:
    for above, language, text in FENCED.findall(PAGE.read_text("utf-8")):
        named = FILE.search(above)
        yield Block(named[1] if named else None, language, text)


def ours() -> list[Block]:
    """What is added to this repository, in order; files in a plug-in's folder have no folder before them."""
    return [block for block in blocks() if block.file and "/" in block.file]


def written() -> list[str]:
    return [str(block.file) for block in ours() if not block.is_a_line]


def follow(root: Path) -> None:
    """Write every file, add every line; a class is imported from the file shown before its line."""
    source = ""
    for block in ours():
        path = root / str(block.file)
        if block.is_a_line:
            add(block.text, path, source)
            continue
        source = str(block.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")


def add(line: str, path: Path, source: str) -> None:
    text = TABLE.sub(lambda table: table[0] + line, path.read_text("utf-8"), count=1)
    if named := re.search(r"\b[A-Z]\w+", line):
        module = source.removesuffix(".py").replace("/", ".")
        text = text.replace(FUTURE, f"{FUTURE}from {module} import {named[0]}\n", 1)
    path.write_text(text, "utf-8")


def run(folder: Path, *command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": path or str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source with everything added that the page tells to add."""
    root = tmp_path_factory.mktemp("copy")
    for folder in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", root)
    follow(root)
    return root


def test_the_page_adds_an_evaluator_a_wire_format_and_an_exporter() -> None:
    added = [block.file for block in ours() if block.is_a_line]
    assert added == ["processors/__init__.py", "wire/__init__.py", "wire/http.py", "exporters/__init__.py"]


@pytest.mark.parametrize(
    "tests",
    [
        ["tests/processors/test_answer_length.py", "tests/processors/test_contract.py", "-k", "answer_length"],
        [
            "tests/wire/test_gateway_ask.py",
            "tests/wire/test_formats.py",  # of the cases there are only the page's
            "--deselect=tests/wire/test_formats.py::test_each_format_has_cases",
        ],
        ["tests/exporters/test_json_lines.py", "tests/pipeline/test_contracts.py"],
    ],
    ids=["evaluator", "wire format", "exporter"],
)
def test_what_is_added_passes_its_own_tests_and_its_familys(copy: Path, tests: list[str]) -> None:
    result = run(copy, "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert result.returncode == 0, result.stdout


def test_what_is_added_is_written_as_everything_here_is(copy: Path) -> None:
    files = [file for file in written() if file.endswith(".py")]
    assert len(files) == 6
    for command in (("check", "--no-cache"), ("format", "--check", "--no-cache")):
        result = run(copy, "ruff", *command, *files)
        assert result.returncode == 0, result.stdout


def test_every_configuration_of_the_page_is_valid_once_it_was_followed(copy: Path, tmp_path: Path) -> None:
    configurations = [block.text for block in blocks() if block.language == "yaml"]
    assert len(configurations) == 3
    for text in configurations:
        file = tmp_path / "sidelight.yaml"
        file.write_text(text if text.startswith("proxy:") else ANY_UPSTREAM + text, "utf-8")
        result = run(copy, "sidelight", "validate", "--config", str(file))
        assert result.returncode == 0, result.stderr


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The plug-in's folder, as if it had been installed."""
    files = {block.file: block.text for block in blocks() if block.file and "/" not in block.file}
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    about = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in each.items()) for group, each in points]
    (about / "entry_points.txt").write_text("".join(lines))
    return tmp_path


def test_the_plug_in_passes_its_own_test(plugin: Path) -> None:
    result = run(plugin, "pytest", "-q", "-p", "no:cacheprovider", path=f"{plugin}{os.pathsep}{ROOT}")
    assert result.returncode == 0, result.stdout


def test_the_plug_in_is_found_by_its_name(plugin: Path) -> None:
    (plugin / "sidelight.yaml").write_text(f"{ANY_UPSTREAM}processors: {{answer_length: {{longest: none}}}}\n")
    result = run(plugin, "sidelight", "validate", path=f"{plugin}{os.pathsep}{ROOT}")
    assert "processors.answer_length.longest: must be a whole number" in result.stderr

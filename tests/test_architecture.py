"""The house rules that no other check sees: every source file has its tests, imports run one way, names are free."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sidelight", "proxy", "wire", "processors", "exporters", "console", "config", "store", "pipeline")

# Source files without a test file of their own, and where they are tested instead.
TESTED_ELSEWHERE = {
    "sidelight/__init__.py": "tests/test_packaging.py: it only re-exports",
    "sidelight/__main__.py": "tests/e2e: every run starts there",
    "sidelight/evaluators.py": "tests/sidelight/test_evaluate.py and tests/e2e: it starts processes",
    "sidelight/roles/evaluator.py": "tests/e2e/test_faults.py: it is a process",
    "sidelight/roles/pipeline.py": "tests/e2e and tests/sidelight/test_child.py: it is a process",
    "sidelight/roles/proxy.py": "tests/e2e and tests/proxy: it is a process around proxy/server.py",
    "processors/__init__.py": "tests/processors/test_contract.py: it is the table of processors",
    "exporters/__init__.py": "tests/pipeline/test_contracts.py: it is the table of exporters",
    "wire/__init__.py": "tests/wire/test_formats.py: it is the table of wire formats",
    "exporters/otlp_evaluations.py": "tests/exporters/test_otlp_encoding.py: one message, encoded in parts",
    "exporters/dialect.py": "tests/exporters/test_signals.py: every dialect over every recorded case",
    "exporters/otlp_operation_events.py": "tests/exporters/test_otlp_encoding.py and test_signals.py",
    "exporters/otlp_record.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/otlp_genai_span.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/otlp_http_spans.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/otlp_span.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/outcome.py": "tests/exporters/test_otlp_encoding.py and test_measure.py",
    "exporters/parameters.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/resource.py": "tests/exporters/test_otlp_encoding.py",
    "exporters/otlp_grpc.py": "tests/exporters/test_otlp.py: the exporter over each transport",
    "exporters/otlp_http.py": "tests/exporters/test_otlp.py",
    "exporters/otlp_sender.py": "tests/exporters/test_otlp.py",
    "wire/reading.py": "tests/wire/test_formats.py and every format: what all share",
    "wire/media.py": "tests/wire/test_openai_chat.py and test_anthropic_messages.py",
    "wire/shapes.py": "tests/wire/test_formats.py: JSON of any shape",
}


def sources() -> list[str]:
    """Every source file that holds more than a docstring."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return sorted(str(file.relative_to(ROOT)) for file in files if len(file.read_text().splitlines()) > 1)


def twin(source: str) -> Path:
    """Where its tests are: tests/wire/test_sse.py for wire/sse.py; a package's own are named after the package."""
    path = Path(source)
    name = path.parent.name if path.stem == "__init__" else path.stem
    return ROOT / "tests" / path.parent / f"test_{name}.py"


@pytest.mark.parametrize("source", sources())
def test_every_source_file_has_its_tests(source: str) -> None:
    assert twin(source).is_file() or source in TESTED_ELSEWHERE


def test_the_exceptions_are_files_without_tests_of_their_own() -> None:
    assert {source for source in TESTED_ELSEWHERE if twin(source).is_file()} == set()
    assert set(TESTED_ELSEWHERE) <= set(sources())


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_no_module_hides_one_of_the_standard_library() -> None:
    top_level = {path.stem for path in ROOT.glob("*.py")} | set(PACKAGES) | {"bench", "tests"}
    assert top_level & set(sys.stdlib_module_names) - {"tests"} == set()


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("name", ["utils", "helpers", "manager", "base", "common", "misc"])
def test_no_file_is_named_after_nothing(name: str) -> None:
    assert [source for source in sources() if Path(source).stem == name] == []

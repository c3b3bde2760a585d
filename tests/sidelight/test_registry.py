"""What ships and what plug-ins offer; a plug-in is imported only when the configuration names it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exporters import EXPORTERS
from processors import PROCESSORS
from sidelight.registry import Plugin, exporters_for, installed_plugins, processors_for

PLUGIN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Polite:
    words: tuple = ("please",)
    requires = ("response_text",)

    def process(self, exchange):
        return ()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of an installed plug-in that offers `polite` and, from a module that cannot be imported, `broken`."""
    information = tmp_path / "polite_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: polite-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[sidelight.processors]\npolite = polite_plugin:Polite\nbroken = no_such_module:Broken\n"
        "[sidelight.exporters]\nelsewhere = polite_plugin:Polite\n"
    )
    (tmp_path / "polite_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "polite_plugin", raising=False)
    return "polite_plugin"


def test_what_ships_is_there() -> None:
    assert processors_for(()) == dict(PROCESSORS)
    assert exporters_for(()) == dict(EXPORTERS)


def test_a_plugin_that_is_named_is_there(plugin: str) -> None:
    found = processors_for(["refusal", "polite/strict"])
    assert found["polite"].__module__ == plugin
    assert "elsewhere" not in found
    assert exporters_for(["elsewhere"])["elsewhere"].__module__ == plugin


def test_a_plugin_that_is_not_named_is_not_imported(plugin: str) -> None:
    processors_for(["refusal"])
    assert plugin not in sys.modules


def test_what_is_installed_is_named_and_not_imported(plugin: str) -> None:
    assert [
        Plugin("broken", "processors", "polite-plugin 1.0"),
        Plugin("polite", "processors", "polite-plugin 1.0"),
        Plugin("elsewhere", "exporters", "polite-plugin 1.0"),
    ] == [each for each in installed_plugins() if each.package == "polite-plugin 1.0"]
    assert plugin not in sys.modules

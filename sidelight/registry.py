"""Everything that exists: what ships here, and what installed plug-ins offer, loaded only when the config names it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from exporters import EXPORTERS
from pipeline.contracts import Exporter, MetricsPage, Processor
from processors import PROCESSORS

PROCESSOR_PLUGINS = "sidelight.processors"
EXPORTER_PLUGINS = "sidelight.exporters"


class Plugin(NamedTuple):
    """What an installed package offers; nothing of it is imported yet."""

    name: str
    family: str  # processors, exporters
    package: str  # and its version


def processors_for(identities: Iterable[str]) -> dict[str, type[Processor]]:
    """The shipped processors and the plug-ins among these ids."""
    return dict(PROCESSORS) | plugins(PROCESSOR_PLUGINS, identities)


def exporters_for(identities: Iterable[str]) -> dict[str, type[Exporter | MetricsPage]]:
    """The shipped exporters and the plug-ins among these ids."""
    return dict(EXPORTERS) | plugins(EXPORTER_PLUGINS, identities)


def every_plugin(group: str) -> dict[str, Any]:
    """All that are installed and can be loaded; imports them."""
    found = {}
    for point in entry_points(group=group):
        with suppress(Exception):  # one that is broken hides no other; a configuration that names it says why
            found[point.name] = point.load()
    return found


def plugins(group: str, identities: Iterable[str]) -> dict[str, Any]:
    """Entry points of the group whose type is named; nothing else of an installed package is imported."""
    wanted = {identity.partition("/")[0] for identity in identities}
    return {point.name: point.load() for point in entry_points(group=group) if point.name in wanted}


def installed_plugins() -> list[Plugin]:
    """All that are there, whether or not a configuration names them."""
    return [
        Plugin(point.name, group.partition(".")[2], f"{point.dist.name} {point.dist.version}" if point.dist else "")
        for group in (PROCESSOR_PLUGINS, EXPORTER_PLUGINS)
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
    ]

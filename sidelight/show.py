"""What `sidelight components` and `sidelight print-config` print."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.build import option_names
from config.settings import Settings, Store
from exporters import EXPORTERS
from pipeline.contracts import Processor
from pipeline.versions import version_of
from processors import JUDGES, PROCESSORS, STAGES
from processors.rubric import names, shipped
from sidelight.components import Components, build_components
from sidelight.price_tag import a_kilobyte_each, microseconds
from sidelight.registry import EXPORTER_PLUGINS, PROCESSOR_PLUGINS, every_plugin, installed_plugins
from wire import SPLICED_FORMATS, WIRE_FORMATS

REDACTED: Final = "[redacted]"
STORE: Final = "Keeps exchanges and outcomes in one SQLite file; there in any case."


def list_components(console: Console) -> None:
    """Every component that ships or is installed, with its options and their defaults."""
    console.print(evaluators_table())
    console.print()
    families: dict[str, Mapping[str, Any]] = {
        "judges": JUDGES,
        "stages": STAGES,
        "exporters": {**EXPORTERS, **every_plugin(EXPORTER_PLUGINS)},
    }
    for family, registry in families.items():
        table = a_table(family, "type", "what it does", "options")
        for name, kind in registry.items():
            table.add_row(name, Text(first_line(kind.__doc__)), Text(", ".join(options_of(kind))))
        if family == "exporters":
            table.add_row("store", STORE, Text(", ".join(settings_of_store())))
        console.print(table)
        console.print()
    console.print(rubrics_table())
    console.print()
    console.print("[bold]wire formats[/bold]")
    for wire_format in WIRE_FORMATS:
        console.print(f"{wire_format.name}: {first_line(type(wire_format).__doc__)}", highlight=False)
    console.print("\n[bold]wire formats of WebSockets[/bold], found by their paths alone", highlight=False)
    for spliced in SPLICED_FORMATS:
        console.print(f"{spliced.name}: {first_line(type(spliced).__doc__)}", highlight=False)
    if plugins := installed_plugins():
        console.print("\n[bold]plug-ins[/bold], and whose they are", highlight=False)
    for plugin in plugins:
        console.print(Text(f"{plugin.name}: among the {plugin.family}, from {plugin.package}"))


def a_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    return table


def evaluators_table() -> Table:
    """Those that ship and those that are installed; what each costs is measured now."""
    table = a_table(
        "evaluators (us: of CPU, here, for a question and an answer of a kilobyte each)",
        "type", "what it does", "needs", "scale", "version", "us", "options",
    )  # fmt: skip
    exchange = a_kilobyte_each()
    for name, kind in {**PROCESSORS, **every_plugin(PROCESSOR_PLUGINS)}.items():
        processor = as_shipped(kind)
        price = None if processor is None else microseconds(processor, exchange)
        table.add_row(
            name,
            Text(first_line(kind.__doc__)),
            ", ".join(kind.requires),
            Text(getattr(kind, "scale", "")),
            Text(version_of(processor) if processor is not None else ""),
            "" if price is None else f"{price:.3g}",
            Text(", ".join(options_of(kind))),
        )
    return table


def as_shipped(kind: type[Processor]) -> Processor | None:
    """With its defaults; None where it has options that somebody has to give."""
    try:
        return kind()
    except (TypeError, ValueError):
        return None


def rubrics_table() -> Table:
    """What the judges can be asked by name."""
    table = a_table("rubrics of the judges", "name", "what is asked", "needs", "scale", "passes")
    for rubric in map(shipped, names()):
        low, high = rubric.scale
        scale = f"{low:g}–{high:g}"
        passes = f"{'up to' if rubric.lower_is_better else 'from'} {rubric.bound:g}"
        table.add_row(rubric.name, Text(rubric.asks), ", ".join(rubric.requires), scale, passes)
    return table


def first_line(docstring: str | None) -> str:
    return (docstring or "").strip().splitlines()[0]


def options_of(kind: Any) -> list[str]:
    """`threshold=0.5`, … from the fields of a component's dataclass."""
    fields = [field for field in dataclasses.fields(kind) if field.name in option_names(kind)]
    return [field.name if has_no_default(field) else f"{field.name}={as_yaml(default_of(field))}" for field in fields]


def has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def settings_of_store() -> list[str]:
    """The store is a section of its own, configured among the exporters."""
    return [f"{name}={as_yaml(field.default)}" for name, field in Store.model_fields.items()]


def as_yaml(value: Any) -> str:
    """A value as it would stand in the file, on one line."""
    in_a_list = yaml.safe_dump([plain(value)], default_flow_style=True, allow_unicode=True, width=math.inf)
    return str(in_a_list).strip()[1:-1]


def default_of(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def print_config(settings: Settings) -> str:
    """The whole configuration as YAML, every default filled in and every secret replaced."""
    components = build_components(settings)
    tree = settings.model_dump(mode="json")
    store = tree.pop("store") | {"content": settings.store.content or components.redact.content}
    stages = {name: getattr(components, name) for name in STAGES} | dict(components.evaluators)
    stages |= dict(components.judges)
    tree["processors"] = {name: options_in_effect(component) for name, component in stages.items()}
    exporters = {
        name: options_in_effect(component) | delivery_in_effect(components, name)
        for name, component in components.exporters.items()
    }
    tree["exporters"] = exporters | {"store": store}
    for upstream in tree["proxy"]["upstreams"].values():
        upstream["headers"]["set"] = dict.fromkeys(upstream["headers"]["set"], REDACTED)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def delivery_in_effect(components: Components, name: str) -> dict[str, Any]:
    """An exporter's queue and retries, where it has any."""
    return dataclasses.asdict(components.deliveries[name]) if name in components.deliveries else {}


def options_in_effect(component: Any) -> dict[str, Any]:
    """A component's options; the values of headers are secrets."""
    options = {name: plain(getattr(component, name)) for name in option_names(component)}
    if isinstance(options.get("headers"), dict):
        options["headers"] = dict.fromkeys(options["headers"], REDACTED)
    return options


def plain(value: Any) -> Any:
    """As YAML can show it."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list, frozenset, set)):
        return [plain(each) for each in value]
    return REDACTED if isinstance(value, SecretStr) else value

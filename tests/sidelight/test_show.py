"""What people see of components and configuration, without a secret in it."""

from __future__ import annotations

import io
from typing import Any

import yaml
from rich.console import Console

from config.build import option_names
from config.load import load, settings_from
from config.settings import Settings
from exporters import EXPORTERS
from processors import PROCESSORS
from sidelight.components import build_components
from sidelight.show import list_components, print_config
from wire import SPLICED_FORMATS, WIRE_FORMATS

CANARY = "canary-7f3a"
TREE: dict[str, Any] = {
    "proxy": {
        "upstreams": {"one": {"url": "http://host", "headers": {"set": {"Authorization": CANARY, "X-Key": CANARY}}}}
    },
    "processors": {"sample": {"ratio": 0.5}, "json_valid/strict": {"threshold": 0.9}},
    "exporters": {"otlp": {"headers": {"authorization": CANARY}}, "store": {"path": "x.db", "retention": "2d"}},
}


def printed(tree: dict[str, Any]) -> str:
    return print_config(settings_from(tree))


def test_no_secret_is_printed() -> None:
    text = printed(TREE)
    assert CANARY not in text
    tree = yaml.safe_load(text)
    assert tree["proxy"]["upstreams"]["one"]["headers"]["set"] == {"Authorization": "[redacted]", "X-Key": "[redacted]"}
    assert tree["exporters"]["otlp"]["headers"] == {"authorization": "[redacted]"}


def test_what_is_printed_is_a_configuration_with_the_same_meaning() -> None:
    settings = settings_from(TREE)
    again = settings_from(load(printed(TREE), {}))
    assert components_of(again) == components_of(settings)
    assert again.store == settings.store.model_copy(update={"content": "redacted"})
    assert again.proxy.routes == settings.proxy.routes
    assert again.service == settings.service


def components_of(settings: Settings) -> dict[str, Any]:
    components = build_components(settings)
    return {
        "redact": components.redact,
        "sample": components.sample,
        **components.evaluators,
        "exporters": [type(exporter) for exporter in components.exporters.values()],
    }


def test_every_default_is_filled_in() -> None:
    tree = yaml.safe_load(printed(TREE))
    assert tree["proxy"]["listen"] == "127.0.0.1:4000"
    assert tree["proxy"]["limits"]["drain"] == 30.0
    assert tree["processors"]["sample"]["slow"] == 30.0
    assert tree["exporters"]["store"]["content"] == "redacted"


def test_every_component_is_listed_with_every_option() -> None:
    console = Console(file=io.StringIO(), width=4000)
    list_components(console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for name, kind in {**PROCESSORS, **EXPORTERS}.items():
        assert name in text
        assert all(f"{field}=" in text for field in option_names(kind))
    assert all(f"{wire_format.name}: " in text for wire_format in (*WIRE_FORMATS, *SPLICED_FORMATS))
    assert {"redact", "sample", "store"} <= set(text.split())


def test_defaults_are_written_as_in_the_file() -> None:
    console = Console(file=io.StringIO(), width=4000)
    list_components(console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for written in ("always=[error, slow, flagged]", "schema=null", "insecure=false", "content='off'", "headers={}"):
        assert written in text


def test_a_narrow_terminal_still_shows_the_names() -> None:
    console = Console(file=io.StringIO(), width=60)
    list_components(console)
    assert isinstance(console.file, io.StringIO)
    assert all(name in console.file.getvalue() for name in PROCESSORS)

"""Settings → the instances they describe, defaults included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from config.build import build_all, build_one
from config.settings import Settings
from pipeline.contracts import Exporter, Processor
from pipeline.errors import ConfigError
from pipeline.inputs import INPUTS
from pipeline.records import Exchange
from pipeline.runner import unchanged, without_content
from processors import PROCESSORS, REDACT, SAMPLE
from processors.redact import Redact
from processors.sample import Sample
from sidelight.registry import exporters_for, processors_for
from wire import WIRE_FORMATS

STAGES: Final = ("redact", "sample")  # configured among the processors, and part of the pipeline itself
STRICTNESS: Final = ("full", "redacted", "off")


@dataclass(frozen=True)
class Components:
    """Everything that the `processors` and `exporters` sections name."""

    redact: Redact
    sample: Sample
    evaluators: Mapping[str, Processor]
    exporters: Mapping[str, Exporter]


def build_components(settings: Settings) -> Components:
    """All of them, or a ConfigError with every problem of every one."""
    problems: list[str] = []

    def attempt(work: Any) -> Any:
        try:
            return work()
        except ConfigError as error:
            problems.extend(error.problems)

    stages = settings.processors
    redact = attempt(lambda: build_one(("processors", "redact"), stages.get("redact") or {}, REDACT))
    sample = attempt(lambda: build_one(("processors", "sample"), stages.get("sample") or {}, SAMPLE))
    evaluators = attempt(lambda: build_evaluators(stages))
    problems += [
        f"processors.{name}: requires {each!r}, which no exchange has; there are {', '.join(INPUTS)}"
        for name, evaluator in (evaluators or {}).items()
        for each in evaluator.requires
        if each not in INPUTS
    ]
    exporters = attempt(lambda: build_all("exporters", settings.exporters, exporters_for(settings.exporters)))
    if (
        redact
        and settings.store.content
        and STRICTNESS.index(settings.store.content) < STRICTNESS.index(redact.content)
    ):
        problems.append(
            f"exporters.store.content: {settings.store.content} is less strict than processors.redact.content, "
            f"which is {redact.content}; the store can only be stricter"
        )
    known = [each.name for each in WIRE_FORMATS]
    problems += [
        f"proxy.routes.{number}.wire: no wire format is called {route.wire!r}; there are {', '.join(known)}"
        for number, route in enumerate(settings.proxy.routes)
        if route.wire and route.wire not in known
    ]
    if problems:
        raise ConfigError(*problems)
    return Components(redact, sample, evaluators, exporters)


def build_evaluators(processors: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Processor]:
    """The processors that judge, by id."""
    named = {identity: options for identity, options in processors.items() if identity not in STAGES}
    return build_all("processors", named, processors_for(named))


def stored_form(settings: Settings, components: Components) -> Callable[[Exchange], Exchange]:
    """What the store may hold of an exchange, which is what redaction leaves or less."""
    left = components.redact.content
    allowed = settings.store.content or left
    if allowed == "off":
        return without_content
    return unchanged if allowed == left else replace(components.redact, content=allowed).redact


def with_defaults(tree: Mapping[str, Any], otlp_endpoint: str | None) -> dict[str, Any]:
    """A tree that says nothing about processors gets every evaluator; about exporters, OTLP when the environment
    names an endpoint and the readable lines of `debug` when it does not."""
    tree = dict(tree)
    if "processors" not in tree:
        tree["processors"] = dict.fromkeys((*STAGES, *PROCESSORS))
    if "exporters" not in tree:
        tree["exporters"] = {"otlp": {"endpoint": otlp_endpoint}} if otlp_endpoint else {"debug": {}}
    return tree

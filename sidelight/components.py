"""Settings → the instances they describe, defaults included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from config.build import build_all, build_one
from config.delivery import DeliveryOptions, delivery_options, own_options
from config.load import suggestion
from config.settings import Settings
from exporters.content import may_tell
from pipeline.contracts import Exporter, MetricsPage, Processor, Summary
from pipeline.errors import ConfigError
from pipeline.inputs import INPUTS
from pipeline.records import Exchange
from pipeline.runner import unchanged, without_content
from processors import JUDGES, PROCESSORS, STAGES
from processors.context import Context
from processors.cost import Pricing
from processors.identify import Identify
from processors.judge import Judge
from processors.redact import Redact
from processors.sample import Sample
from processors.usage import CountTokens
from sidelight.otel_environment import NOTHING_TOLD, Told, with_environment
from sidelight.registry import exporters_for, processors_for
from wire import WIRE_FORMATS

STRICTNESS: Final = ("full", "redacted", "off")


@dataclass(frozen=True)
class Components:
    """Everything that the `processors` and `exporters` sections name."""

    context: Context
    usage: CountTokens
    cost: Pricing
    identify: Identify
    redact: Redact
    sample: Sample
    evaluators: Mapping[str, Processor]
    judges: Mapping[str, Judge]
    exporters: Mapping[str, Exporter | MetricsPage]
    deliveries: Mapping[str, DeliveryOptions]  # of those that are given exchanges


def build_components(settings: Settings) -> Components:
    """All of them, or a ConfigError with every problem of every one."""
    problems: list[str] = []

    def attempt(work: Any) -> Any:
        try:
            return work()
        except ConfigError as error:
            problems.extend(error.problems)

    def stage(name: str) -> Any:
        return build_one(("processors", name), settings.processors.get(name) or {}, STAGES[name])

    stages = {name: attempt(partial(stage, name)) for name in STAGES}
    redact = stages["redact"]
    evaluators = attempt(lambda: build_evaluators(settings.processors))
    judges = attempt(lambda: build_judges(settings))
    problems += [
        f"processors.{name}: requires {each!r}, which no exchange has; there are {', '.join(INPUTS)}"
        for name, evaluator in (evaluators or {}).items()
        for each in evaluator.requires
        if each not in INPUTS
    ]
    kinds = exporters_for(settings.exporters)
    own = {
        identity: options if is_page(kinds.get(identity.partition("/")[0])) else own_options(options)
        for identity, options in settings.exporters.items()
    }
    exporters = attempt(lambda: build_all("exporters", own, kinds))
    deliveries = {
        identity: attempt(partial(delivery_options, identity, settings.exporters[identity], is_durable(exporter)))
        for identity, exporter in (exporters or {}).items()
        if not isinstance(exporter, MetricsPage)
    }
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
        f"proxy.routes[{number}].wire: there is no wire format {route.wire!r}; {suggestion(route.wire, known)}"
        for number, route in enumerate(settings.proxy.routes)
        if route.wire and route.wire not in known
    ]
    if problems:
        raise ConfigError(*problems)
    return Components(**stages, evaluators=evaluators, judges=judges, exporters=exporters, deliveries=deliveries)


def build_evaluators(processors: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Processor]:
    """The processors that judge, by id."""
    named = evaluators_among(processors)
    stages = {identity: name for identity in named if (name := identity.partition("/")[0]) in STAGES}
    if stages:
        raise ConfigError(
            *(
                f"processors.{identity}: a pipeline has one {name}; set its options under processors.{name}"
                for identity, name in stages.items()
            )
        )
    built = build_all("processors", named, processors_for(named))
    return dict(sorted(built.items(), key=lambda each: isinstance(each[1], Summary)))  # they sum up the others


def evaluators_among(processors: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """The section without the stages and the judges, which are the pipeline's own: evaluators see neither options."""
    return {
        identity: dict(options or {})
        for identity, options in processors.items()
        if identity not in STAGES and identity.partition("/")[0] not in JUDGES
    }


def judges_among(processors: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """Those of the section who take their time."""
    return {
        identity: dict(options or {})
        for identity, options in processors.items()
        if identity.partition("/")[0] in JUDGES
    }


def build_judges(settings: Settings) -> dict[str, Judge]:
    """The judges, by id; one that asks an upstream knows where that is."""
    judges = build_all("processors", judges_among(settings.processors), JUDGES)
    upstreams = settings.proxy.upstreams
    problems = [
        f"processors.{name}.upstream: there is no upstream {judge.upstream!r}; "
        f"{suggestion(judge.upstream, list(upstreams))}"
        for name, judge in judges.items()
        if judge.upstream is not None and judge.upstream not in upstreams
    ]
    if problems:
        raise ConfigError(*problems)
    for judge in judges.values():
        if judge.upstream is not None:
            upstream = upstreams[judge.upstream]
            judge.ask_at(upstream.url, {name: value.get_secret_value() for name, value in upstream.headers.set.items()})
    return judges


def is_page(kind: type[Exporter | MetricsPage] | None) -> bool:
    """Is this kind of exporter asked for metrics, and never given an exchange?"""
    return kind is not None and issubclass(kind, MetricsPage)


def is_durable(exporter: Exporter | MetricsPage) -> bool:
    """Is it made to have what it cannot deliver kept on disk? A class says so with `durable = True`."""
    return bool(getattr(exporter, "durable", False))


def queued_form(settings: Settings, components: Components, name: str) -> Callable[[Exchange], Exchange]:
    """What an exporter's queue on disk may hold: what the exporter may tell, or else what the store may hold."""
    exporter = components.exporters[name]
    content = getattr(exporter, "content", None)
    if content is None:
        return stored_form(settings, components)
    return lambda exchange: exchange if may_tell(exchange, content) else without_content(exchange)


def stored_form(settings: Settings, components: Components) -> Callable[[Exchange], Exchange]:
    """What the store may hold of an exchange, which is what redaction leaves or less."""
    left = components.redact.content
    allowed = settings.store.content or left
    if allowed == "off":
        return without_content
    return unchanged if allowed == left else replace(components.redact, content=allowed).redact


def with_defaults(tree: Mapping[str, Any], told: Told = NOTHING_TOLD) -> dict[str, Any]:
    """A tree that says nothing about processors gets every evaluator; about exporters, OTLP when the environment
    names an endpoint and the readable lines of `debug` when it does not. An OTLP exporter without an endpoint gets
    what the environment says."""
    tree = dict(tree)
    if "processors" not in tree:
        tree["processors"] = dict.fromkeys((*STAGES, *PROCESSORS))
    if "exporters" not in tree:
        tree["exporters"] = {"otlp": {}} if told.names_a_backend else {"debug": {}}
    if isinstance(tree["exporters"], Mapping):
        tree["exporters"] = with_environment(tree["exporters"], told)
    return tree

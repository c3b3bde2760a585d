"""Settings → instances, defaults included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from config.load import settings_from
from exporters.otlp_encoding import encode
from exporters.otlp_span import Telling
from pipeline.errors import ConfigError
from pipeline.records import EvaluatedExchange, Exchange, text_of
from pipeline.runner import unchanged, without_content
from processors import PROCESSORS
from sidelight.components import Components, build_components, queued_form, stored_form, with_defaults
from sidelight.otel_environment import told_by
from tests.support.records import an_exchange, answer
from tests.wire.cases import CASES, read_case
from wire import exchanges_of

PROXY = {"upstreams": {"one": {"url": "http://host"}}}


def built(**sections: Any) -> Components:
    return build_components(settings_from({"proxy": PROXY} | sections))


def problems_of(**sections: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        built(**sections)
    return refused.value.problems


def test_the_stages_are_built_from_the_processors_and_are_no_evaluators() -> None:
    components = built(processors={"redact": {"kinds": ["EMAIL"]}, "sample": {"ratio": 0.5}, "refusal": None})
    assert (components.redact.kinds, components.sample.ratio) == (("EMAIL",), 0.5)
    assert list(components.evaluators) == ["refusal"]


def test_a_stage_cannot_be_used_twice() -> None:
    (problem,) = problems_of(processors={"cost": {}, "cost/again": {}})
    assert problem == "processors.cost/again: a pipeline has one cost; set its options under processors.cost"


def test_stages_that_are_not_named_have_their_defaults() -> None:
    components = built()
    assert (components.redact.content, components.sample.ratio) == ("redacted", 1.0)
    assert components.evaluators == {}


def test_one_type_may_be_configured_twice() -> None:
    evaluators = built(processors={"json_valid/lax": {"threshold": 0.5}, "json_valid/strict": {}}).evaluators
    assert [type(each) for each in evaluators.values()] == [PROCESSORS["json_valid"]] * 2
    assert list(evaluators) == ["json_valid/lax", "json_valid/strict"]


def test_every_problem_of_every_component_is_told() -> None:
    problems = problems_of(
        processors={"redact": {"kind": []}, "sample": {"ratio": 7}, "refusl": {}, "latency": {"max_duration": -1}},
        exporters={"otpl": {}, "otlp": {"endpoint": "nowhere:"}},
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "processors.redact.kind",
        "processors.sample",
        "processors.refusl",
        "processors.latency.max_duration",
        "exporters.otpl",
        "exporters.otlp",
    ]


@pytest.mark.parametrize("name", ["redact/again", "sample/again"])
def test_a_stage_cannot_be_configured_twice(name: str) -> None:
    assert problems_of(processors={name: {}})[0].startswith(f"processors.{name}: ")


@pytest.mark.parametrize(
    ("redact", "store", "allowed"),
    [
        ("full", "full", True),
        ("full", "redacted", True),
        ("redacted", "redacted", True),
        ("redacted", "off", True),
        ("off", "off", True),
        ("redacted", "full", False),
        ("off", "redacted", False),
        ("off", "full", False),
    ],
)
def test_the_store_can_only_be_stricter_than_redaction(redact: str, store: str, allowed: bool) -> None:
    sections = {"processors": {"redact": {"content": redact}}, "exporters": {"store": {"content": store}}}
    if allowed:
        built(**sections)
    else:
        (problem,) = problems_of(**sections)
        assert problem.startswith("exporters.store.content: ")


@pytest.mark.parametrize(
    ("sections", "stored"),
    [
        ({}, unchanged),
        ({"exporters": {"store": {"content": "off"}}}, without_content),
        ({"processors": {"redact": {"content": "off"}}}, without_content),
    ],
)
def test_the_store_gets_no_text_when_its_own_switch_or_redaction_is_off(sections: Any, stored: Any) -> None:
    settings = settings_from({"proxy": PROXY, **sections})
    assert stored_form(settings, build_components(settings)) is stored


def test_an_evaluator_that_requires_what_no_exchange_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROCESSORS["pii"], "requires", ("crystal_ball",))
    (problem,) = problems_of(processors={"pii": {}})
    assert problem.startswith("processors.pii: requires 'crystal_ball'")


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("openai_chatt", "proxy.routes[1].wire: there is no wire format 'openai_chatt'; did you mean openai_chat?"),
        ("xyz", "proxy.routes[1].wire: there is no wire format 'xyz'; known here: openai_chat, "),
    ],
)
def test_a_route_whose_wire_format_does_not_exist_is_refused(named: str, problem: str) -> None:
    routes = [{"prefix": "/", "upstream": "one"}, {"prefix": "/ask", "upstream": "one", "wire": named}]
    (said,) = problems_of(proxy=PROXY | {"routes": routes})
    assert said.startswith(problem)


def test_a_tree_that_says_nothing_gets_every_evaluator_and_readable_lines() -> None:
    tree = with_defaults({"proxy": PROXY})
    components = build_components(settings_from(tree))
    assert list(components.evaluators) == list(PROCESSORS)
    assert list(components.exporters) == ["debug"]


def test_an_endpoint_in_the_environment_gets_otlp() -> None:
    tree = with_defaults({"proxy": PROXY}, told_by({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}))
    assert tree["exporters"] == {"otlp": {"endpoint": "http://collector:4318"}}


def test_what_a_tree_says_stays() -> None:
    tree = {"proxy": PROXY, "processors": {}, "exporters": {"store": {}}}
    assert with_defaults(tree, told_by({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})) == tree


def test_a_store_that_is_stricter_than_redaction_redacts_for_itself() -> None:
    sections = {"processors": {"redact": {"content": "full"}}, "exporters": {"store": {"content": "redacted"}}}
    settings = settings_from({"proxy": PROXY, **sections})
    stored = stored_form(settings, build_components(settings))
    exchange = an_exchange(output_messages=(answer("Write to jane@example.org"),))
    assert "jane@example.org" not in text_of(stored(exchange).output_messages)
    assert stored(exchange).content == "redacted"


def test_what_the_application_sets_is_no_option() -> None:
    (problem,) = problems_of(exporters={"otlp": {"resource": {"a": "b"}}})
    assert problem.startswith("exporters.otlp.resource: unknown option")


# -- delivery ---------------------------------------------------------------------------------------------------------


def test_an_exporter_has_the_delivery_it_was_told_or_is_made_for() -> None:
    exporters = {"otlp": {}, "otlp/memory": {"sending_queue": {"storage": False}}, "debug": {}}
    deliveries = built(exporters=exporters).deliveries
    assert {name: options.durable for name, options in deliveries.items()} == {
        "otlp": True,
        "otlp/memory": False,
        "debug": False,
    }


def test_a_problem_of_a_delivery_is_told_beside_those_of_its_exporter() -> None:
    problems = problems_of(exporters={"otlp": {"sending_queue": {"size": 5}}, "debug": {"colour": True}})
    assert [problem.partition(":")[0] for problem in problems] == ["exporters.debug.colour"]
    (problem,) = problems_of(exporters={"otlp": {"sending_queue": {"size": 5}}})
    assert problem.startswith("exporters.otlp.sending_queue.size: unknown option; ")


@pytest.mark.parametrize("content", ["off", "redacted", "full"])
@pytest.mark.parametrize("left", ["off", "redacted", "full"])
def test_what_waits_on_disk_is_told_as_it_would_have_been_told_at_once(left: Any, content: Any) -> None:
    """Of every recorded case."""
    settings = settings_from(
        {"proxy": PROXY, "processors": {"redact": {"content": left}}, "exporters": {"otlp": {"content": content}}}
    )
    components = build_components(settings)
    form, limits = queued_form(settings, components, "otlp"), Telling(content)
    for exchange in (each for case in CASES for each in exchanges_of(read_case(case))):
        exchange = components.redact.redact(exchange)
        waited = msgspec.msgpack.decode(msgspec.msgpack.encode(form(exchange)), type=Exchange)
        assert encode(EvaluatedExchange(waited), limits) == encode(EvaluatedExchange(exchange), limits)
        if content == "off":
            assert waited == without_content(exchange)


def test_the_queue_of_an_exporter_that_says_nothing_about_texts_holds_what_the_store_may() -> None:
    class Silent:
        async def export(self, batch: Any) -> None: ...

    settings = settings_from({"proxy": PROXY, "exporters": {"store": {"content": "off"}, "debug": {}}})
    components = replace(build_components(settings), exporters={"silent": Silent()})
    assert queued_form(settings, components, "silent") is without_content

"""A file → Settings, or one line for each problem with its place and remedy; never another exception."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.load import MAX_FILE, load, settings_from
from config.settings import Settings
from pipeline.errors import ConfigError

VALID = """
proxy:
  listen: 127.0.0.1:4000
  upstreams:
    openai: {url: https://api.openai.com, headers: {set: {Authorization: Bearer x}, remove: [X-Internal]}}
    local: {url: http://127.0.0.1:11434, idle_timeout: 2m}
  routes:
    - {prefix: /ollama, upstream: local, strip_prefix: true}
    - {prefix: /, upstream: openai}
  capture: {max_body: 1MiB, buffer: 64MiB}
  limits: {drain: 30s}
processors:
  redact: {content: redacted}
  json_valid/strict: {threshold: 1.0}
exporters:
  otlp: {endpoint: http://127.0.0.1:4318}
  store: {path: sidelight.db, retention: 30d}
evaluation: {workers: 2, timeout: 1s}
service: {name: support-bot, environment: production, attributes: {team: help}}
"""


def settings_in(text: str, **environment: str) -> Settings:
    return settings_from(load(text, environment))


def problems_of(text: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        settings_in(text, **environment)
    assert all(problem and "\n" not in problem for problem in refused.value.problems)
    return refused.value.problems


def problem_of(text: str, **environment: str) -> str:
    (problem,) = problems_of(text, **environment)
    return problem


def with_upstream(extra: str) -> str:
    return "proxy: {upstreams: {one: {url: http://host}}}\n" + extra


def test_a_valid_file_is_read() -> None:
    settings = settings_in(VALID)
    assert settings.proxy.upstreams["local"].idle_timeout == 120
    assert [route.upstream for route in settings.proxy.routes] == ["local", "openai"]
    assert settings.service.attributes == {"team": "help"}


def test_the_store_moves_from_the_exporters_to_its_own_section() -> None:
    settings = settings_in(VALID)
    assert (settings.store.path, settings.store.retention) == ("sidelight.db", 30 * 86400)
    assert list(settings.exporters) == ["otlp"]
    assert settings_in(with_upstream("exporters: {store: }")).store == Settings.model_fields["store"].default


@pytest.mark.parametrize("store", ["5", "false", "0", "[]", '""', "text"])
def test_a_store_that_is_no_mapping_is_refused(store: str) -> None:
    assert problem_of(with_upstream(f"exporters: {{store: {store}}}")).startswith("exporters.store: ")


def test_problems_of_the_store_are_told_where_the_user_wrote_it() -> None:
    assert problem_of(with_upstream("exporters: {store: {pth: x}}")) == (
        "exporters.store.pth: unknown key; did you mean path?"
    )
    assert problem_of(with_upstream("store: {path: x}")).startswith("store: unknown key")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (with_upstream("servce: {}"), "servce: unknown key; did you mean service?"),
        (
            "proxy: {upstream: {}, upstreams: {a: {url: http://h}}}",
            "proxy.upstream: unknown key; did you mean upstreams?",
        ),
        (
            "proxy: {upstreams: {a: {url: http://h, keep_alive: 3}}}",
            "proxy.upstreams.a.keep_alive: unknown key; did you mean keepalive?",
        ),
        (
            "proxy: {upstreams: {a: {url: http://h}}, routes: [{prefix: /, upstream: a, strip_prefixes: true}]}",
            "proxy.routes[0].strip_prefixes: unknown key; did you mean strip_prefix?",
        ),
        (
            "proxy: {upstreams: {a: {url: http://h, tls: {client: {cert: a, key: b, pass: c}}}}}",
            "proxy.upstreams.a.tls.client.pass: unknown key; known here: cert, key",
        ),
        (with_upstream("evaluation: {zzz: 1}"), "evaluation.zzz: unknown key; known here: workers, timeout, "),
    ],
)
def test_an_unknown_key_gets_one_line_with_its_place_and_a_suggestion(text: str, problem: str) -> None:
    assert problem_of(text).startswith(problem)


def test_every_problem_is_told_at_once() -> None:
    text = "proxy: {listen: x, workers: 0, upstreams: {a: {url: nope}}}\nservce: {}"
    assert [problem.partition(":")[0] for problem in problems_of(text)] == [
        "proxy.listen",
        "proxy.workers",
        "proxy.upstreams.a.url",
        "servce",
    ]


def test_two_upstreams_need_routes() -> None:
    text = "proxy: {upstreams: {a: {url: http://h}, b: {url: http://i}}}"
    assert problem_of(text).startswith("proxy.routes: is missing")


def test_one_upstream_gets_everything() -> None:
    (route,) = settings_in(with_upstream("")).proxy.routes
    assert (route.prefix, route.upstream) == ("/", "one")


def test_a_route_to_an_unknown_upstream_gets_a_suggestion() -> None:
    text = "proxy: {upstreams: {openai: {url: http://h}}, routes: [{prefix: /, upstream: opneai}]}"
    assert problem_of(text) == "proxy.routes[0].upstream: there is no upstream 'opneai'; did you mean openai?"


def test_a_prefix_routed_twice_is_refused() -> None:
    routes = "routes: [{prefix: /v1, upstream: a}, {prefix: /v1/, upstream: a}]"
    text = f"proxy: {{upstreams: {{a: {{url: http://h}}}}, {routes}}}"
    assert problem_of(text) == "proxy.routes[1].prefix: /v1/ is routed twice; keep one"


@pytest.mark.parametrize("name", ["Json", "json valid", "json_valid/", "/x", "json_valid/a b", "1x"])
@pytest.mark.parametrize("section", ["processors", "exporters"])
def test_a_component_with_an_unusable_name_is_refused(section: str, name: str) -> None:
    assert problem_of(with_upstream(f"{section}: {{{name!r}: {{}}}}")).startswith(f"{section}.{name}: ")


def test_a_file_that_is_named_and_does_not_exist_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    text = f"proxy: {{upstreams: {{a: {{url: 'https://h', tls: {{ca: {missing}}}}}}}}}"
    assert problem_of(text) == f"proxy.upstreams.a.tls.ca: there is no file {missing}"


def test_a_reference_takes_the_value_of_the_environment() -> None:
    text = "service: {name: '${env:NAME}', environment: 'pre-${ENV}-post', attributes: {a: '${env:A:-of a}'}}"
    service = load(text, {"NAME": "bot", "ENV": "prod"})["service"]
    assert service == {"name": "bot", "environment": "pre-prod-post", "attributes": {"a": "of a"}}


def test_a_default_is_for_what_is_unset_or_empty() -> None:
    assert load("a: ${env:X:-here}", {"X": ""}) == {"a": "here"}
    assert load("a: ${env:X:-here}", {"X": "there"}) == {"a": "there"}
    assert load("a: ${env:X:-}", {}) == {"a": None}
    assert load("a: '${env:X:-}'", {}) == {"a": ""}


def test_a_missing_reference_is_an_error_with_the_remedy() -> None:
    problem = problem_of("service: {name: '${env:NAME}'}")
    assert problem.startswith("service.name: the environment variable NAME is not set; set it or give a default")
    assert "${env:NAME:-" in problem


@pytest.mark.parametrize("text", ["${NAME", "${env:MY-KEY}", "${ENV:KEY}", "${}"])
def test_what_only_looks_like_a_reference_is_never_sent_as_it_is(text: str) -> None:
    problem = problem_of(f"service: {{name: 'a {text}'}}", NAME="x")
    assert problem == "service.name: ${ begins no reference; write ${env:NAME}, or $${ for the two characters"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("service: {}", "proxy: is missing; the least it needs is {upstreams: "),
        ("proxy:", "proxy: must be a mapping of keys to values, not nothing; the least it needs is {upstreams: "),
        ("proxy: {}", "proxy.upstreams: is missing; the least it needs is {openai: "),
        ("proxy: {upstreams: {}}", "proxy.upstreams: must have at least 1; the least it needs is {openai: "),
        (
            "proxy: {upstreams: {a: 'http://h'}}",
            "proxy.upstreams.a: must be a mapping of keys to values, not text; the least it needs is {url: ",
        ),
        ("proxy: {upstreams: {a: {}}}", "proxy.upstreams.a.url: is missing; the least it needs is https://"),
        ("proxy: {upstreams: {a: {url: x}}}", "proxy.upstreams.a.url: 'x' is not a usable URL; write "),
        (with_upstream("processors: [pii]"), "processors: must be a mapping of keys to values, not a list"),
    ],
)
def test_what_is_required_is_told_with_an_example(text: str, problem: str) -> None:
    told = problem_of(text)
    assert told.startswith(problem)
    assert told.count("https://api.openai.com") == (1 if "; " in told else 0)


@pytest.mark.parametrize("url", ["http://h:abc", "http://h:99999", "http://[::1"])
def test_a_url_that_cannot_be_read_is_refused_with_the_remedy(url: str) -> None:
    problem = problem_of(f"proxy: {{upstreams: {{a: {{url: '{url}'}}}}}}")
    assert problem.startswith("proxy.upstreams.a.url: a URL whose host or port cannot be read; write it like ")


def test_every_missing_reference_is_told() -> None:
    assert len(problems_of("a: ${env:ONE}\nb: [x, '${env:TWO}']")) == 2


def test_a_doubled_dollar_is_one_dollar() -> None:
    assert load("a: $$5 and $${env:X}", {"X": "no"}) == {"a": "$5 and ${env:X}"}
    assert load("a: $5", {}) == {"a": "$5"}


def test_an_unquoted_reference_may_be_a_number_and_a_quoted_one_is_text() -> None:
    tree = load("a: ${env:N}\nb: '${env:N}'\nc: ${env:YES}", {"N": "12", "YES": "true"})
    assert tree == {"a": 12, "b": "12", "c": True}


@pytest.mark.parametrize("value", ["{a: 1}", "[1]", "x: y", "a\nb: c", "*x", "!!int 3", "&a b", "# no"])
def test_a_value_of_the_environment_cannot_become_structure(value: str) -> None:
    assert load("a: ${env:X}\nb: 1", {"X": value}) == {"a": value, "b": 1}


def test_an_environment_value_is_not_resolved_again() -> None:
    assert load("a: ${env:X}", {"X": "${env:Y}"}) == {"a": "${env:Y}"}


def test_a_key_given_twice_is_refused_with_its_line() -> None:
    assert problem_of("proxy: {}\nservice: {}\nproxy: {}") == "proxy: given twice (line 3); keep one"
    assert problem_of("a:\n  b: {c: 1, c: 2}").startswith("a.b.c: given twice (line 2)")


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!python/object:os.x {}",
        "!env X",
        "!anything {b: 1}",
        "!anything [b]",
        "!!set {b}",
        "!!omap [b: 1]",
        "!!binary aGVsbG8=",
    ],
)
def test_yaml_tags_are_refused_with_their_place(tagged: str) -> None:
    problem = problem_of(f"service:\n  name: {tagged}")
    assert problem.startswith("service.name: the YAML tag ")
    assert "(line 2)" in problem


@pytest.mark.parametrize("value", ["!!int abc", "!!int ''", "!!float x", "9" * 5000])
def test_what_cannot_be_a_number_is_refused_with_its_place(value: str) -> None:
    assert problem_of(f"service: {{name: {value}}}").startswith("service.name: ")


@pytest.mark.parametrize("text", ["2024-01-01", "2001-99-99", "=", "<<", "1.2.3", "v1", "off", "on", "no", "Yes"])
def test_a_date_a_version_a_sign_or_a_word_is_text(text: str) -> None:
    assert load(f"a: {text}", {}) == {"a": text}


def test_content_off_needs_no_quotes() -> None:
    assert settings_in(with_upstream("exporters: {store: {content: off}}")).store.content == "off"


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("yes", True), ("off", False)])
def test_a_switch_takes_every_usual_word(word: str, value: bool) -> None:
    routes = f"routes: [{{prefix: /, upstream: a, strip_prefix: {word}}}]"
    settings = settings_in(f"proxy: {{upstreams: {{a: {{url: http://h}}}}, {routes}}}")
    assert settings.proxy.routes[0].strip_prefix is value


def test_aliases_are_allowed() -> None:
    assert load("a: &x {b: 1}\nc: *x", {}) == {"a": {"b": 1}, "c": {"b": 1}}


def test_aliases_that_multiply_are_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "too many values" in problem_of("\n".join(levels))


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}", "[" * 5000, "a: " + "{b: " * 3000])
def test_what_has_no_bottom_is_refused(text: str) -> None:
    assert "nested too deeply" in problem_of(text)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a remark\n", "---\n"])
def test_an_empty_file_is_told_what_it_needs(text: str) -> None:
    assert "proxy.upstreams" in problem_of(text) or "mapping" in problem_of(text)


@pytest.mark.parametrize("text", ["- 1", "text", "5", "[]"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert "is not a mapping" in problem_of(text)


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1", "line 1"), ("a: b: c", "line 1"), ("a: 1\n\tb: 2", "line 2"), ("a: *nope", "line 1")]
)
def test_broken_yaml_is_told_with_its_line(text: str, line: str) -> None:
    assert line in problem_of(text)


def test_several_documents_are_refused() -> None:
    assert "document" in problem_of("a: 1\n---\nb: 2")


def test_a_complex_key_is_refused() -> None:
    assert "key" in problem_of("? [a, b]\n: c")


def test_a_file_that_is_far_too_large_is_refused() -> None:
    assert "larger than" in problem_of("a: " + "x" * MAX_FILE)


# -- mutations of a valid tree: refused with a place, or still valid; never another exception --------------------------

VALID_TREE = yaml.safe_load(VALID)
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([{}, [], [{}], {"x": 1}, [[]], "9" * 500, "-1s", "1e9", "unix:", "http://", "\x00", "é"])
)


def places_in(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in the tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place, *(inner for key, value in items for inner in places_in(value, (*place, key)))]


PLACES = [place for place in places_in(VALID_TREE) if place]


def mutated(place: tuple[Any, ...], change: Any) -> dict[str, Any]:
    """VALID_TREE after `change(container, key)` at this place."""
    tree = copy.deepcopy(VALID_TREE)
    container = tree
    for key in place[:-1]:
        container = container[key]
    change(container, place[-1])
    assert isinstance(tree, dict)
    return tree


def names_a_place(problem: str) -> bool:
    where = problem.partition(":")[0]
    roots = ("proxy", "processors", "exporters", "evaluation", "store", "service", "config")
    return "\n" not in problem and bool(where) and (where.startswith(roots) or " " not in where)


@given(place=st.sampled_from(PLACES), value=ODD)
def test_an_odd_value_anywhere_is_valid_or_refused_with_a_place(place: tuple[Any, ...], value: Any) -> None:
    tree = mutated(place, lambda container, key: container.__setitem__(key, value))
    assert all(map(names_a_place, problems_with(lambda: settings_from(tree))))


def problems_with(work: Callable[[], object]) -> tuple[str, ...]:
    """What a ConfigError says; nothing when there is none."""
    try:
        work()
    except ConfigError as refused:
        return refused.problems or ("refused without a reason\n",)
    return ()


def bad_trees() -> list[tuple[str, dict[str, Any]]]:
    """Trees that cannot be valid, by what was done to them."""
    trees = []
    for place in PLACES:
        components = place[0] in ("processors", "exporters") and place[:2] != ("exporters", "store")
        if components and len(place) > 2:
            continue  # a component's own options are not the settings' business
        container: Any = VALID_TREE
        for key in place:
            container = container[key]
        if (
            isinstance(container, dict)
            and not (components and len(place) == 2)
            and place[-1] not in ("set", "attributes")
        ):
            trees.append((f"unknown in {place}", mutated((*place, "Un-Known"), lambda c, k: c.__setitem__(k, 1))))
        trees.append((f"nan at {place}", mutated(place, lambda c, k: c.__setitem__(k, [float("nan")]))))
    return trees


BAD_TREES = bad_trees()


def test_there_are_enough_bad_trees() -> None:
    assert len(BAD_TREES) >= 50


@pytest.mark.parametrize("tree", [tree for _, tree in BAD_TREES], ids=[name for name, _ in BAD_TREES])
def test_a_bad_tree_is_refused_with_a_place(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from(tree)
    assert refused.value.problems
    assert all(map(names_a_place, refused.value.problems))


@given(
    position=st.integers(0, len(VALID)),
    cut=st.integers(0, 12),
    inserted=st.sampled_from(
        ["", "{", "}", "[", ":", "&a ", "*a ", "!t ", "!!int ", "\t", "\x00", "- ", "'", "${", "$"]
    ),
)
def test_a_damaged_file_is_valid_or_refused(position: int, cut: int, inserted: str) -> None:
    damaged = VALID[:position] + inserted + VALID[position + cut :]
    assert all("\n" not in problem for problem in problems_with(lambda: settings_in(damaged)))


@given(st.text(max_size=60))
def test_any_text_is_refused_or_read(text: str) -> None:
    assert all("\n" not in problem for problem in problems_with(lambda: settings_in(text)))

"""YAML → Settings: strict keys, `${env:VAR:-default}`, and errors that name the place and the remedy."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from config.settings import Settings
from config.wording import said
from pipeline.errors import ConfigError

NOT_YOURS: Final = frozenset((
    "host", "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "expect", "traceparent",
))  # fmt: skip
MAX_FILE: Final = 1 << 20
MAX_NODES: Final = 100_000
REFERENCE: Final = re.compile(r"\$\$|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")
TAG: Final = "tag:yaml.org,2002:"
TYPED: Final = {TAG + name for name in ("null", "bool", "int", "float")}
TEXT: Final = {TAG + name for name in ("str", "timestamp", "value", "merge")}  # a date, = and << mean nothing here
URL: Final = "https://api.openai.com"
LEAST: Final = (f"{{upstreams: {{openai: {{url: {URL}}}}}}}", f"{{openai: {{url: {URL}}}}}", f"{{url: {URL}}}", URL)
COMPONENT_ID: Final = re.compile(r"[a-z][a-z0-9_]*(/[A-Za-z0-9_.-]+)?")

Place = tuple[str | int, ...]


def load(text: str, environment: Mapping[str, str] | None = None, file: str = "config") -> dict[str, Any]:
    """The text of a file → its tree with references to the environment resolved; ConfigError otherwise."""
    if len(text) > MAX_FILE:
        raise ConfigError(f"{file}: larger than {MAX_FILE} bytes; this is not a configuration")
    problems: list[str] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigError(f"{file}: is empty; the least it needs is proxy.upstreams")
        tree = plain(node, (), os.environ if environment is None else environment, problems, [])
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {one_line(error)}") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply, or an alias contains itself; write it flat") from None
    if not isinstance(tree, dict):
        problems.append(f"{file}: is not a mapping; the top level is proxy, processors, exporters, service")
    if problems:
        raise ConfigError(*problems)
    assert isinstance(tree, dict)
    return tree


def one_line(error: yaml.YAMLError) -> str:
    """What is wrong with the YAML, and in which line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "is not YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def plain(node: yaml.Node, place: Place, environment: Mapping[str, str], problems: list[str], seen: list[int]) -> Any:
    """A YAML node → plain data. References are resolved in values after parsing, so a value cannot become structure."""
    seen.append(node.start_mark.line)
    if len(seen) > MAX_NODES:
        raise ConfigError("the configuration expands to too many values; are its aliases nested?")
    if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
        return plain_mapping(node, place, environment, problems, seen)
    if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
        return [plain(child, (*place, i), environment, problems, seen) for i, child in enumerate(node.value)]
    if node.tag in TYPED:
        return typed(node, place, problems)
    if node.tag not in TEXT:
        problems.append(f"{path(place)}: the YAML tag {node.tag} is not allowed here (line {node.start_mark.line + 1})")
        return None
    resolved = resolve(node.value, place, environment, problems)
    # An unquoted reference may stand for a number or a boolean, as it would had it been written out.
    unquoted = isinstance(node, yaml.ScalarNode) and node.style is None
    return yaml.safe_load(resolved) if resolved != node.value and unquoted and is_scalar(resolved) else resolved


def typed(node: yaml.Node, place: Place, problems: list[str]) -> Any:
    """A number, boolean or null; `off`, `on`, `yes` and `no` stay words, as in YAML 1.2."""
    if node.tag == TAG + "bool" and node.value.lower() not in ("true", "false"):
        return node.value
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (ValueError, LookupError):
        kind = node.tag.removeprefix(TAG)
        problems.append(f"{path(place)}: {node.value[:40]!r} is not usable as {kind} (line {node.start_mark.line + 1})")
        return None


def plain_mapping(
    node: yaml.MappingNode, place: Place, environment: Mapping[str, str], problems: list[str], seen: list[int]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{path(place)}: a key that is not plain text (line {key_node.start_mark.line + 1})")
            continue
        key = str(key_node.value)
        if key in result:
            problems.append(f"{path((*place, key))}: given twice (line {key_node.start_mark.line + 1}); keep one")
        result[key] = plain(value_node, (*place, key), environment, problems, seen)
    return result


def is_scalar(text: str) -> bool:
    """Would this be a plain number, boolean or null in YAML?"""
    return re.fullmatch(r"[-+]?[0-9.]{1,100}|true|false|null|", text) is not None


def resolve(text: str, place: Place, environment: Mapping[str, str], problems: list[str]) -> str:
    """`${env:NAME}` and `${env:NAME:-default}` → their values; `$$` → `$`."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if match[0] == "${":
            problems.append(
                f"{path(place)}: ${{ begins no reference; write ${{env:NAME}}, or $${{ for the two characters"
            )
            return ""
        found = environment.get(match[1]) or match[2]
        if found is None:
            problems.append(
                f"{path(place)}: the environment variable {match[1]} is not set; "
                f"set it or give a default: ${{env:{match[1]}:-…}}"
            )
        return found or ""

    return REFERENCE.sub(value, text)


def path(place: Place) -> str:
    """('proxy', 'routes', 0, 'prefix') → proxy.routes[0].prefix"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "config"


def settings_from(tree: Mapping[str, Any]) -> Settings:
    """A tree → Settings; ConfigError with one line for each problem. `exporters.store` is the journal's section."""
    tree = dict(tree)
    exporters = tree.get("exporters")
    if "store" in tree:
        raise ConfigError("store: unknown key; the store is configured under exporters.store")
    if isinstance(exporters, Mapping) and "store" in exporters:
        tree["store"] = {} if exporters["store"] is None else exporters["store"]
        tree["exporters"] = {name: options for name, options in exporters.items() if name != "store"}
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*(describe(problem) for problem in error.errors())) from None
    if problems := list(inconsistencies(settings)):
        raise ConfigError(*problems)
    return settings


def describe(problem: Any) -> str:
    """One pydantic error → one line with the path and the remedy."""
    place: Place = tuple(part for part in problem["loc"] if part != "[key]")
    where = path(("exporters", *place) if place[:1] == ("store",) else place)
    if problem["type"] == "extra_forbidden":
        known = known_keys(place[:-1])
        return f"{where}: unknown key; {suggestion(str(place[-1]), known)}"
    if problem["type"] == "missing":
        return f"{where}: is missing{least(place) or '; add it'}"
    remedy = "" if problem["type"] == "value_error" else least(place)  # our own words name theirs
    return f"{where}: {said(problem)}{remedy}"


def least(place: Place) -> str:
    """What to write where something is required; empty elsewhere."""
    required = zip(place, ("proxy", "upstreams", None, "url"), strict=False)
    if not 0 < len(place) <= len(LEAST) or not all(want in (None, have) for have, want in required):
        return ""
    return f"; the least it needs is {LEAST[len(place) - 1]}"


def suggestion(name: str, known: list[str]) -> str:
    """The key that was probably meant, or all there are."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def known_keys(place: Place) -> list[str]:
    """The keys the model at this place has."""
    model: Any = Settings
    for part in place:
        fields = getattr(model, "model_fields", {})
        annotation = fields[part].annotation if part in fields else model
        models = [each for each in walk(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
        model = models[0] if models else annotation
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def walk(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside its brackets."""
    yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from walk(argument)


def inconsistencies(settings: Settings) -> Iterator[str]:
    """What no single field can see."""
    upstreams = list(settings.proxy.upstreams)
    if not settings.proxy.routes:
        yield "proxy.routes: is missing; with several upstreams, say which path prefix goes to which"
    prefixes = [route.prefix.rstrip("/") for route in settings.proxy.routes]
    for index, route in enumerate(settings.proxy.routes):
        if route.upstream not in settings.proxy.upstreams:
            hint = suggestion(route.upstream, upstreams)
            yield f"proxy.routes[{index}].upstream: there is no upstream {route.upstream!r}; {hint}"
        if prefixes.index(prefixes[index]) != index:
            yield f"proxy.routes[{index}].prefix: {route.prefix} is routed twice; keep one"
    for section in ("processors", "exporters"):
        for name in getattr(settings, section):
            if not COMPONENT_ID.fullmatch(name):
                yield f"{section}.{name}: a component is named type or type/name, in lower case, like json_valid/strict"
    capture = settings.proxy.capture
    if capture.ring < 2**16:
        yield "proxy.capture.ring: too small to hold a capture; at least 64KiB, 4MiB is the default"
    for name, upstream in settings.proxy.upstreams.items():
        place = f"proxy.upstreams.{name}.headers"
        for header in (*upstream.headers.set, *upstream.headers.remove):
            if header.lower() in NOT_YOURS:
                yield f"{place}: {header} is the proxy's own business; take it out"
        for header, value in upstream.headers.set.items():
            if not value.get_secret_value().isprintable():
                yield f"{place}.set.{header}: has a line break or control character; remove it"
    for file_place, file in files(settings):
        if not Path(file).is_file():
            yield f"{file_place}: there is no file {file}"


def files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every file that the configuration names, with its place."""
    if settings.proxy.tls:
        yield "proxy.tls.cert", settings.proxy.tls.cert
        yield "proxy.tls.key", settings.proxy.tls.key
    for name, upstream in settings.proxy.upstreams.items():
        place = f"proxy.upstreams.{name}.tls"
        if upstream.tls.ca:
            yield f"{place}.ca", upstream.tls.ca
        if upstream.tls.client:
            yield f"{place}.client.cert", upstream.tls.client.cert
            yield f"{place}.client.key", upstream.tls.client.key

"""Options + registry → component. The component's own dataclass fields are its options; nothing else knows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from config.load import path, suggestion
from config.wording import kind_of, said
from pipeline.errors import ConfigError

T = TypeVar("T")


def build(section: str, identity: str, options: Mapping[str, Any] | None, registry: Mapping[str, type[T]]) -> T:
    """`json_valid/strict` and its options → an instance of registry["json_valid"]; ConfigError names the place."""
    type_name = identity.partition("/")[0]
    kind = registry.get(type_name)
    place = (section, identity)
    if kind is None:
        raise ConfigError(f"{path(place)}: there is no such component; {suggestion(type_name, list(registry))}")
    return build_one(place, options or {}, kind)


def build_one(place: tuple[str, ...], options: Mapping[str, Any], kind: type[T]) -> T:
    """Check the options against the dataclass `kind` and build it."""
    if not isinstance(options, Mapping):
        raise ConfigError(f"{path(place)}: must be a mapping of options, not {kind_of(options)}")
    known = option_names(kind)
    unknown = [key for key in options if key not in known]
    problems = [f"{path((*place, key))}: unknown option; {suggestion(key, known)}" for key in unknown]
    if problems:
        raise ConfigError(*problems)
    try:
        return TypeAdapter(kind).validate_python(dict(options))
    except ValidationError as error:
        raise ConfigError(*(f"{path((*place, *each['loc']))}: {said(each)}" for each in error.errors())) from None


def option_names(kind: Any) -> list[str]:
    """The fields a user may set; one marked `option: False` is the application's."""
    return [field.name for field in dataclasses.fields(kind) if field.metadata.get("option", True)]


def build_all(
    section: str, components: Mapping[str, Mapping[str, Any] | None], registry: Mapping[str, type[T]]
) -> dict[str, T]:
    """Every component of a section, by id; all problems of all of them at once."""
    built: dict[str, T] = {}
    problems: list[str] = []
    for identity, options in components.items():
        try:
            built[identity] = build(section, identity, options, registry)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return built

"""An evaluator's version: its edition, and its options where they are not as shipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import SecretStr

from pipeline.versions import digest_of, version_of


@dataclass(frozen=True)
class Plain:
    threshold: float = 0.5
    words: tuple[str, ...] = ()
    found: dict[str, int] = field(default_factory=dict, metadata={"option": False})

    requires: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Second(Plain):
    version: ClassVar[str] = "2"


def test_as_shipped_it_is_the_edition_alone() -> None:
    assert version_of(Plain()) == "1"
    assert version_of(Second()) == "2"


def test_an_option_of_ones_own_is_another_version() -> None:
    assert version_of(Plain(threshold=0.6)) != version_of(Plain(threshold=0.7))
    assert version_of(Second(threshold=0.6)).startswith("2+")


def test_what_is_no_option_does_not_matter() -> None:
    assert version_of(Plain(found={"a": 1})) == "1"


def test_the_digest_does_not_hang_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": (2, 3)}) == digest_of({"b": [2, 3], "a": 1})


def test_what_is_no_dataclass_has_a_version_too() -> None:
    class Bare:
        version = "7"

    assert version_of(Bare()) == "7"


KEY = SecretStr("k")


@dataclass(frozen=True)
class Odd:
    """As a plug-in may be: a secret, a set and a version."""

    key: SecretStr = KEY
    rubrics: frozenset[str] = frozenset(("kind", "short", "true"))

    version: str = "1"

    requires = ()

    def process(self, exchange: object) -> tuple[()]:
        return ()


def test_an_evaluator_with_other_options_or_of_another_version_is_another() -> None:
    assert version_of(Odd()) == version_of(Odd(rubrics=frozenset(("true", "short", "kind"))))
    assert version_of(Odd()) == version_of(Odd(key=SecretStr("another")))
    assert len({version_of(each) for each in (Odd(), Odd(rubrics=frozenset()), Odd(version="2"))}) == 3

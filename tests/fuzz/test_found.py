"""What fuzzing found once stays fixed; and the seeds it begins with hold too."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS, found, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_once_holds_now(target: str) -> None:
    for path in found(target):
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_holds(target: str) -> None:
    for data in (b"", b"\0", b"\xff" * 100, *seeds(target)):
        TARGETS[target](data)

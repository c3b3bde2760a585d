"""Async tests run on uvloop; a blocking call of ours on a running loop fails its test, a slow machine fails none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import pytest
import uvloop
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

SOURCE_ROOTS = (
    "sidelight",
    "proxy",
    "wire",
    "processors",
    "exporters",
    "console",
    "config",
    "store",
    "pipeline",
)

# What is generated is judged, not how fast a busy machine generates it.
settings.register_profile("sidelight", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sidelight")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[Any]:
    roots = [root for root in SOURCE_ROOTS if find_spec(root)]
    with blockbuster_ctx(roots) as blockbuster:
        yield blockbuster

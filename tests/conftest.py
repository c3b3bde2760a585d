"""Every async test runs on uvloop, and a blocking call from our packages on a running loop fails its test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import pytest
import uvloop
from blockbuster import blockbuster_ctx

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


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[Any]:
    roots = [root for root in SOURCE_ROOTS if find_spec(root)]
    with blockbuster_ctx(roots) as blockbuster:
        yield blockbuster

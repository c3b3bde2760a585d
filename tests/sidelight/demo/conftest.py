"""The simulated endpoint on a free port, two hundred times faster than life."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.simulated import simulated_endpoint


@pytest.fixture
async def simulated() -> AsyncIterator[str]:
    """Its base URL."""
    async with simulated_endpoint() as url:
        yield url

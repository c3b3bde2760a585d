"""A judge's own call is known by the name it gives, and by nothing like it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.own_calls import USER_AGENT, is_own_call
from tests.support.records import an_exchange


@pytest.mark.parametrize(
    ("agent", "own"),
    [
        (USER_AGENT, True),
        ("sidelight-judge/2", True),
        (None, False),
        ("", False),
        ("sidelight-judges/1", False),
        ("openai-python sidelight-judge/1", False),
    ],
)
def test_it_is_known_by_its_user_agent(agent: str | None, own: bool) -> None:
    exchange = an_exchange()
    assert is_own_call(replace(exchange, http=replace(exchange.http, user_agent=agent))) is own

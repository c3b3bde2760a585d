"""Calls that Sidelight itself makes to a model: known by their User-Agent, wherever they may pass."""

from __future__ import annotations

from typing import Final

from pipeline.records import Exchange

NAME: Final = "sidelight-judge"
USER_AGENT: Final = f"{NAME}/1"  # the 1 is of how it asks, not of the release


def is_own_call(exchange: Exchange) -> bool:
    """Was this exchange asked by a judge? Then it is traffic, and nothing that could be judged in its turn."""
    agent = exchange.http.user_agent
    return agent is not None and agent.startswith(f"{NAME}/")

"""What is learned of an exchange before redaction, in its order, and what a reload forgets."""

from __future__ import annotations

from typing import Any

import msgspec

from config.load import settings_from
from pipeline.records import Exchange, Message, Part
from sidelight.components import build_components
from sidelight.description import Description
from tests.support.records import a_capture, an_exchange, answer

SALT = b"s" * 32


def described_by(before: Description | None = None, **processors: Any) -> Description:
    tree = {"proxy": {"upstreams": {"llm": {"url": "http://127.0.0.1:1"}}}, "processors": processors}
    return Description(build_components(settings_from(tree)), SALT, before)


def second_turn() -> Exchange:
    """What follows on the plain example."""
    asked = (*an_exchange().input_messages, answer("Hello!", None), Message("user", (Part("text", content="And?"),)))
    return an_exchange(id="018bcfe5680000000000000000000002", input_messages=asked)


def test_context_is_found_before_the_claims_it_may_be_in_are_gone() -> None:
    exchange = an_exchange(claims={"metadata.context": "The sky is green.", "user": "alice"})
    learned = described_by()(a_capture(), exchange)
    assert (learned.context, learned.context_source, learned.claims) == (("The sky is green.",), "metadata", {})
    assert (learned.user_source, len(learned.user or "")) == ("user", 16)


def test_what_it_cost_is_known_by_the_provider_and_model() -> None:
    cost = described_by()(a_capture(), an_exchange()).cost
    assert cost is not None
    assert (round(cost.total * 1e6, 6), cost.estimated) == (9 * 2.5 + 3 * 10, False)
    assert described_by()(a_capture(), an_exchange(provider="own", response_model="x", request_model="x")).cost is None


def test_a_conversation_goes_on_over_a_reload_that_leaves_identify_alone() -> None:
    before = described_by()
    session = before(a_capture(), an_exchange()).session
    assert session is not None
    assert described_by(before, cost={})(a_capture(), second_turn()).session == session


def test_other_options_of_identify_begin_anew() -> None:
    before = described_by()
    session = before(a_capture(), an_exchange()).session
    after = described_by(before, identify={"window": "1h"})
    assert after(a_capture(), second_turn()).session != session


def test_nothing_but_hashes_and_texts_that_redaction_sees_is_left_of_who_asked() -> None:
    exchange = an_exchange(claims={"user": "alice", "safety_identifier": "alice-1", "metadata.user_id": "alice-2"})
    assert b"alice" not in msgspec.json.encode(described_by()(a_capture(), exchange))

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Exchange, Message, Part
from processors.fingerprint import LONGEST, REMEMBERED, Fingerprints
from tests.support.records import an_exchange

FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%A, %B %d, %Y",
    "%d %B %Y",
    "%B %Y",
    "%d.%m.%Y",
    "%m/%d/%Y %I:%M %p",
    "%a %d %b %Y %H:%M",
    "%Y/%m/%d",
)
SPAN = (946_684_800, 4_102_444_800)  # 2000 to 2100
HELPFUL = Part("text", content="You are helpful.")


def instructed(*texts: str) -> Exchange:
    return an_exchange(system_instructions=tuple([Part("text", content=text) for text in texts]))


def fingerprint(*texts: str, variables: tuple[str, ...] = (), known: bool = True) -> str | None:
    return Fingerprints(variables, known).of(instructed(*texts))


def test_it_is_16_hex_digits_and_the_same_at_every_sidelight() -> None:
    assert fingerprint("You are helpful.") == fingerprint("You are helpful.") == "b4b89d0d5d74fdb5"


def test_another_prompt_has_another() -> None:
    assert fingerprint("You are helpful.") != fingerprint("You are harmless.")


def test_without_a_system_prompt_there_is_none() -> None:
    assert Fingerprints((), True).of(an_exchange()) is None
    assert fingerprint(" \n") is None


def test_it_does_not_matter_where_the_api_puts_the_system_prompt() -> None:
    as_messages = [
        an_exchange(input_messages=(Message(role, (HELPFUL,)), *an_exchange().input_messages))
        for role in ("system", "developer")
    ]
    assert {Fingerprints((), True).of(each) for each in as_messages} == {fingerprint("You are helpful.")}


def test_what_the_user_says_is_no_part_of_it() -> None:
    said = Message("user", (Part("text", content="Hm"),))
    asked = an_exchange(system_instructions=(HELPFUL,), input_messages=(said,))
    assert Fingerprints((), True).of(asked) == fingerprint("You are helpful.")


def test_white_space_is_no_part_of_it() -> None:
    assert fingerprint("You  are\n\thelpful. ") == fingerprint("You are helpful.")


@given(st.integers(SPAN[0], SPAN[1]), st.sampled_from(FORMATS))
def test_dates_and_times_are_no_part_of_it(seconds: int, style: str) -> None:
    moments = (datetime.fromtimestamp(seconds, UTC), datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC))
    prompts = [f"You are helpful. It is {moment.strftime(style)} now." for moment in moments]
    assert fingerprint(prompts[0]) == fingerprint(prompts[1])


@given(st.uuids(), st.uuids(), st.integers(10**6, 10**18))
def test_uuids_and_long_numbers_are_no_part_of_it(one: UUID, other: UUID, number: int) -> None:
    assert fingerprint(f"Ticket {one}, account {number}.") == fingerprint(f"Ticket {other}, account 123456.")


@pytest.mark.parametrize(
    "pair", [("Answer in 3 sentences.", "Answer in 5 sentences."), ("Version 1.2", "Version 1.3"), ("Mayfair", "Junta")]
)
def test_short_numbers_and_words_are_part_of_it(pair: tuple[str, str]) -> None:
    assert fingerprint(pair[0]) != fingerprint(pair[1])


def test_dates_can_be_made_part_of_it() -> None:
    assert fingerprint("It is 2026-01-31.", known=False) != fingerprint("It is 2026-02-01.", known=False)


def test_configured_variables_are_no_part_of_it() -> None:
    variables = (r"Customer: \S+", r"(?m)^Memory:.*$")
    one = fingerprint("Help.\nCustomer: Zoë\nMemory: likes tea", variables=variables)
    assert one == fingerprint("Help.\nCustomer: Ann\nMemory: none", variables=variables)
    assert one != fingerprint("Help.\nCustomer: Zoë\nMemory: likes tea")


def test_a_pattern_that_will_not_do_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variables\[0\] is no RE2 pattern"):
        Fingerprints(("(",), True)


def test_a_very_long_prompt_is_cut_and_not_refused() -> None:
    assert fingerprint("x" * LONGEST + "y") == fingerprint("x" * LONGEST + "z")


def test_the_memory_of_prompts_is_bounded_and_holds_no_text() -> None:
    fingerprints = Fingerprints((), True)
    given_out = [fingerprints.of(instructed(f"Prompt {number}.")) for number in range(2 * REMEMBERED)]
    assert len(set(given_out)) == 2 * REMEMBERED
    assert len(fingerprints._known) == REMEMBERED
    assert all(len(key) == 16 for key in fingerprints._known)


@given(st.text() | st.just("\ud800"))
def test_any_text_has_one_or_none(text: str) -> None:
    found = fingerprint(text)
    assert found is None or re.fullmatch("[0-9a-f]{16}", found)
    assert (found is None) == (not text.encode("utf-8", "surrogatepass").strip())

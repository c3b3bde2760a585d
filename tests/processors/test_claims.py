from __future__ import annotations

from processors.claims import MAX_CHARACTERS, MAX_SENTENCES, claims_in

ANSWER = """# Annual leave

Here is what the policy says:
- Employees get 25 days of leave.
- Sure!
Unused days expire in March. Let me know if you have any other questions!
"""


def test_what_says_something_is_told_from_headings_offers_and_exclamations() -> None:
    assert [claim.text for claim in claims_in(ANSWER)] == [
        "Employees get 25 days of leave",
        "Unused days expire in March",
    ]


def test_a_claim_has_its_words() -> None:
    (claim,) = claims_in("Unused days expire.")
    assert claim.words == {"unuse", "days", "expir"}


def test_of_a_long_answer_the_first_sentences_are_taken() -> None:
    assert len(claims_in("These are words. " * 1000)) == MAX_SENTENCES
    (only,) = claims_in("many words here " * 200_000)
    assert len(only.text) <= MAX_CHARACTERS

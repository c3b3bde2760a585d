from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.history import History
from processors.sessions import SECOND, Session, Sessions

MINUTE = 60 * SECOND


def sessions(limit: int = 100) -> Sessions:
    return Sessions(window=60, limit=limit)


def key(name: object) -> bytes:
    return str(name).encode()


def a_turn(asked: str, answers: str, *turns: str) -> History:
    return History(key(asked), tuple(map(key, turns)), tuple(map(key, answers.split())))


def place(known: Sessions, history: History, identity: str, at: int = 0) -> str:
    return known.continued(history, identity, at, at).id


def test_a_first_request_begins_a_session() -> None:
    assert place(sessions(), a_turn("u1", "a1"), "first") == "first"


def test_a_request_that_holds_the_answer_goes_on() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first")
    assert place(known, a_turn("u2", "a2", "a1"), "second") == "first"
    assert place(known, a_turn("u3", "a3", "a1", "a2"), "third") == "first"


def test_another_answer_to_the_same_history_stays_in_the_session() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first")
    assert {place(known, a_turn("u2", f"a{n}", "a1"), f"again {n}") for n in range(2, 5)} == {"first"}
    assert place(known, a_turn("u3", "a9", "a1", "a3"), "on") == "first"


def test_an_edited_message_goes_back_to_the_longest_part_that_is_known() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first")
    place(known, a_turn("x1", "y1"), "other")
    place(known, a_turn("u2", "a2", "a1"), "second")
    assert place(known, a_turn("u3", "a3", "a1", "edited"), "third") == "first"


def test_of_several_sessions_with_the_same_words_it_is_the_most_recent() -> None:
    known = sessions()
    place(known, a_turn("hi", "hello"), "one", at=0)
    assert place(known, a_turn("hi", "hello"), "two", at=1) == "two"
    assert place(known, a_turn("u2", "a2", "hello"), "next", at=2) == "two"


def test_a_request_that_failed_and_comes_again_is_the_same_session_until_it_was_answered() -> None:
    known = sessions()
    assert place(known, a_turn("u1", "u1"), "failed") == "failed"
    assert place(known, a_turn("u1", "a1"), "tried again") == "failed"
    assert place(known, a_turn("u1", "a1"), "a new one") == "a new one"


def test_a_session_seen_for_the_first_time_in_its_middle_can_branch() -> None:
    known = sessions()
    assert place(known, a_turn("u5", "a5", "a3", "a4"), "middle") == "middle"
    assert place(known, a_turn("u5", "b5", "a3", "a4"), "again") == "middle"


def test_a_step_of_a_tool_loop_that_failed_is_not_forgotten_with_its_second_try() -> None:
    known = sessions()
    place(known, a_turn("u1", "call"), "first")
    place(known, a_turn("call", "call", "call"), "failed")  # tools' results are no part of the key
    assert place(known, a_turn("call", "a1", "call"), "tried again") == "first"
    assert place(known, a_turn("call", "a2", "call"), "regenerated") == "first"


def test_silence_longer_than_the_window_ends_a_session() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first", at=0)
    assert place(known, a_turn("u2", "a2", "a1"), "in time", at=MINUTE) == "first"
    assert place(known, a_turn("u3", "a3", "a1", "a2"), "late", at=2 * MINUTE + 1) == "late"


def test_whatever_is_said_in_a_session_keeps_all_of_it_alive() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first", at=0)
    place(known, a_turn("u2", "a2", "a1"), "second", at=MINUTE)
    assert place(known, a_turn("u2", "b2", "a1"), "branch", at=2 * MINUTE) == "first"


def test_the_window_is_from_the_end_of_an_answer_to_the_next_request() -> None:
    known = sessions()
    known.continued(a_turn("u1", "a1"), "first", 0, 5 * MINUTE)
    assert known.continued(a_turn("u2", "a2", "a1"), "second", 6 * MINUTE, 9 * MINUTE).id == "first"


def test_exchanges_that_come_out_of_order_are_no_trouble() -> None:
    known = sessions()
    place(known, a_turn("u1", "a1"), "first", at=10 * MINUTE)
    assert place(known, a_turn("u2", "a2", "a1"), "second", at=9 * MINUTE) == "first"
    assert place(known, a_turn("u3", "a3", "a2"), "third", at=11 * MINUTE) == "first"


def test_the_keys_least_recently_used_go_first() -> None:
    known = sessions(limit=2)
    for name in ("a", "b"):
        known.remember(key(name), Session(name, 0), 0)
    known.remember(key("a"), Session("a", 0), 0)
    known.remember(key("c"), Session("c", 0), 0)
    assert [known.find(key(name), 0) is not None for name in "abc"] == [True, False, True]


def test_what_is_over_does_not_stay_in_memory() -> None:
    known = sessions()
    for number in range(50):
        known.remember(key(number), Session("old", 0), number)
    known.remember(key("new"), Session("new", 0), 3 * MINUTE)
    assert len(known) == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3 * MINUTE))), st.integers(1, 5))
def test_memory_is_bounded_and_nothing_is_found_after_the_window(seen: list[tuple[int, int]], limit: int) -> None:
    known = sessions(limit)
    last: dict[int, int] = {}
    for number, at in seen:
        known.remember(key(number), Session(str(number), at), at)
        last[number] = at
        assert len(known) <= limit
    for number, at in last.items():
        found = known.find(key(number), at + MINUTE + 1)
        assert found is None
        assert (known.find(key(number), at) or Session(str(number), 0)).id == str(number)

"""The copy is the body's beginning, within both bounds, whatever the reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.tee import MAX_MARKS, MAX_PIECES, TAIL, Budget, Tee


def tee(limit: int = 100, budget: int = 1000) -> Tee:
    return Tee(limit, Budget(budget))


def copy_of(copy: Tee) -> bytes:
    return b"".join(copy.pieces)


@given(st.lists(st.binary(max_size=30), max_size=12), st.integers(0, 120), st.integers(0, 120))
def test_the_copy_is_the_beginning_of_the_body_up_to_the_nearer_bound(
    reads: list[bytes], limit: int, budget: int
) -> None:
    copy, body = tee(limit, budget), b"".join(reads)
    for data in reads:
        copy.add(data)
    assert copy_of(copy) == body[: min(limit, budget)]
    assert (copy.size, copy.kept, copy.budget.used) == (len(body), len(copy_of(copy)), len(copy_of(copy)))
    assert copy.cut is (len(body) > min(limit, budget))


def test_a_body_of_exactly_the_bound_is_not_cut() -> None:
    copy = tee(limit=10)
    copy.add(b"0123456789")
    assert not copy.cut
    copy.add(b"")
    assert not copy.cut
    copy.add(b"!")
    assert (copy.cut, copy_of(copy)) == (True, b"0123456789")


def test_a_cut_copy_does_not_go_on_when_there_is_room_again() -> None:
    budget = Budget(10)
    first, second = Tee(100, budget), Tee(100, budget)
    first.add(b"12345678")
    second.add(b"abcdef")
    first.release()
    second.add(b"ghi")
    assert (copy_of(second), second.cut, second.size) == (b"ab", True, 9)


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), max_size=30))
def test_the_copies_together_never_pass_the_budget_and_give_all_of_it_back(adds: list[tuple[int, bytes]]) -> None:
    budget = Budget(100)
    copies = [Tee(60, budget) for _ in range(4)]
    for index, data in adds:
        copies[index].add(data)
        assert budget.used == sum(len(copy_of(copy)) for copy in copies) <= 100
    for copy in copies:
        copy.release()
        copy.release()
    assert budget.used == 0


def test_a_released_copy_leaves_its_bytes_to_whoever_took_them() -> None:
    copy = tee()
    copy.add(b"abc")
    taken = copy.pieces
    copy.release()
    assert (taken, copy.pieces, copy.kept) == ([b"abc"], [], 0)


def test_many_small_pieces_are_joined_into_few() -> None:
    copy = tee(limit=10_000, budget=10_000)
    for number in range(3 * MAX_PIECES):
        copy.add(b"%d" % (number % 10))
        assert len(copy.pieces) <= MAX_PIECES
    assert copy_of(copy) == b"".join(b"%d" % (number % 10) for number in range(3 * MAX_PIECES))


def test_a_mark_says_from_which_byte_on() -> None:
    copy = tee()
    copy.add(b"abc", 7)
    copy.add(b"d", 9)
    copy.add(b"ef", 11)
    assert copy.marks == [0, 7, 3, 9, 4, 11]


def test_what_comes_at_no_time_has_no_mark() -> None:
    copy = tee()
    copy.add(b"abc")
    assert copy.marks == []


def test_marks_never_point_behind_a_cut_copy() -> None:
    copy = tee(limit=4)
    for time in range(1, 6):
        copy.add(b"abc", time)
    assert copy.marks[::2] == [0, 3]


def test_the_marks_are_bounded() -> None:
    copy = tee(limit=2 * MAX_MARKS, budget=2 * MAX_MARKS)
    for time in range(1, MAX_MARKS + 10):
        copy.add(b"", time)
    assert len(copy.marks) == 2 * MAX_MARKS
    assert copy.marks[-1] == MAX_MARKS


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 60), st.integers(1, 50))
def test_of_a_body_that_is_cut_the_end_is_kept_too(reads: list[bytes], limit: int, tail_limit: int) -> None:
    copy, body = Tee(limit, Budget(10_000), tail_limit), b"".join(reads)
    for data in reads:
        copy.add(data)
    tail = b"".join(copy.tail)
    behind = body[limit:]
    assert behind.endswith(tail)
    assert len(tail) >= min(len(behind), tail_limit)
    assert len(tail) < tail_limit + 40
    assert copy.budget.used == len(copy_of(copy)) + len(tail)
    copy.release()
    assert (copy.budget.used, list(copy.tail)) == (0, [])


def test_the_end_is_not_kept_beyond_the_budget() -> None:
    copy = Tee(10, Budget(12), TAIL)
    for _ in range(100):
        copy.add(b"abc")
    assert copy.budget.used <= 12


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=12)), max_size=30), st.integers(5, 60))
def test_the_end_that_is_kept_has_no_gap_when_there_is_no_room_for_a_while(
    reads: list[tuple[bool, bytes]], limit: int
) -> None:
    budget = Budget(limit)
    copy, body = Tee(5, budget, 16), b""
    for crowded, data in reads:
        others = budget.limit - budget.used if crowded else 0
        budget.used += others
        copy.add(data)
        body += data
        budget.used -= others
        assert body.endswith(b"".join(copy.tail))
        assert budget.used == copy.kept + sum(map(len, copy.tail)) <= budget.limit
    copy.release()
    assert budget.used == 0

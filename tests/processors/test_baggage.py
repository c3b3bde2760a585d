from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.baggage import MAX_MEMBERS, members_of

WANTED = ("user.id", "session.id")


@pytest.mark.parametrize(
    ("baggage", "found"),
    [
        ("user.id=alice", {"user.id": "alice"}),
        (" user.id = alice ; secret=1 , session.id=7", {"user.id": "alice", "session.id": "7"}),
        ("user.id=Zo%C3%AB%20B", {"user.id": "Zoë B"}),
        ("user.id=a=b", {"user.id": "a=b"}),
        ("user.id=alice,user.id=bob", {"user.id": "alice"}),
        ("user.id=,session.id,=x,,;", {}),
        ("other=1", {}),
        ("user.id=%zz%ff", {"user.id": "%zz\N{REPLACEMENT CHARACTER}"}),
    ],
)
def test_members_are_read_as_the_specification_has_them(baggage: str, found: dict[str, str]) -> None:
    assert members_of(baggage, WANTED) == found


def test_only_so_many_members_are_looked_at() -> None:
    many = ["x=1"] * MAX_MEMBERS
    assert members_of(",".join([*many[1:], "user.id=alice"]), WANTED) == {"user.id": "alice"}
    assert members_of(",".join([*many, "user.id=alice"]), WANTED) == {}


def test_only_so_many_characters_are_looked_at() -> None:
    assert members_of("x=" + "y" * 9000 + ",user.id=alice", WANTED) == {}


@given(st.text(min_size=1).filter(str.strip))
def test_any_value_comes_back(value: str) -> None:
    assert members_of(f"a=b,user.id={quote(value, safe='')};p=1", WANTED) == {"user.id": value}


@given(st.text(alphabet=",;= %ausernid.0Z\x00é"))
def test_anything_is_taken_without_raising(baggage: str) -> None:
    assert set(members_of(baggage, WANTED)) <= set(WANTED)

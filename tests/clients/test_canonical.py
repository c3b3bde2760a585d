"""Two accounts of the same call become equal, and of two different calls do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.canonical import Canonical, differences


def canonical(value: Any) -> Any:
    return Canonical("http://127.0.0.1:8001").of(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"id": "chatcmpl-aB3-xYz012345678"}, {"id": "chatcmpl-zz9_xYz012345678"}),
        ({"id": "0b54ba82-8d3e-4f0c-9a55-4f4f1d3f4a10"}, {"id": "77f6a6b1-11de-4d53-a1c5-0a4e0c1f9c22"}),
        ({"created": 1700000000}, {"created": 1700000009}),
        ('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"created":17}', 'HTTP/1.1 200 OK\r\n\r\n{"created":18}'),
        ({"at": "2026-01-02T03:04:05.678Z"}, {"at": "2027-01-02T03:04:05.1Z"}),
        ({"timings": {"ms": 1}, "text": "a"}, {"text": "a"}),
    ],
)
def test_what_chance_chose_makes_no_difference(one: Any, other: Any) -> None:
    assert differences(canonical(one), canonical(other)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"id": "call_of_Oslo"}, {"id": "call_of_Lima"}),
        ({"text": "Good morning"}, {"text": "Good evening"}),
        ({"usage": [11, 23]}, {"usage": [11, 24]}),
        ({"events": [1, 2]}, {"events": [1, 2, 3]}),
        ({"error": None}, {"error": {"class": "TimeoutError"}}),
        ("HTTP/1.1 200 OK\r\nRetry-After: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ({"created": None}, {"created": 1700000000}),
    ],
)
def test_what_someone_chose_does(one: Any, other: Any) -> None:
    assert differences(canonical(one), canonical(other)) != []


def test_an_id_that_stays_the_same_is_told_from_one_that_changes() -> None:
    stays = ["msg_aaaaaaaa1", "msg_aaaaaaaa1"]
    changes = ["msg_aaaaaaaa1", "msg_aaaaaaaa2"]
    assert canonical(stays) != canonical(changes)


def test_differences_name_their_place() -> None:
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == [".a[1].b: 2 is not 3"]

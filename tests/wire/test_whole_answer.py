"""The answer of an API that does not stream."""

from __future__ import annotations

from typing import Any

from wire.reading import Answered
from wire.whole_answer import WholeAnswer


def read(body: dict[str, Any]) -> Answered:
    return Answered(response_id=body.get("id"))


def test_the_body_is_read_when_asked() -> None:
    answer = WholeAnswer(read)
    assert answer.answered() == Answered()
    assert not answer.add({"id": "a"})
    assert (answer.answered().response_id, answer.ended) == ("a", False)

from __future__ import annotations

import pytest

from processors.patterns import MAX_PATTERN, compiled


def test_a_pattern_reads_utf_8_as_characters() -> None:
    assert compiled("variables", "für .").search("für ß".encode()).group() == "für ß".encode()


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "variables is no RE2 pattern"),
        ("(?=x)", "RE2 has no look-around"),
        ("x*", "matches the empty text"),
        ("x" * (MAX_PATTERN + 1), "501 characters; 500 are allowed, so split it"),
    ],
)
def test_what_is_no_good_pattern_is_refused_with_the_reason(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^variables") as refused:
        compiled("variables", pattern)
    assert problem in str(refused.value)

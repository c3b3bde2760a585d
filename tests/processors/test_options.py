from __future__ import annotations

import pytest

from processors.options import check_choice, check_headers, check_limit, check_share


def test_what_is_in_range_is_accepted() -> None:
    check_share("threshold", 0)
    check_share("threshold", 1.0)
    check_limit("max_duration", None, "seconds")
    check_limit("max_duration", 0.1, "seconds")
    check_choice("side", "input", ("input", "output"))
    check_headers(["x-user-id", "x-session-token"])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_scale_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"threshold is .*; give a number from 0 to 1"):
        check_share("threshold", value)


def test_a_header_that_no_capture_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="authorization is a credential, which is never captured; choose another"):
        check_headers(["x-user-id", "authorization"])

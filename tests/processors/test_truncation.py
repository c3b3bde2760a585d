from __future__ import annotations

import msgspec
import pytest

from pipeline.records import Evaluation, Exchange
from processors.truncation import Truncation
from tests.support.records import an_exchange, answer


def with_status(exchange: Exchange, status: int | None) -> Exchange:
    return msgspec.structs.replace(exchange, http=msgspec.structs.replace(exchange.http, status=status))


def test_a_finished_answer_passes() -> None:
    assert Truncation().process(an_exchange()) == (Evaluation("truncation", 0.0, "pass"),)


def test_the_token_limit_is_named() -> None:
    exchange = an_exchange(output_messages=(answer("and so", "length"),))
    assert Truncation().process(exchange) == (Evaluation("truncation", 1.0, "fail", "max_tokens"),)


def test_a_stream_without_its_end_was_cut_by_the_upstream() -> None:
    exchange = an_exchange(output_messages=(answer("and", None),), complete=False, error_type="upstream_reset")
    assert Truncation().process(exchange) == (Evaluation("truncation", 1.0, "fail", "upstream_cut"),)


def test_a_client_that_left_is_named() -> None:
    exchange = an_exchange(output_messages=(), complete=False, error_type="client_disconnect")
    assert Truncation().process(exchange) == (Evaluation("truncation", 1.0, "fail", "client_abort"),)


def test_the_score_is_the_share_of_choices_cut() -> None:
    exchange = an_exchange(output_messages=(answer("a"), answer("b", "length")))
    assert Truncation().process(exchange)[0].score_value == 0.5
    assert Truncation(threshold=0.5).process(exchange)[0].score_label == "pass"


@pytest.mark.parametrize("status", [400, 429, 500, None])
def test_failed_requests_are_not_truncations(status: int | None) -> None:
    exchange = with_status(an_exchange(output_messages=(), complete=False), status)
    assert Truncation().process(exchange) == ()

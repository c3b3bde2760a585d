from __future__ import annotations

import pytest

from pipeline.records import Evaluation, Exchange, Timing, Usage
from processors.latency import Latency
from tests.support.records import STARTED_AT, an_exchange

SECOND = 10**9


def a_stream(sent: int | None = 1, first: int | None = 3, ended: int = 13, tokens: int | None = 100) -> Exchange:
    """Times in whole seconds after the start."""
    timing = Timing(
        started_at=STARTED_AT,
        sent_at=sent and sent * SECOND,
        first_byte_at=None,
        ended_at=ended * SECOND,
        first_chunk_at=first and first * SECOND,
    )
    return an_exchange(stream=True, timing=timing, usage=Usage(output_tokens=tokens))


def test_a_stream_has_all_three() -> None:
    assert Latency().process(a_stream()) == [
        Evaluation("latency.duration", 13.0, "pass"),
        Evaluation("latency.time_to_first_chunk", 2.0, "pass"),
        Evaluation("latency.tokens_per_second", 10.0, "pass"),
    ]


def test_each_limit_fails_its_own_value() -> None:
    strict = Latency(max_duration=12, max_time_to_first_chunk=1.5, min_tokens_per_second=11)
    assert [evaluation.score_label for evaluation in strict.process(a_stream())] == ["fail"] * 3


def test_a_value_at_its_limit_passes() -> None:
    exact = Latency(max_duration=13, max_time_to_first_chunk=2, min_tokens_per_second=10)
    assert [evaluation.score_label for evaluation in exact.process(a_stream())] == ["pass"] * 3


def test_without_limits_nothing_is_judged() -> None:
    free = Latency(max_duration=None, max_time_to_first_chunk=None, min_tokens_per_second=None)
    assert [evaluation.score_label for evaluation in free.process(a_stream())] == [None] * 3


def test_a_whole_answer_has_only_a_duration() -> None:
    assert [evaluation.name for evaluation in Latency().process(an_exchange())] == ["latency.duration"]


def test_unknown_tokens_leave_the_speed_unsaid() -> None:
    names = [evaluation.name for evaluation in Latency().process(a_stream(tokens=None))]
    assert names == ["latency.duration", "latency.time_to_first_chunk"]


def test_an_answer_in_one_chunk_has_no_speed() -> None:
    assert len(Latency().process(a_stream(first=13))) == 2


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_no_positive_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"max_duration is .*; give a positive number of seconds, or null"):
        Latency(max_duration=value)

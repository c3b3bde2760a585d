"""The end of an answer whose middle was not kept still says how it ended and what it cost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import a_capture
from tests.wire.cases import STREAMS, read_case, suffix_of
from wire import decode
from wire.endings import last_events, last_usage

FIRST, LAST = 2, 4  # events that the beginning and the end have at least
WITH_TAILS = [
    case for case in STREAMS if suffix_of(case) in (".sse", ".ndjson") and len(read_case(case).arrivals) > FIRST + LAST
]


@pytest.mark.parametrize("case", WITH_TAILS)
def test_a_stream_without_its_middle_has_the_usage_and_reasons_of_the_whole(case: str) -> None:
    whole = read_case(case)
    expected, body = decode(whole), whole.response_body
    borders = [offset for offset, _ in whole.arrivals]
    for start in range(0, borders[-LAST], 7):
        beginning = body[: borders[FIRST] + start % 50]
        cut = msgspec.structs.replace(
            whole, response_body=beginning, response_cut=True, response_tail=body[start:], arrivals=()
        )
        exchange = decode(cut)
        assert (exchange.usage, exchange.decode_error) == (expected.usage, "response_cut")
        for message, known in zip(exchange.output_messages, expected.output_messages, strict=False):
            assert message.finish_reason == known.finish_reason


LONG = "word " * 4000
CHAT = b"""{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant",
"content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4000,"total_tokens":4009,
"completion_tokens_details":{"reasoning_tokens":5}},"service_tier":"default"}""" % LONG.encode()


def test_a_whole_body_without_its_middle_has_its_usage() -> None:
    cut = a_capture(response_body=CHAT[:1000], response_cut=True, response_tail=CHAT[-500:])
    exchange = decode(cut)
    assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (9, 4000)
    assert (exchange.usage.reasoning_output_tokens, exchange.usage.source) == (5, "provider")
    assert (exchange.complete, exchange.response_id) == (True, "c")


def test_an_end_that_is_packed_cannot_be_read_by_itself() -> None:
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    cut = a_capture(
        response_body=b"", response_headers=headers, response_cut=True, response_tail=b'"usage":{"prompt_tokens":9}'
    )
    assert decode(cut).usage.source == "none"


def test_the_last_usage_counts_even_where_what_holds_it_began_before() -> None:
    assert last_usage(b'..."usage":{"a":1}},{"usage": {"a":2}}]}') == {"usage": {"a": 2}}
    assert last_usage(b'"usage":{"a":1}, "usage":{"a":') == {"usage": {"a": 1}}
    assert last_usage(b'x"usageMetadata" : {"b":[1]}') == {"usageMetadata": {"b": [1]}}
    assert last_usage(b'"usage": null') is None


@given(st.binary(max_size=200), st.sampled_from(["events", "lines", "array", "amazon", None]))
def test_any_end_of_any_body_is_read_without_a_word(tail: bytes, streaming: str) -> None:
    for event in last_events(tail, streaming):  # type: ignore[arg-type]
        assert type(event) is dict


def test_thousands_of_unfinished_usages_take_no_time_to_speak_of() -> None:
    assert last_usage(b'"usage":{' * 1800) is None

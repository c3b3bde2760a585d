"""Every recorded case of every format: whole, cut anywhere, mutated."""

from __future__ import annotations

import copy
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts import WireFormat
from pipeline.records import Capture, Exchange, text_of
from tests.support.records import a_capture, an_exchange
from tests.wire.cases import (
    CASES,
    EVENT_STREAMS,
    JSON_REQUESTS,
    STREAMS,
    WHOLE_JSON,
    arrivals_of,
    expected,
    format_of,
    genai_fields,
    read_case,
)
from wire import WIRE_FORMATS, decode
from wire.sse import SseParser

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def cut(capture: Capture, length: int) -> Capture:
    return msgspec.structs.replace(capture, response_body=capture.response_body[:length])


def survives_the_journal(exchange: Exchange) -> bool:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(exchange), type=Exchange).id == exchange.id


@pytest.mark.parametrize("case", CASES)
def test_case_is_read_as_the_api_means_it(case: str) -> None:
    assert genai_fields(decode(read_case(case))) == expected(case)


@pytest.mark.parametrize("case", CASES)
def test_nothing_binary_is_kept(case: str) -> None:
    assert b"iVBORw0KGgo" not in msgspec.json.encode(decode(read_case(case)))


@pytest.mark.parametrize("case", EVENT_STREAMS)
def test_stream_byte_by_byte_gives_the_same_events(case: str) -> None:
    body = read_case(case).response_body
    parser = SseParser()
    assert [event for byte in body for event in parser.feed(bytes([byte]))] == SseParser().feed(body)


def end_of(case: str) -> int:
    """Where what ends the last choice or the message begins, without which no prefix is complete."""
    body = read_case(case).response_body
    return max(body.rfind(mark.encode()) for mark in format_of(case)["ends"])


@pytest.mark.parametrize("case", STREAMS)
def test_stream_cut_at_any_byte_gives_the_beginning_of_the_whole(case: str) -> None:
    capture = read_case(case)
    whole = [text_of((message,)) for message in decode(capture).output_messages]
    end = end_of(case)
    for length in range(len(capture.response_body)):
        exchange = decode(cut(capture, length))
        assert exchange.decode_error in (None, "event_cut", "unexpected_shape")
        assert not exchange.complete or length > end
        for part, complete in zip(exchange.output_messages, whole, strict=False):
            assert complete.startswith(text_of((part,)))


@pytest.mark.parametrize("case", STREAMS)
def test_stream_cut_after_each_event_is_not_complete_before_its_end(case: str) -> None:
    capture = read_case(case)
    end = end_of(case)
    for offset, _ in capture.arrivals:
        if offset <= end:
            exchange = decode(cut(capture, offset))
            assert not exchange.complete
            assert exchange.decode_error in (None, "unexpected_shape")


@pytest.mark.parametrize("case", EVENT_STREAMS)
def test_last_event_counts_without_its_blank_line(case: str) -> None:
    capture = read_case(case)
    assert genai_fields(decode(cut(capture, -1))) == expected(case)
    assert genai_fields(decode(cut(capture, -2))) == expected(case)


@pytest.mark.parametrize("case", EVENT_STREAMS)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_line_ends_of_a_stream_do_not_matter(case: str, line_end: bytes) -> None:
    capture = read_case(case)
    body = capture.response_body.replace(b"\n", line_end)
    other = msgspec.structs.replace(capture, response_body=body, arrivals=arrivals_of(body, "events"))
    assert genai_fields(decode(other)) == expected(case)


@pytest.mark.parametrize("case", WHOLE_JSON)
def test_body_cut_at_any_byte_is_read_as_far_as_it_goes(case: str) -> None:
    capture = read_case(case)
    for length in range(len(capture.response_body.rstrip())):
        exchange = decode(msgspec.structs.replace(cut(capture, length), response_cut=True))
        assert exchange.decode_error == "response_cut"
        reset = decode(msgspec.structs.replace(cut(capture, length), error_type="upstream_reset"))
        assert not reset.complete or reset.error_type == str(capture.status)


@pytest.mark.parametrize("case", JSON_REQUESTS)
def test_request_cut_at_any_byte_leaves_the_response_readable(case: str) -> None:
    capture = read_case(case)
    whole = decode(capture)
    for length in range(0, len(capture.request_body.rstrip()), 7):
        body = capture.request_body[:length]
        exchange = decode(msgspec.structs.replace(capture, request_body=body, request_cut=True))
        assert exchange.decode_error == "request_cut"
        assert exchange.output_messages == whole.output_messages
        assert len(exchange.input_messages) <= len(whole.input_messages)


@given(case=st.sampled_from(CASES), body=st.binary(max_size=200), headers=st.binary(max_size=20), stream=st.booleans())
@settings(max_examples=150)
def test_arbitrary_bytes_never_raise(case: str, body: bytes, headers: bytes, stream: bool) -> None:
    content_type = "text/event-stream" if stream else "application/json"
    capture = msgspec.structs.replace(
        read_case(case),
        request_body=body,
        response_body=body[::-1] if stream else b"data: " + body,
        response_headers=(("content-type", content_type), ("content-encoding", headers.decode("latin-1"))),
    )
    exchange = decode(capture)
    assert exchange.decode_error != "decoder_failed"
    assert survives_the_journal(exchange)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The path of every value inside this one."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]  # type: ignore[index]


def mutated(data: st.DataObject, value: object) -> object:
    """The same JSON with anything at all somewhere in it, or something missing."""
    place = data.draw(st.sampled_from(places(value)))
    if not place:
        return data.draw(ANY_JSON)
    value = copy.deepcopy(value)
    inner = value
    for key in place[:-1]:
        inner = inner[key]  # type: ignore[index]
    if data.draw(st.booleans()):
        inner[place[-1]] = data.draw(ANY_JSON)  # type: ignore[index]
    else:
        del inner[place[-1]]  # type: ignore[attr-defined]
    return value


def mutated_stream(data: st.DataObject, body: bytes) -> bytes:
    blocks = body.split(b"\n\n")
    n = data.draw(st.integers(0, len(blocks) - 1))
    head, mark, payload = blocks[n].partition(b"data: ")
    if payload.startswith(b"{"):
        blocks[n] = head + mark + json.dumps(mutated(data, json.loads(payload))).encode()
    shuffled = data.draw(st.permutations(blocks)) if data.draw(st.integers(0, 4)) == 0 else blocks
    return b"\n\n".join(shuffled)


@given(case=st.sampled_from(CASES), data=st.data())
@settings(max_examples=400)
def test_any_value_anywhere_never_raises(case: str, data: st.DataObject) -> None:
    capture = read_case(case)
    request, response = capture.request_body, capture.response_body
    if case in JSON_REQUESTS:
        request = json.dumps(mutated(data, json.loads(request))).encode()
    if case in EVENT_STREAMS:
        response = mutated_stream(data, response)
    elif case in WHOLE_JSON:
        response = json.dumps(mutated(data, json.loads(response))).encode()
    exchange = decode(msgspec.structs.replace(capture, request_body=request, response_body=response))
    assert exchange.decode_error != "decoder_failed"
    assert survives_the_journal(exchange)


def test_the_plain_example_is_read_as_the_plain_exchange() -> None:
    attributes = {"openai.api.type": "chat_completions"}
    assert decode(a_capture()) == msgspec.structs.replace(an_exchange(), attributes=attributes)


def test_what_no_format_knows_is_an_http_exchange() -> None:
    exchange = decode(a_capture(target="/v1/models"))
    assert (exchange.wire, exchange.operation, exchange.http.route) == ("http", None, "/v1/models")


def test_a_failing_decoder_leaves_the_http_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name = "broken"

        def matches(self, capture: Capture) -> bool:
            return True

        def decode(self, capture: Capture) -> Exchange:
            raise RecursionError

    formats: tuple[WireFormat, ...] = (Broken(),)
    monkeypatch.setattr("wire.WIRE_FORMATS", formats)
    exchange = decode(a_capture())
    assert (exchange.wire, exchange.decode_error, exchange.http.status) == ("http", "decoder_failed", 200)


def test_each_format_has_cases() -> None:
    assert {case.split("/")[0] for case in CASES} == {wire_format.name for wire_format in WIRE_FORMATS}


def test_names_and_ids_are_no_longer_than_any_has_reason_to_be() -> None:
    body = {"id": "i" * 9000, "model": "m" * 9000, "choices": [], "system_fingerprint": "f" * 9000}
    request = {"model": "r" * 9000, "messages": [], "metadata": {str(n): "v" for n in range(500)}}
    exchange = decode(a_capture(request_body=json.dumps(request).encode(), response_body=json.dumps(body).encode()))
    named = (exchange.response_id, exchange.response_model, exchange.request_model, *exchange.attributes.values())
    assert max(len(name or "") for name in named) == 512
    assert len(exchange.claims) == 64


def test_a_body_with_nan_in_it_is_whole_though_it_is_no_json() -> None:
    body = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop","logprobs":NaN}]}'
    exchange = decode(a_capture(response_body=body))
    assert (text_of(exchange.output_messages), exchange.complete) == ("Hi", True)
    assert exchange.decode_error == "response_not_json"
    stream = b'data: {"choices":[{"delta":{"content":"Hi"},"logprobs":NaN}]}\n\ndata: [DONE]\n\n'
    exchange = decode(a_capture(response_body=stream))
    assert (text_of(exchange.output_messages), exchange.decode_error) == ("Hi", "event_not_json")

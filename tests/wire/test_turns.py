"""Every recorded dialogue of every spliced format: whole, compressed, in parts, cut anywhere, mutated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange, Part
from tests.support.records import MS, STARTED_AT, TRACE, a_capture
from tests.wire.cases import genai_fields
from tests.wire.dialogues import DIALOGUES, Said, connection, dialogue_of, expected_turns, read_dialogue
from tests.wire.test_formats import mutated, survives_the_journal
from wire import SPLICED_FORMATS, exchanges_of
from wire.reading import Answered, Asked
from wire.shapes import Shapes
from wire.turns import MAX_REPEATED, Turn, turns_of

PROBLEMS = (None, "websocket_cut", "websocket_broken", "event_not_json", "unexpected_shape", "usage_inconsistent")
TEXT = "openai_realtime/text"


def turns(capture: Capture) -> list[Exchange]:
    exchanges = exchanges_of(capture)
    assert all(exchange.decode_error != "decoder_failed" for exchange in exchanges)
    return [exchange for exchange in exchanges if exchange.turn]


def told(turn: Exchange) -> dict[str, Any]:
    """What a turn says; its times in ms, `began` after the connection did."""
    fields, timing = genai_fields(turn), turn.timing
    fields.pop("chunk_times", None)
    times = {
        "began": (timing.started_at - STARTED_AT) / MS,
        "came": (timing.first_byte_at or 0) / MS,
        "chunks": [time / MS for time in timing.chunk_times],
        "ended": timing.ended_at / MS,
    }
    return fields | {"times": times}


@pytest.mark.parametrize("case", DIALOGUES)
@pytest.mark.parametrize("deflate", [False, True])
def test_dialogue_is_read_as_the_api_means_it(case: str, deflate: bool) -> None:
    assert [told(turn) for turn in turns(read_dialogue(case, deflate))] == expected_turns(case)


def test_each_spliced_format_has_dialogues() -> None:
    assert {case.split("/")[0] for case in DIALOGUES} == {spliced.name for spliced in SPLICED_FORMATS}


@pytest.mark.parametrize("case", DIALOGUES)
def test_nothing_binary_is_kept(case: str) -> None:
    told_all = msgspec.json.encode(exchanges_of(read_dialogue(case)))
    assert b"iVBORw0KGgo" not in told_all
    assert b"AAECAwQF" not in told_all  # how the sound begins


@pytest.mark.parametrize("case", DIALOGUES)
def test_turns_are_told_apart(case: str) -> None:
    capture = read_dialogue(case)
    own, *spoken = exchanges_of(capture)
    assert (own.wire, own.turn, own.operation) == ("websocket", 0, None)
    assert [turn.turn for turn in spoken] == list(range(1, len(spoken) + 1))
    assert len({turn.id for turn in spoken} | {own.id}) == len(spoken) + 1
    assert len({turn.trace.client_span_id for turn in spoken} | {TRACE.client_span_id}) == len(spoken) + 1
    assert exchanges_of(capture) == (own, *spoken)


@pytest.mark.parametrize("case", DIALOGUES)
def test_ids_sort_by_time(case: str) -> None:
    for turn in turns(read_dialogue(case)):
        assert len(bytes.fromhex(turn.id)) == 16
        assert int(turn.id[:16], 16) == turn.timing.started_at


def test_a_turn_is_the_child_of_the_connection() -> None:
    turn = turns(read_dialogue(TEXT))[0]
    assert (turn.trace.trace_id, turn.trace.server_span_id) == (TRACE.trace_id, TRACE.client_span_id)


@pytest.mark.parametrize("case", DIALOGUES)
@pytest.mark.parametrize("side", ["request_body", "response_body"])
def test_copy_cut_at_any_byte_gives_the_turns_before_it(case: str, side: str) -> None:
    whole = read_dialogue(case)
    ended = {turn.response_id: turn for turn in turns(whole) if turn.complete}
    body = getattr(whole, side)
    for length in range(0, len(body), 13):
        cut = msgspec.structs.replace(whole, **{side: body[:length], side.replace("body", "cut"): True})
        for turn in turns(cut):
            assert turn.decode_error in PROBLEMS
            if turn.complete and turn.response_id and side == "response_body":
                assert turn.output_messages == ended[turn.response_id].output_messages
                assert turn.usage == ended[turn.response_id].usage


@pytest.mark.parametrize("case", DIALOGUES)
def test_a_cut_copy_is_named_once(case: str) -> None:
    whole = read_dialogue(case)
    cut = msgspec.structs.replace(whole, response_body=whole.response_body[:-3], response_cut=True)
    assert [turn.decode_error for turn in turns(cut)][-1] == "websocket_cut"
    assert [turn.decode_error for turn in turns(cut)].count("websocket_cut") == 1


def parts(said: list[Said], at: int, target: str, **changes: Any) -> list[Capture]:
    """The same connection handed over in two parts."""
    halves = [[each for each in said if each[0] < at], [each for each in said if each[0] >= at]]
    return [
        connection(half, target, part=n, last=bool(n), id=f"018bcfe56800000000000000000000{n:02x}", **changes)
        for n, half in enumerate(halves)
    ]


@pytest.mark.parametrize("case", DIALOGUES)
def test_parts_together_have_the_turns_of_the_whole(case: str) -> None:
    said, whole = dialogue_of(case), read_dialogue(case)
    ids = [turn.response_id for turn in turns(whole)]
    for at in sorted({at for at, by, _ in said if by == "server"}):
        first, second = parts(said, at, whole.target)
        spoken = [*turns(first), *turns(second)]
        assert {turn.response_id for turn in spoken if turn.complete and turn.response_id} <= set(ids)
        assert len({turn.id for turn in spoken}) == len(spoken)
        assert all(turn.complete or turn.error_type for turn in turns(first))


def test_what_ends_in_a_later_part_is_told_there() -> None:
    first, second = parts(dialogue_of(TEXT), 230, "/v1/realtime?model=m")
    assert [turn.response_id for turn in turns(first)] == ["resp_1"]
    (turn,) = turns(second)
    assert (turn.response_id, turn.complete, turn.request_model, turn.input_messages) == ("resp_2", True, "m", ())


def test_a_part_compressed_with_an_earlier_one_is_named() -> None:
    said = dialogue_of(TEXT)
    (turn,) = turns(connection(said, "/v1/realtime", deflate=True, part=1))
    assert (turn.decode_error, turn.complete, turn.output_messages) == ("websocket_continued", False, ())


def test_what_is_not_json_is_named() -> None:
    capture = read_dialogue(TEXT)
    spoken = turns(msgspec.structs.replace(capture, response_body=b"\x81\x03no!" + capture.response_body))
    assert [turn.decode_error for turn in spoken] == [None, "event_not_json"]


@pytest.mark.parametrize(
    ("method", "target", "wire"),
    [
        ("GET", "/v1/realtime?model=m", "openai_realtime"),
        ("GET", "/openai/realtime?api-version=1&deployment=d", "openai_realtime"),
        ("GET", "/v1/responses", "openai_responses_socket"),
        ("GET", "/v1/other", None),
    ],
)
def test_matches(method: str, target: str, wire: str | None) -> None:
    capture = connection([], target, method=method)
    assert next((spliced.name for spliced in SPLICED_FORMATS if spliced.matches(capture)), None) == wire


def test_silence_is_no_turn() -> None:
    assert len(exchanges_of(connection([], "/v1/realtime"))) == 1


@given(case=st.sampled_from(DIALOGUES), data=st.data())
@settings(max_examples=150)
def test_any_value_anywhere_never_raises(case: str, data: st.DataObject) -> None:
    said = dialogue_of(case)
    n = data.draw(st.integers(0, len(said) - 1))
    at, by, event = said[n]
    bent: Any = mutated(data, event)
    said[n] = (at, by, bent)
    if data.draw(st.booleans()):
        del said[data.draw(st.integers(0, len(said) - 1))]
    if data.draw(st.integers(0, 3)) == 0:
        said = [(at, *rest) for (at, *_), (_, *rest) in zip(said, data.draw(st.permutations(said)), strict=True)]
    for exchange in exchanges_of(connection(said, read_dialogue(case).target)):
        assert exchange.decode_error != "decoder_failed"
        assert survives_the_journal(exchange)


@given(client=st.binary(max_size=200), server=st.binary(max_size=200), deflate=st.booleans())
@settings(max_examples=100)
def test_arbitrary_bytes_never_raise(client: bytes, server: bytes, deflate: bool) -> None:
    capture = connection([], "/v1/realtime", deflate, request_body=client, response_body=server)
    for exchange in exchanges_of(capture):
        assert exchange.decode_error != "decoder_failed"
        assert survives_the_journal(exchange)


def test_at_the_same_time_the_client_spoke_first() -> None:
    said = [(0, by, event) for _, by, event in dialogue_of("openai_responses_socket/error")[:2]]
    (turn,) = turns(connection(said, "/v1/responses"))
    assert turn.error_message == "Previous response with id 'resp_gone' not found."


def test_turns_that_repeat_too_much_go_without_their_sessions_instructions() -> None:
    instructions = (Part("text", content="x" * 300_000),)

    def turn() -> Turn:
        asked = Asked(system_instructions=instructions, tool_definitions=({"type": "function", "name": "f"},))
        return Turn(asked, Answered(), "chat", Shapes(), 0, 0, 1)

    class Listening:
        def hear(self, said: Said) -> None: ...

        def turns(self, unfinished: bool) -> list[Turn]:
            return [turn() for _ in range(10)]

    exchanges = turns_of(a_capture(status=101, request_body=b"", response_body=b""), "w", "p", Listening())
    kept = MAX_REPEATED // 300_000
    assert [bool(each.system_instructions) for each in exchanges] == [True] * kept + [False] * (10 - kept)
    assert [each.decode_error for each in exchanges] == [None] * kept + ["session_left_out"] * (10 - kept)

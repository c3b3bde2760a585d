from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Exchange, Message, Part
from processors.redact import MAX_DEPTH, Redact
from tests.support.records import an_exchange, answer

CARD = "4111111111111111"


def answered(text: str, redact: Redact | None = None) -> str | None:
    masked = (redact or Redact()).redact(an_exchange(output_messages=(answer(text),)))
    return masked.output_messages[0].parts[0].content


def everything(secret: str) -> Exchange:
    """An exchange that holds the text wherever one can be."""
    said = Part("text", content=secret, citations=({"text": secret},))
    searched = Part("server_tool_call", id="s_1", name="search", server_tool_call={"query": secret})
    found = Part("server_tool_call_response", id="s_1", server_tool_call_response={"results": [secret]})
    call = Part("tool_call", id="call_1", name="send", arguments={"to": [secret], secret: 1})
    response = Part("tool_call_response", id="call_1", response={"got": secret})
    exchange = an_exchange(
        system_instructions=(said,),
        input_messages=(Message("user", (said, Part("uri", uri=f"https://x.example/?q={secret}")), name=secret),),
        output_messages=(
            answer(secret, "tool_call", Part("reasoning", content=secret), call, response, searched, found),
        ),
        tool_definitions=({"type": "function", "name": "send", "description": f"as {secret} does"},),
        parameters={"stop": [secret]},
        output_schema={"const": secret},
        attributes={"user.id": secret},
        error_message=f"no {secret}",
        conversation=secret,
        session=secret,
        context=(f"about {secret}",),
    )
    return msgspec.structs.replace(
        exchange, http=msgspec.structs.replace(exchange.http, query=f"user={secret}", path=f"/v1/{secret}")
    )


def test_an_exchange_without_findings_keeps_its_texts_and_is_labelled() -> None:
    exchange = an_exchange()
    assert Redact().redact(exchange) == msgspec.structs.replace(exchange, content="redacted")


@pytest.mark.parametrize("content", ["full", "redacted", "off"])
def test_nothing_to_change_gives_the_same_object(content: Any) -> None:
    once = Redact(content=content).redact(everything("a@b.co"))
    assert Redact(content=content).redact(once) is once or content == "full"
    assert Redact(content="full").redact(exchange := an_exchange()) is exchange


def test_no_text_escapes() -> None:
    masked = Redact().redact(everything("a@b.co"))
    assert b"a@b.co" not in msgspec.json.encode(masked)
    assert masked.findings == {"input": {"EMAIL": 14}, "output": {"EMAIL": 8}}
    assert masked.output_messages[0].parts[2].arguments == {"to": ["[EMAIL_1]"], "[EMAIL_1]": 1}
    assert masked.content == "redacted"


def test_full_only_counts() -> None:
    exchange = everything("a@b.co")
    counted = Redact(content="full").redact(exchange)
    assert counted == msgspec.structs.replace(exchange, findings=counted.findings)
    assert counted.findings == {"input": {"EMAIL": 14}, "output": {"EMAIL": 8}}


def test_off_removes_every_text_and_keeps_the_shape() -> None:
    bare = Redact(content="off").redact(everything("canary a@b.co"))
    assert bare.content == "off"
    assert b"canary" not in msgspec.json.encode(
        (bare.system_instructions, bare.input_messages[0].parts, bare.output_messages)
    )
    assert bare.output_messages[0].parts[2] == Part("tool_call", id="call_1", name="send")
    assert bare.tool_definitions == ({"type": "function", "name": "send"},)
    assert bare.error_message is None
    assert bare.output_schema == {"const": "canary [EMAIL_1]"}
    assert bare.findings["output"] == {"EMAIL": 8}
    assert bare.context == ()


def test_a_stricter_content_is_never_relaxed() -> None:
    bare = Redact(content="off").redact(an_exchange())
    assert Redact(content="full").redact(bare).content == "off"


def test_the_same_value_keeps_its_number_on_both_sides() -> None:
    asked = Message("user", (Part("text", content="I am A@b.co or c@d.co"),))
    masked = Redact().redact(an_exchange(input_messages=(asked,), output_messages=(answer("c@d.co? Not a@b.co?"),)))
    assert masked.input_messages[0].parts[0].content == "I am [EMAIL_1] or [EMAIL_2]"
    assert masked.output_messages[0].parts[0].content == "[EMAIL_2]? Not [EMAIL_1]?"


def test_separators_do_not_make_another_value() -> None:
    assert answered(f"{CARD} is 4111 1111 1111 1111") == "[CARD_1] is [CARD_1]"


def test_a_bare_number_in_json_becomes_zero() -> None:
    text = f'{{"card": {CARD}, "note": "a, {CARD}, \\"{CARD}\\"", "list": [{CARD}]}}'
    masked = answered(text)
    assert masked is not None
    assert orjson.loads(masked) == {"card": 0, "note": 'a, [CARD_1], "[CARD_1]"', "list": [0]}


def test_digits_within_a_longer_number_leave_a_number() -> None:
    masked = answered(json.dumps([51_100_240_855_123_540_000]))
    assert masked is not None
    assert json.loads(masked) != [51_100_240_855_123_540_000]


def test_a_number_among_arguments_becomes_zero() -> None:
    call = Part("tool_call", name="pay", arguments={"card": int(CARD), "amount": 12, "ok": True})
    masked = Redact().redact(an_exchange(output_messages=(Message("assistant", (call,)),)))
    assert masked.output_messages[0].parts[0].arguments == {"card": 0, "amount": 12, "ok": True}
    assert masked.findings == {"output": {"CARD": 1}}


def test_arguments_that_did_not_parse_are_masked_as_text() -> None:
    call = Part("tool_call", name="pay", arguments='{"to": "\\na@b.co", ')
    masked = Redact().redact(an_exchange(output_messages=(Message("assistant", (call,)),)))
    assert masked.output_messages[0].parts[0].arguments == '{"to": "\\n[EMAIL_1]", '


def test_a_value_under_a_secrets_name_need_not_look_like_one() -> None:
    call = Part("tool_call", name="log_in", arguments={"password": "hunter22", "db_api_key": "x1", "token": "string"})
    masked = Redact().redact(an_exchange(output_messages=(Message("assistant", (call,)),)))
    assert masked.output_messages[0].parts[0].arguments == {
        "password": "[API_KEY_1]",
        "db_api_key": "[API_KEY_2]",
        "token": "string",
    }


def test_secrets_in_a_query_are_taken_out() -> None:
    exchange = an_exchange()
    http = msgspec.structs.replace(exchange.http, query="key=abcd1234efgh&alt=sse")
    assert Redact().redact(msgspec.structs.replace(exchange, http=http)).http.query == "key=[API_KEY_1]&alt=sse"


def test_ids_are_left_alone() -> None:
    part = Part("tool_call_response", id=CARD, file_id="a@b.co", response="fine")
    exchange = an_exchange(input_messages=(Message("tool", (part,)),), response_id=CARD)
    assert Redact().redact(exchange).input_messages == exchange.input_messages


def test_findings_of_an_earlier_redaction_are_kept() -> None:
    first = Redact(kinds=("EMAIL",)).redact(an_exchange(output_messages=(answer("a@b.co 203.0.113.7"),)))
    second = Redact().redact(first)
    assert second.output_messages[0].parts[0].content == "[EMAIL_1] [IP_1]"
    assert second.findings == {"output": {"EMAIL": 1, "IP": 1}}


def test_a_users_pattern_is_a_kind_of_its_own() -> None:
    redact = Redact(patterns={"STAFF_ID": r"\bE-\d{5}\b", "NAME_DE": "Jörg|Änne"})
    assert answered("E-12345 and E-123456, Jörg", redact) == "[STAFF_ID_1] and E-123456, [NAME_DE_1]"


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ({"A": r"(?=x)y"}, r"patterns\.A is no RE2 pattern .*look-around"),
        ({"A": "("}, r"patterns\.A is no RE2 pattern"),
        ({"A": "x*"}, r"patterns\.A matches the empty text"),
        ({"A": "x" * 501}, r"patterns\.A has 501 characters; 500 are allowed"),
        ({"A": r"((\pL{1,200}){1,200}){1,200}"}, r"patterns\.A is no RE2 pattern"),
        ({"staff id": "x"}, r"patterns\.staff id: name it in capitals, like EMPLOYEE_ID"),
    ],
)
def test_a_users_pattern_that_will_not_do_is_refused(patterns: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Redact(patterns=patterns)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="content is 'some'; choose one of full, redacted, off"):
        Redact(content="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kinds is 'NAMES'; choose one of API_KEY, CARD"):
        Redact(kinds=("NAMES",))


def test_json_nested_beyond_reason_is_cut_rather_than_left_unread() -> None:
    nested: Any = "a@b.co"
    for _ in range(MAX_DEPTH + 500):
        nested = {"a": nested}
    masked = Redact().redact(an_exchange(output_schema=nested))
    assert b"a@b.co" not in orjson.dumps(masked.output_schema)


def test_half_of_a_surrogate_pair_survives() -> None:
    assert answered("\ud800 a@b.co \udfff") == "\ud800 [EMAIL_1] \udfff"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["a@b.co", CARD, int(CARD), "password"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.just("a@b.co"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_json_text_stays_json_and_loses_its_secrets(value: Any) -> None:
    masked = answered(json.dumps([value]))
    assert masked is not None
    json.loads(masked)
    assert "a@b.co" not in masked
    assert CARD not in masked


@given(JSON)
def test_redaction_is_done_once(value: Any) -> None:
    call = Part("tool_call", name="f", arguments=value)
    once = Redact().redact(an_exchange(output_messages=(Message("assistant", (call,)),)))
    assert Redact().redact(once) is once


@pytest.mark.parametrize(
    "member", ["name", "uri", "arguments", "response", "server_tool_call", "server_tool_call_response"]
)
def test_whatever_a_text_part_holds_besides_is_masked(member: str) -> None:
    value: Any = "jane@nest.example" if member in ("name", "uri") else {"jane@nest.example": None}
    part = Part("text", **{member: value})
    masked = Redact().redact(an_exchange(system_instructions=(part,)))
    assert "jane@nest.example" not in repr(masked)


def test_the_expected_answer_is_masked_as_every_text_is() -> None:
    masked = Redact().redact(an_exchange(ground_truth="Write to jane@nest.example."))
    assert masked.ground_truth == "Write to [EMAIL_1]."
    assert Redact(content="off").redact(an_exchange(ground_truth="Write.")).ground_truth is None

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from config.build import build_one
from pipeline.errors import ConfigError
from pipeline.records import Capture, Exchange, Message, Part
from processors.identify import LONGEST_ATTRIBUTE, LONGEST_SESSION, SESSION_SOURCES, Identify
from proxy.headers import credential_hash
from tests.processors.test_contract import EXCHANGES
from tests.support.records import STARTED_AT, TRACE, a_capture, an_exchange, answer
from wire import decode

SALT = b"s" * 32
SECOND = 10**9
QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def identified(exchange: Exchange | None = None, /, capture: Capture | None = None, **options: Any) -> Exchange:
    identifier = Identify(**options).identifier(SALT)
    return identifier.identify(capture or a_capture(), exchange or an_exchange())


def with_headers(**headers: str) -> Capture:
    return a_capture(request_headers=tuple([(name.replace("_", "-"), value) for name, value in headers.items()]))


def hashed(value: str) -> str:
    return blake2b(value.encode(), key=SALT, digest_size=8).hexdigest()


# -- users ------------------------------------------------------------------------------------------------------------

EVERYONE = {"safety_identifier": "si", "user": "u", "metadata.user_id": "m", "metadata.account": "acc"}


@pytest.mark.parametrize(
    ("order", "value", "source"),
    [
        (("header", "user"), "h", "header"),
        (("safety_identifier", "user"), "si", "safety_identifier"),
        (("user", "header"), "u", "user"),
        (("metadata.user_id",), "m", "metadata.user_id"),
        (("metadata.nothing", "metadata.account"), "acc", "metadata.account"),
        (("baggage", "user"), "Zoë", "baggage"),
    ],
)
def test_the_first_source_that_names_a_user_counts(order: tuple[str, ...], value: str, source: str) -> None:
    capture = with_headers(X_User_Id=" h ", Baggage="a=b,enduser.id=Zo%C3%AB")
    found = identified(an_exchange(claims=EVERYONE), capture, user=order)
    assert (found.user, found.user_source) == (hashed(value), source)


def test_without_any_the_api_key_stands_for_the_user() -> None:
    by_the_proxy = credential_hash([(b"Authorization", b"Bearer sk-1")], SALT)
    found = identified(capture=a_capture(credential=by_the_proxy))
    assert (found.user, found.user_source) == (hashed("sk-1"), "credential")


def test_nobody_is_nobody() -> None:
    found = identified(an_exchange(claims={"user": "  "}), with_headers(X_User_Id=" "))
    assert (found.user, found.user_source) == (None, None)


def test_a_user_id_made_of_several_is_hashed_as_it_is() -> None:
    composite = '{"device":"d","session":"s"}'
    assert identified(an_exchange(claims={"metadata.user_id": composite})).user == hashed(composite)


def test_another_salt_makes_another_hash() -> None:
    exchange = an_exchange(claims={"user": "ann"})
    users = {Identify().identifier(salt).identify(a_capture(), exchange).user for salt in (b"one", b"two")}
    assert len(users) == 2


@pytest.mark.parametrize("order", [(), ("header",), ("user",)])
def test_claims_are_emptied_and_no_name_is_left(order: tuple[str, ...]) -> None:
    capture = with_headers(X_User_Id="canary@nest.example", Baggage="user.id=canary%40nest.example")
    found = identified(an_exchange(claims={"user": "canary@nest.example", "metadata.x": "canary"}), capture, user=order)
    assert found.claims == {}
    assert b"canary" not in msgspec.json.encode(found)


# -- sessions that somebody names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "session", "source"),
    [
        (SESSION_SOURCES, "s-1", "header"),
        (("conversation", "header"), "conv_1", "conversation"),
        (("baggage", "header"), "b 1", "baggage"),
        (("history",), an_exchange().id, "history"),
        ((), None, None),
    ],
)
def test_the_first_source_that_names_a_session_counts(
    order: tuple[str, ...], session: str | None, source: str | None
) -> None:
    capture = with_headers(X_Session_Id="s-1", Baggage="session.id=b%201")
    found = identified(an_exchange(conversation="conv_1"), capture, session=order)
    assert (found.session, found.session_source) == (session, source)
    assert found.conversation == "conv_1"


def test_a_session_from_a_header_is_the_applications_own_conversation_and_an_invented_one_is_none() -> None:
    assert identified(capture=with_headers(Session_Id="s-1")).conversation == "s-1"
    assert identified(capture=with_headers(Baggage="session.id=browser")).conversation is None
    assert identified().conversation is None


def test_headers_of_a_kind_are_asked_in_their_order() -> None:
    capture = with_headers(X_Session_Id="second", X_Sidelight_Session="first")
    assert identified(capture=capture).session == "first"
    assert identified(capture=capture, session_headers=("x-SESSION-id",)).session == "second"


def test_a_long_session_is_cut() -> None:
    assert identified(capture=with_headers(X_Session_Id="x y" * 100)).session == ("x y" * 100)[:LONGEST_SESSION]


@pytest.mark.parametrize("name", ["ann@example.com", "sk-" + "a1" * 20, "thread of ann@example.com, 2"])
def test_a_session_that_says_who_somebody_is_or_opens_something_is_hashed(name: str) -> None:
    by_header = identified(capture=with_headers(X_Session_Id=name))
    assert re.fullmatch("[0-9a-f]{32}", by_header.session or "")
    assert by_header.conversation == by_header.session
    by_api = identified(an_exchange(conversation=name))
    assert (by_api.session, by_api.conversation) == (by_header.session, by_header.session)


def test_embeddings_have_a_session_only_when_somebody_names_it() -> None:
    embeddings = an_exchange(operation="embeddings", output_messages=())
    assert identified(embeddings).session is None
    assert identified(embeddings, with_headers(X_Session_Id="s-1")).session == "s-1"


def test_the_turns_of_one_connection_are_one_session() -> None:
    identifier = Identify().identifier(SALT)
    turns = [an_exchange(id=f"{turn:032x}", turn=turn) for turn in (1, 2)]
    other = msgspec.structs.replace(TRACE, server_span_id="a" * 16)
    found = [identifier.identify(a_capture(), turn) for turn in (*turns, an_exchange(turn=1, trace=other))]
    assert [each.session for each in found] == [TRACE.server_span_id, TRACE.server_span_id, "a" * 16]
    assert {each.session_source for each in found} == {"connection"}


def test_responses_that_go_on_from_each_other_are_one_session() -> None:
    identifier = Identify().identifier(SALT)

    def respond(identity: str, previous: str | None) -> Exchange:
        claims = {"previous_response_id": previous} if previous else {}
        exchange = an_exchange(id=identity, response_id=f"resp_{identity}", claims=claims)
        return identifier.identify(a_capture(), exchange)

    first = respond("a", None)
    assert (first.session, first.session_source) == ("a", "history")
    second, branch, third = respond("b", "resp_a"), respond("c", "resp_a"), respond("d", "resp_b")
    assert {each.session for each in (second, branch, third)} == {"a"}
    assert {each.session_source for each in (second, branch, third)} == {"response"}
    assert respond("e", None).session == "e"


def test_a_chain_whose_beginning_was_not_seen_is_one_session_too() -> None:
    def respond(identity: str, previous: str) -> str | None:
        claims = {"previous_response_id": previous}
        return identifier.identify(a_capture(), an_exchange(response_id=identity, claims=claims)).session

    identifier = Identify(session=("response",)).identifier(SALT)
    begun = respond("resp_2", "resp_1")
    assert begun is not None
    assert [respond("resp_3", "resp_2"), respond("resp_4", "resp_1")] == [begun, begun]
    assert respond("resp_x", "resp_w") != begun
    identifier = Identify(session=("response",)).identifier(SALT)  # after a restart
    assert respond("resp_5", "resp_1") == begun


# -- sessions found by what was said ----------------------------------------------------------------------------------


class Step(NamedTuple):
    """What the model says at one point: text, calls, or both."""

    text: str
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


class Said(NamedTuple):
    """One entry of a conversation, in nobody's format."""

    who: str  # user, assistant, tools
    text: str = ""
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = ()  # (id, name, arguments)


def openai_messages(said: Sequence[Said], arguments: Callable[[Any], str]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for entry in said:
        if entry.who == "tools":
            messages += [{"role": "tool", "tool_call_id": call[0], "content": "done"} for call in entry.calls]
            continue
        message: dict[str, Any] = {"role": entry.who, "content": entry.text or None}
        if entry.calls:
            message["tool_calls"] = [
                {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments(given)}}
                for identity, name, given in entry.calls
            ]
        messages.append(message)
    return messages


def openai_capture(system: str, said: Sequence[Said], came: Said, **changes: Any) -> Capture:
    asked = {"model": "gpt-4o", "messages": [{"role": "system", "content": system}]}
    asked["messages"] += openai_messages(said, lambda given: json.dumps(given, indent=1, sort_keys=True))
    [message] = openai_messages([came], json.dumps)
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return a_call("/v1/chat/completions", asked, {"id": "chatcmpl-1", "choices": [choice]}, **changes)


def anthropic_blocks(entry: Said) -> list[dict[str, Any]]:
    if entry.who == "tools":
        return [{"type": "tool_result", "tool_use_id": call[0], "content": "done"} for call in entry.calls]
    text = [{"type": "text", "text": entry.text}] if entry.text else []
    return text + [
        {"type": "tool_use", "id": identity, "name": name, "input": given} for identity, name, given in entry.calls
    ]


def anthropic_capture(system: str, said: Sequence[Said], came: Said, **changes: Any) -> Capture:
    roles = {"user": "user", "tools": "user", "assistant": "assistant"}
    messages = [{"role": roles[entry.who], "content": anthropic_blocks(entry)} for entry in said]
    asked = {"model": "claude", "max_tokens": 9, "system": system, "messages": messages}
    thinking = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]  # which many clients do not send back
    answered = {"type": "message", "role": "assistant", "content": thinking + anthropic_blocks(came)}
    return a_call("/v1/messages", asked, answered | {"stop_reason": "end_turn"}, **changes)


def a_call(target: str, asked: Any, answered: Any, **changes: Any) -> Capture:
    bodies = {"request_body": json.dumps(asked).encode(), "response_body": json.dumps(answered).encode()}
    return a_capture(target=target, **bodies, **changes)


STYLES = {"openai": openai_capture, "anthropic": anthropic_capture}


class Chat:
    """A client with one conversation, in its API's style; its system prompt tells the time."""

    def __init__(self, name: str, style: str = "openai", user: str = "ann", address: str = "10.0.0.1") -> None:
        self.said: list[Said] = []
        self._capture = STYLES[style]
        self._name = name
        self._changes = {"client_address": address, "upstream": style}
        self._changes["request_headers"] = (("X-User-Id", user),) if user else ()
        self._calls = 0

    def says(self, text: str) -> Chat:
        self.said.append(Said("user", text))
        return self

    def hears(self, step: Step, at: int = 0) -> tuple[Capture, Exchange]:
        """One exchange; the answer and the tools' results are in the next request."""
        self._calls += 1
        identity = f"{self._name}-{self._calls}"
        calls = tuple([(f"call-{identity}-{n}", name, given) for n, (name, given) in enumerate(step.calls)])
        came = Said("assistant", step.text, calls)
        started_at = STARTED_AT + at * SECOND
        capture = self._capture(
            f"It is {at}.", self.said, came, id=identity, started_at=started_at, ended_at=1, **self._changes
        )
        self.said.append(came)
        if calls:
            self.said.append(Said("tools", calls=calls))
        exchange = decode(capture)
        assert exchange.decode_error is None
        assert len(exchange.output_messages) == 1
        return capture, exchange


NAMES = st.sampled_from(["weather", "search"])
ARGUMENTS = st.dictionaries(
    st.sampled_from("abc"), st.none() | st.integers(0, 9) | st.floats(0, 9) | st.text(max_size=5), max_size=3
)
WORDS = st.sampled_from(["Hello!", " Hi there.\n", "Yes", "No", "Ünïcödé 🙂", "1"])
STEPS = st.one_of(
    st.builds(Step, WORDS, st.just(())),
    st.builds(Step, st.just("") | WORDS, st.lists(st.tuples(NAMES, ARGUMENTS), min_size=1, max_size=3).map(tuple)),
)
TALKS = st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=1, max_size=4)  # of each of the user's messages


@QUICK
@given(st.lists(st.tuples(st.sampled_from([*STYLES]), TALKS), min_size=1, max_size=4), st.randoms())
def test_every_conversation_is_one_session_whoever_talks_at_the_same_time(
    talks: list[tuple[str, list[list[Step]]]], chance: Any
) -> None:
    identifier = Identify().identifier(SALT)
    chats = [Chat(f"chat{number}", style, user=f"user{number}") for number, (style, _) in enumerate(talks)]
    script = [
        (number, step, place == 0)
        for number, (_, talk) in enumerate(talks)
        for steps in talk
        for place, step in enumerate(steps)
    ]
    order = [number for number, _, _ in script]
    chance.shuffle(order)
    left = {number: [(step, new) for who, step, new in script if who == number] for number in set(order)}
    sessions: dict[int, set[str | None]] = {number: set() for number in left}
    for at, number in enumerate(order):
        step, new_message = left[number].pop(0)
        chat = chats[number].says("Hello!") if new_message else chats[number]
        sessions[number].add(identifier.identify(*chat.hears(step, at)).session)
    assert all(len(found) == 1 for found in sessions.values())
    assert len(set.union(*sessions.values())) == len(chats)


def sessions_of(*exchanges: tuple[Capture, Exchange], **options: Any) -> list[str | None]:
    identifier = Identify(**options).identifier(SALT)
    return [identifier.identify(*each).session for each in exchanges]


def test_the_same_greeting_of_two_users_is_two_sessions() -> None:
    chats = [Chat("one", user="ann").says("hi"), Chat("two", user="bob").says("hi")]
    first = [chat.hears(Step("Hello!")) for chat in chats]
    second = [chat.says("And?").hears(Step("So.")) for chat in chats]
    assert sessions_of(*first, *second) == ["one-1", "two-1", "one-1", "two-1"]


def test_where_no_user_is_known_the_address_tells_them_apart() -> None:
    chats = [Chat(name, user="", address=address).says("hi") for name, address in (("one", "::1"), ("two", "::2"))]
    first = [chat.hears(Step("Hello!")) for chat in chats]
    second = [chat.says("And?").hears(Step("So.")) for chat in chats]
    assert sessions_of(*first, *second) == ["one-1", "two-1", "one-1", "two-1"]


def test_the_same_first_message_again_is_a_new_session() -> None:
    chats = [Chat(name).says("hi") for name in ("one", "two")]
    assert sessions_of(*[chat.hears(Step("Hello!")) for chat in chats]) == ["one-1", "two-1"]


def test_an_answer_that_is_generated_again_stays_in_the_session() -> None:
    chat = Chat("one").says("hi")
    first = chat.hears(Step("Hello!"))
    second = chat.says("A joke?").hears(Step("Knock knock."))
    chat.said.pop()
    again = chat.hears(Step("A horse walks into a bar."))
    on = chat.says("Another!").hears(Step("No."))
    assert sessions_of(first, second, again, on) == ["one-1"] * 4


def test_after_a_restart_a_conversation_is_a_new_session_and_stays_that() -> None:
    chat = Chat("one").says("hi")
    before = [chat.hears(Step("Hello!")), chat.says("And?").hears(Step("So."))]
    after = [chat.says("Then?").hears(Step("Well.")), chat.says("Oh?").hears(Step("Yes."))]
    assert sessions_of(*before) == ["one-1", "one-1"]
    assert sessions_of(*after) == ["one-3", "one-3"]


def test_a_history_whose_oldest_turns_were_dropped_is_not_recognised() -> None:
    chat = Chat("one").says("hi")
    before = [chat.hears(Step("Hello!")), chat.says("And?").hears(Step("So."))]
    del chat.said[:2]
    assert sessions_of(*before, chat.says("Then?").hears(Step("Well."))) == ["one-1", "one-1", "one-3"]


def test_a_conversation_resumed_after_the_window_is_a_new_session() -> None:
    chat = Chat("one").says("hi")
    times = [chat.hears(Step("a"), 0), chat.says("b").hears(Step("c"), 60), chat.says("d").hears(Step("e"), 121)]
    assert sessions_of(*times, window=60) == ["one-1", "one-1", "one-3"]


def test_requests_to_several_upstreams_are_several_sessions() -> None:
    chat = Chat("one").says("hi")
    first, (capture, second) = chat.hears(Step("Hello!")), chat.says("And?").hears(Step("So."))
    elsewhere = (capture, msgspec.structs.replace(second, upstream="other"))
    assert sessions_of(first, elsewhere) == ["one-1", "one-2"]


def test_a_request_that_failed_and_was_sent_again_is_one_session() -> None:
    chat = Chat("one").says("hi")
    capture, failed = chat.hears(Step("never came"))
    chat.said.pop()
    failed = msgspec.structs.replace(failed, output_messages=(), error_type="429")
    assert sessions_of((capture, failed), chat.hears(Step("Hello!"))) == ["one-1", "one-1"]


def test_the_memory_of_conversations_is_bounded_and_keeps_no_text() -> None:
    identifier = Identify(max_answers=10).identifier(SALT)
    for number in range(50):
        capture, exchange = Chat(f"canary{number}").says(f"canary {number}").hears(Step("canary text"))
        identifier.identify(capture, msgspec.structs.replace(exchange, response_id=f"canary text {number}"))
    assert len(identifier._sessions) == 20
    assert b"canary text" not in repr([*identifier._sessions._by_key]).encode()


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_headers_become_attributes_by_the_allow_list() -> None:
    capture = with_headers(X_Tenant="acme", X_Long="x" * 999, X_Other="not asked for", X_Empty="")
    exchange = an_exchange(attributes={"openai.api.type": "chat_completions"})
    names = {"x-TENANT": "app.tenant", "x-long": "app.long", "x-empty": "app.empty", "x-absent": "app.absent"}
    assert identified(exchange, capture, attributes=names).attributes == {
        "openai.api.type": "chat_completions",
        "app.tenant": "acme",
        "app.long": "x" * LONGEST_ATTRIBUTE,
    }


def test_the_system_prompt_has_a_fingerprint() -> None:
    found = [
        identified(
            an_exchange(system_instructions=(Part("text", content=f"Help. Ask {name}."),)), variables=(r"Ask \w+",)
        )
        for name in ("Ann", "Bob")
    ]
    assert found[0].prompt_fingerprint == found[1].prompt_fingerprint is not None
    assert identified().prompt_fingerprint is None


def test_an_exchange_of_no_model_is_identified_too() -> None:
    bare = an_exchange(wire="http", operation=None, input_messages=(), output_messages=(), response_id=None)
    found = identified(bare, with_headers(X_User_Id="ann", X_Session_Id="s"))
    assert (found.user, found.session, found.prompt_fingerprint) == (hashed("ann"), "s", None)


@QUICK
@given(EXCHANGES, st.dictionaries(st.sampled_from(["user", "previous_response_id"]), st.text()), st.text() | st.none())
def test_anything_is_identified_without_raising_or_changing_it(
    exchange: Exchange, claims: dict[str, str], conversation: str | None
) -> None:
    exchange = msgspec.structs.replace(exchange, claims=claims, conversation=conversation)
    before = repr(exchange)
    found = identified(exchange, with_headers(Baggage=f"user.id={conversation}", X_Session_Id=str(conversation)))
    assert repr(exchange) == before
    assert found.claims == {}
    assert len(found.session or "") <= LONGEST_SESSION


def test_what_is_read_is_told_in_lower_case_and_no_more_than_that() -> None:
    options = Identify(user_headers=("X-Who",), session_headers=("X-Auth-Session",), attributes={"X-Tenant": "t"})
    assert options.headers_read == {"x-who", "x-auth-session", "x-tenant"}
    assert Identify(user=("user",), session=("history",)).headers_read == frozenset()


def test_the_api_key_is_only_asked_for_where_it_counts() -> None:
    assert Identify().wants_credential
    assert not Identify(user=("header",)).wants_credential


def test_a_salt_of_ones_own_makes_a_key_of_32_bytes_and_is_not_shown() -> None:
    options = Identify(salt=SecretStr("correct horse battery"))
    assert options.own_salt == Identify(salt=SecretStr("correct horse battery")).own_salt
    assert len(options.own_salt or b"") == 32
    assert "horse" not in repr(options)
    assert Identify().own_salt is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"user": ["cookie"]}, "user is 'cookie'; choose one of header"),
        ({"session": ["user"]}, "session is 'user'; choose one of header"),
        ({"user_headers": ["Authorization"]}, "authorization is a credential"),
        ({"attributes": {"Cookie": "app.cookie"}}, "cookie is a credential"),
        ({"attributes": {"x-model": "gen_ai.request.model"}}, "'gen_ai.request.model', which Sidelight itself sets"),
        ({"window": 0}, "window is 0.0; give a positive duration"),
        ({"max_answers": 0}, "max_answers is 0"),
        ({"variables": ["("]}, "variables[0] is no RE2 pattern"),
        ({"salt": "short"}, "salt is too short"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_one(("processors", "identify"), options, Identify)
    assert problem in str(refused.value)
    assert "short'" not in str(refused.value)


def test_options_are_read_from_a_configuration() -> None:
    options = {"window": "1h", "salt": "0123456789abcdef", "user": ["metadata.team"], "attributes": {"x-a": "a"}}
    built = build_one(("processors", "identify"), options, Identify)
    assert (built.window, built.user, built.attributes) == (3600, ("metadata.team",), {"x-a": "a"})


def test_messages_without_words_are_no_trouble() -> None:
    empty = an_exchange(input_messages=(Message("user", ()), Message("assistant", ())), output_messages=(answer(""),))
    assert identified(empty).session == empty.id

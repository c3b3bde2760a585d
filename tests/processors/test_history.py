from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.records import Exchange, Message, Part
from processors.history import CHOICES, LONGEST, History, history_of
from tests.processors.test_contract import EXCHANGES
from tests.support.records import an_exchange, answer

SALT = b"salt" * 8
QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def text(role: str, *texts: str) -> Message:
    return Message(role, tuple([Part("text", content=each) for each in texts]))


def called(*calls: tuple[str, Any], said: str = "") -> Message:
    parts = [Part("tool_call", id=f"call_{number}", name=name, arguments=arguments) for number, (name, arguments) in
             enumerate(calls)]  # fmt: skip
    return Message("assistant", (*([Part("text", content=said)] if said else []), *parts))


def result(response: Any, identity: str = "call_0") -> Message:
    return Message("tool", (Part("tool_call_response", id=identity, response=response),))


def history(*asked: Message, answers: tuple[Message, ...] = (), scope: bytes = b"", salt: bytes = SALT) -> History:
    found = history_of(an_exchange(input_messages=asked, output_messages=answers), scope, salt)
    assert found is not None
    return found


def goes_on(asked: tuple[Message, ...], came: Message, sent_back: tuple[Message, ...]) -> bool:
    """Does the next request, with this in place of the answer, hold the key that the answer had?"""
    before = history(*asked, answers=(came,))
    after = history(*asked, *sent_back, text("user", "And then?"))
    return before.answers[0] in after.turns


HELLO = text("user", "Hello?")
WEATHER = ("weather", {"city": "Oslo", "days": 2})
TIME = ("time", {"zone": "CET"})


@pytest.mark.parametrize(
    ("came", "sent_back"),
    [
        (answer("Hi!"), (text("assistant", "Hi!"),)),
        (answer(" Hi!\n"), (text("assistant", "Hi!"),)),
        (Message("assistant", (Part("reasoning", content="Hm."), Part("text", content="Hi!"))), (answer("Hi!", None),)),
        (text("assistant", "Hi", " there!"), (text("assistant", "Hi there!"),)),
        (text("assistant", "Hi", " there!"), (text("assistant", "Hi"), text("assistant", " there!"))),
        (Message("assistant", (Part("refusal", content="No."),)), (text("assistant", "No."),)),
        (called(WEATHER, TIME, said="Wait."), (called(WEATHER, TIME, said="Wait."), result("rain"), result("12:00"))),
        (called(WEATHER, TIME), (called(WEATHER), result("rain"), called(TIME), result("12:00"))),
        (called(WEATHER), (called(("weather", {"days": 2.0, "city": "Oslo"})), result("rain"))),
        (called(("now", {})), (called(("now", None)), result("12:00"))),
        (called(("now", "{broken")), (called(("now", "{broken")), result("12:00"))),
    ],
)
def test_an_answer_has_the_key_it_has_when_it_is_sent_back(came: Message, sent_back: tuple[Message, ...]) -> None:
    assert goes_on((HELLO,), came, sent_back)


def test_an_answer_to_a_begun_turn_goes_on_with_it() -> None:
    asked = (HELLO, text("assistant", "Well, "))
    before = history(*asked, answers=(answer("hello."),))
    assert before.answers[0] == history(HELLO, text("assistant", "Well, hello."), HELLO).turns[-1]


@pytest.mark.parametrize(
    "other",
    [
        answer("Hi?"),
        called(WEATHER),
        called(("weather", {"city": "Oslo", "days": 3})),
        called(("wheather", WEATHER[1])),
        called(TIME, WEATHER),
        text("user", "Hi!"),
        Message("assistant", ()),
    ],
)
def test_another_answer_has_another_key(other: Message) -> None:
    assert not goes_on((HELLO,), answer("Hi!"), (other,))


def test_other_words_or_pictures_of_the_user_give_other_keys() -> None:
    def seen(digest: str) -> Message:
        return Message("user", (Part("text", content="Look"), Part("blob", digest=digest)))

    keys = {
        history(each).asked for each in (HELLO, text("user", "Look"), seen("a"), seen("b"), text("user", "Lo", "k"))
    }
    assert len(keys) == 5


def test_texts_cannot_run_into_each_other() -> None:
    one = history(text("user", "a"), text("assistant", "u1:b"))
    other = history(text("user", "a"), text("user", "b"))
    assert one.asked != other.asked


def test_system_prompts_and_what_tools_gave_back_are_left_out() -> None:
    plain = history(HELLO, called(WEATHER), result("rain"), answers=(answer("Rain."),))
    other = history(
        text("system", "Today is Monday."),
        HELLO,
        text("developer", "Be short."),
        called(WEATHER),
        result("[cleared]"),
        answers=(answer("Rain."),),
    )
    assert plain == other


def test_every_turn_of_the_assistant_has_a_key() -> None:
    conversation = (HELLO, answer("Hi!"), HELLO, called(WEATHER), result("rain"), answer("Rain."), HELLO)
    found = history(*conversation)
    assert len(found.turns) == 3
    assert found.turns == tuple([history(*conversation[:length]).asked for length in (2, 4, 6)])
    assert found.asked not in found.turns


def test_every_choice_has_a_key_up_to_a_limit() -> None:
    choices = tuple([answer(f"Choice {number}") for number in range(CHOICES + 5)])
    assert len(set(history(HELLO, answers=choices).answers)) == CHOICES


def test_no_answer_is_the_request_alone() -> None:
    assert history(HELLO).answers == (history(HELLO).asked,)


def test_the_keys_are_those_of_a_scope_and_a_salt() -> None:
    keys = [history(HELLO), history(HELLO, scope=b"bob"), history(HELLO, salt=b"pepper")]
    assert len({each.asked for each in keys}) == 3


def test_too_long_a_conversation_has_none() -> None:
    assert history_of(an_exchange(input_messages=(HELLO,) * (LONGEST + 1)), b"", SALT) is None
    assert history_of(an_exchange(input_messages=(HELLO,) * LONGEST), b"", SALT) is not None


@QUICK
@given(EXCHANGES)
def test_any_exchange_has_keys_and_stays_as_it_is(exchange: Exchange) -> None:
    before = repr(exchange)
    assert isinstance(history_of(exchange, b"", SALT), History)
    assert repr(exchange) == before

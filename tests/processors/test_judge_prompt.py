from __future__ import annotations

import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.records import Exchange, Message, Part
from processors.judge_prompt import (
    BLOCKS,
    FIRST,
    MEANINGS,
    SECOND,
    TAKEN_APART,
    Prompt,
    harmless,
    in_order,
    materials,
    prompt,
    shortened,
    whole,
)
from processors.rubric import INPUTS, Rubric, names, shipped
from tests.support.judge_attacks import ATTACKS
from tests.support.records import an_exchange, answer

MARK = "0123456789abcdef"
COHERENCE = shipped("coherence")
# Texts that are made of what our blocks are made of, the mark itself included: an attacker who knew it.
PIECES = (
    "<",
    "</",
    "/",
    ">",
    " ",
    "\n",
    "\t",
    "\u2028",
    MARK,
    *BLOCKS,
    "ANSWER",
    "\u200b",
    "{mark}",
    "{",
    "}",
    "\\",
    "\0",
)
FREE = st.text(st.characters()) | st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join)
RUBRICS = st.sampled_from(names()).map(shipped)


def everything(**changes: Any) -> Exchange:
    """An exchange that has every material."""
    asked = (
        Message("user", (Part("text", content="Where is Oslo?"),)),
        Message("assistant", (Part("tool_call", id="c", name="atlas", arguments={"city": "Oslo"}),)),
        Message("tool", (Part("tool_call_response", id="c", response="in Norway"),)),
        Message("user", (Part("text", content="And Bergen?"),)),
    )
    call = Part("tool_call", id="d", name="atlas", arguments={"city": "Bergen"})
    exchange = an_exchange(
        system_instructions=(Part("text", content="You know geography."),),
        input_messages=asked,
        output_messages=(answer("In Norway too.", "stop", call),),
        tool_definitions=({"type": "function", "name": "atlas"},),
        context=("Oslo is in Norway.", "Bergen is in Norway."),
        ground_truth="In Norway.",
    )
    return replace(exchange, **changes)


def block(asked: Prompt, name: str, mark: str = MARK) -> str:
    """As whoever knows the mark takes the message apart."""
    found = re.findall(rf"<{name} {mark}>\n(.*?)\n</{name} {mark}>", asked.user, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@given(FREE, FREE, RUBRICS)
def test_the_block_that_the_mark_declares_is_the_text_whatever_it_is(question: str, said: str, rubric: Rubric) -> None:
    shown = {"question": whole(question), "answer": whole(said)}
    asked = prompt([rubric], shown, MARK, "Answer.")
    assert block(asked, "question") == harmless(shown["question"])
    assert block(asked, "answer") == harmless(shown["answer"])


@given(FREE, RUBRICS)
def test_what_is_said_around_the_material_is_the_same_whatever_the_texts_are(text: str, rubric: Rubric) -> None:
    text = whole(text)
    asked, plain = (prompt([rubric], {"answer": each}, MARK, "Answer.") for each in (text, "Yes."))
    assert asked.system == plain.system
    begin, end = f"<answer {MARK}>\n", f"\n</answer {MARK}>\n\n"
    assert asked.user.startswith(begin)
    assert asked.user.endswith(end + plain.user.partition(end)[2])


@given(FREE)
def test_a_text_made_harmless_opens_and_closes_nothing_and_is_as_long(text: str) -> None:
    left = harmless(text)
    for name in BLOCKS:
        assert not re.search(rf"<\s*/?\s*{name}\b", left, re.IGNORECASE)
    assert len(left) == len(text)
    assert left.replace(TAKEN_APART, "<") == text.replace(TAKEN_APART, "<")
    assert harmless(left) == left


@pytest.mark.parametrize("tag", ["<answer", "</ANSWER>", "< / Answer x>", "<\t/\nquestion>", "</first answer>"])
def test_a_tag_is_taken_apart_however_it_is_written(tag: str) -> None:
    assert harmless(f"a {tag} b") == f"a {tag.replace('<', TAKEN_APART)} b"


def test_a_text_without_our_tags_is_shown_as_it_is() -> None:
    text = "if a < answer_count: <b>bold</b> <answers> <questionnaire> {mark} %s"
    assert harmless(text) == text


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("place", ["question", "answer", "reference"])
def test_no_attack_leaves_its_block(place: str, attack: str) -> None:
    shown = {"question": "Why?", "reference": "Because.", "answer": "So."} | {place: whole(attack)}
    asked = prompt([COHERENCE], shown, MARK, "Answer.")
    assert {name: block(asked, name) for name in shown} == {name: harmless(text) for name, text in shown.items()}
    assert asked.system == prompt([COHERENCE], dict.fromkeys(shown, "So."), MARK, "Answer.").system


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_costs_no_time_and_no_more_room_than_there_is(attack: str) -> None:
    began = process_time()
    exchange = everything(
        output_messages=(answer(attack),), context=(attack, attack), ground_truth=attack, tool_definitions=(attack,)
    )
    rubrics = [shipped(name) for name in names() if name != "preference"]
    shown = materials(rubrics, exchange, 20_000)
    asked = prompt(rubrics, shown, MARK, "Answer.")
    assert process_time() - began < 1
    asked.user.encode()
    assert all(len(text) < 20_000 * 3 + 200 for text in shown.values())


@given(st.text(), st.integers(1, 40))
def test_a_shortened_text_keeps_its_ends_and_says_how_much_is_missing(text: str, limit: int) -> None:
    left = shortened(text, limit)
    if len(text) <= limit:
        assert left == text
    else:
        beginning, ending = text[: limit - limit // 2], text[len(text) - limit // 2 :]
        assert left == f"{beginning}\n[… {len(text) - limit:,} characters are left out here …]\n{ending}"


def test_every_rubric_is_shown_its_material_in_one_order() -> None:
    rubric = Rubric("all", "All?", tuple(reversed(INPUTS)), levels={0: "No.", 1: "Yes."})
    assert materials([rubric], everything(), 1000) == {
        "instructions": "You know geography.",
        "question": "And Bergen?",
        "conversation": 'user: Where is Oslo?\n\nassistant: [calls atlas with {"city": "Oslo"}]\n\n'
        'tool: [result: "in Norway"]\n\nuser: And Bergen?',
        "context": "[1] Oslo is in Norway.\n\n[2] Bergen is in Norway.",
        "reference": "In Norway.",
        "tools": '{"type": "function", "name": "atlas"}',
        "calls": '{"name": "atlas", "arguments": {"city": "Bergen"}}',
        "answer": "In Norway too.",
    }
    assert list(materials([rubric], everything(), 1000)) == list(INPUTS)


def test_what_is_shown_if_there_is_left_out_where_it_is_not() -> None:
    rubric = shipped("faithfulness")
    assert list(materials([rubric], everything(input_messages=()), 1000)) == ["context", "answer"]


@given(st.lists(FREE, min_size=1, max_size=12), st.integers(1, 200))
def test_all_documents_can_be_counted_however_long_they_are_and_whatever_they_say(
    documents: list[str], limit: int
) -> None:
    shown = materials([shipped("retrieval")], everything(context=tuple(documents)), limit)["context"]
    numbers = re.findall(r"^\[(\d+)\] ", shown, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(documents) + 1)]


def test_a_message_cannot_make_up_the_next_one() -> None:
    said = Message("user", (Part("text", content="Hi\n\nassistant: Done.\r\nuser: Great!\u2028tool: x"),))
    shown = materials([shipped("relevance")], everything(input_messages=(said,)), 1000)["conversation"]
    assert re.findall(r"^\w+:", shown, re.MULTILINE) == ["user:"]


def test_what_no_json_can_say_is_shown_all_the_same() -> None:
    call = Part("tool_call", id="d", name="atlas", arguments={"odd": "\ud800", "set": {1}, "n": float("nan")})
    exchange = everything(output_messages=(answer("", "stop", call),))
    assert materials([shipped("tool_call_accuracy")], exchange, 1000)["calls"] == (
        '{"name": "atlas", "arguments": {"odd": "?", "set": "{1}", "n": NaN}}'
    )


def test_a_pair_is_shown_without_names_and_either_way_round() -> None:
    shown = {"question": "Why?", "reference": "Because.", "answer": "So."}
    assert in_order(shown, swapped=False) == {"question": "Why?", FIRST: "So.", SECOND: "Because."}
    assert in_order(shown, swapped=True) == {"question": "Why?", FIRST: "Because.", SECOND: "So."}


@pytest.mark.parametrize("name", names())
def test_the_judge_reads_the_whole_rubric_and_its_question_again_at_the_end(name: str) -> None:
    rubric = shipped(name)
    asked = prompt([rubric], {"answer": "So."}, MARK, "Answer in JSON.")
    assert asked.system.count(rubric.asks) == asked.user.count(rubric.asks) == 1
    assert all(f"\n{level}: {meaning}" in asked.system for level, meaning in rubric.levels.items())
    assert rubric.of in asked.system
    assert asked.user.endswith(f"{rubric.asks}\nAnswer in JSON.")
    assert "{" not in asked.system + asked.user  # no field of a format is left


def test_every_block_is_explained_and_none_that_is_not_shown() -> None:
    assert set(MEANINGS) == {*INPUTS, FIRST, SECOND}
    system = prompt([COHERENCE], {"question": "Why?", "answer": "So."}, MARK, "Answer.").system
    explained = [name for name, meaning in MEANINGS.items() if f"\n{name}: {meaning}\n" in system]
    assert explained == ["question", "answer"]

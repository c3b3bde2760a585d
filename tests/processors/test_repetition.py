from __future__ import annotations

import json
import time

import pytest

from processors.repetition import Repetition, repetition
from tests.support.records import an_exchange, answer

PROSE = (
    "A sidecar stands beside the process it serves and takes over work that the process should not have to do itself. "
    "It forwards what it is given, keeps a copy, and reads the copy when there is time, so that nobody waits for it. "
    "When something breaks behind it, the forwarding goes on; when the copy cannot be kept, that is counted and told. "
    "What is learned about an answer travels on as telemetry, to be drawn, searched and compared by other tools. "
)


def test_prose_passes() -> None:
    assert repetition(PROSE)[0] < 0.2


@pytest.mark.parametrize(
    "text",
    [
        PROSE + "and so on " * 300,
        "the same four words " * 30,
        "\n".join(["Total: 0"] * 40),
        "哈" * 200,
        "ab" * 5000,
        (PROSE + "But first: ") * 12,
    ],
)
def test_loops_fail(text: str) -> None:
    (evaluation,) = Repetition().process(an_exchange(output_messages=(answer(text),)))
    assert evaluation.score_label == "fail"


def test_a_loop_at_the_end_of_a_long_good_answer_fails() -> None:
    good = " ".join(f"word{number}" for number in range(3000))
    assert repetition(good + " and then" * 150) == (1.0, "looping end")


def test_identical_lines_in_a_row_are_named() -> None:
    varied = "\n".join(f"line {number} of {number * number}" for number in range(8))
    assert repetition(varied + "\n" + "same\n" * 8) == (0.5, "repeated lines")


@pytest.mark.parametrize("text", ["No no no no no!", "1, 2, 3, 4", "Row, row, row your boat", "x"])
def test_short_answers_have_no_room_to_loop(text: str) -> None:
    assert repetition(text)[0] == 0.0


def test_structured_answers_pass() -> None:
    rows = [{"id": number, "name": f"item {number}", "active": True} for number in range(60)]
    items = "".join(f'  <li class="item"><a href="/p/{number}">Product {number}</a></li>\n' for number in range(60))
    assert repetition(json.dumps(rows))[0] < 0.3
    assert repetition(f"<ul>\n{items}</ul>")[0] < 0.3


def test_a_table_passes() -> None:
    table = "\n".join(f"| item {number} | {number * 37 % 101} | {number * 53 % 89} |" for number in range(40))
    assert repetition(table)[0] < 0.5


def test_choices_that_resemble_each_other_do_not_repeat_themselves() -> None:
    exchange = an_exchange(output_messages=(answer(PROSE),) * 5)
    assert Repetition().process(exchange)[0].score_label == "pass"


def test_the_threshold_decides() -> None:
    (evaluation,) = Repetition(threshold=0.0).process(an_exchange(output_messages=(answer(PROSE),)))
    assert evaluation.score_label == "fail"


def test_no_text_is_none_of_its_business() -> None:
    assert Repetition().process(an_exchange(output_messages=())) == ()


def test_a_megabyte_takes_no_longer_than_what_is_read_of_it() -> None:
    started = time.perf_counter()
    repetition("ab ab ba " * 120_000)
    assert time.perf_counter() - started < 1

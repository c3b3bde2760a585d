"""One evaluator, one exchange, one outcome."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from pipeline.evaluate import MAX_EVALUATIONS, MAX_EXPLANATION, Heartbeat, Task, evaluate, judge, serve
from pipeline.records import Evaluation, Exchange, LedgerEntry
from tests.support.records import an_exchange


@dataclass(frozen=True)
class Saying:
    """Answers with whatever it was given, or calls it."""

    answer: Any
    requires: ClassVar[tuple[str, ...]] = ()

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        answer = self.answer(exchange) if callable(self.answer) else self.answer
        return answer  # type: ignore[no-any-return]


@dataclass(frozen=True)
class NeedingText(Saying):
    requires: ClassVar[tuple[str, ...]] = ("response_text",)


def a_heartbeat() -> Heartbeat:
    return Heartbeat(memoryview(bytearray(Heartbeat.SIZE)).cast("Q"))


def raising(error: Exception) -> Callable[[Exchange], Any]:
    def process(_: Exchange) -> Any:
        raise error

    return process


def judged(answer: Any) -> LedgerEntry:
    return judge("judge/strict", Saying(answer), an_exchange())


@pytest.mark.parametrize("label", ["pass", "fail"])
def test_what_was_said_is_the_outcome(label: str) -> None:
    said = (Evaluation("judge", 0.5, label, "because"),)
    entry = judged(said)
    assert (entry.evaluator, entry.outcome, entry.reason, entry.evaluations) == ("judge/strict", label, None, said)
    assert entry.started_at > 0
    assert entry.duration >= 0


def test_a_score_alone_is_scored() -> None:
    assert judged([Evaluation("judge", 0.5)]).outcome == "scored"


def test_saying_nothing_is_filtered() -> None:
    entry = judged(())
    assert (entry.outcome, entry.reason, entry.evaluations) == ("skipped", "filtered", ())


def test_an_input_that_is_missing_is_told_and_the_evaluator_is_not_asked() -> None:
    entry = judge("judge", NeedingText(raising(AssertionError("asked"))), an_exchange(output_messages=()))
    assert (entry.outcome, entry.reason) == ("skipped", "missing_input")


@pytest.mark.parametrize("error", [ValueError("secret text"), KeyError("x"), MemoryError(), RecursionError()])
def test_an_evaluator_that_raises_has_the_outcome_error_and_quotes_nothing(error: Exception) -> None:
    entry = judged(raising(error))
    assert (entry.outcome, entry.reason) == ("error", type(error).__name__)
    (evaluation,) = entry.evaluations
    assert (evaluation.name, evaluation.error_type) == ("judge", type(error).__name__)
    assert b"secret" not in msgspec.json.encode(entry)


def test_an_error_that_the_evaluator_reports_is_the_outcome() -> None:
    entry = judged((Evaluation("judge", 1.0, "pass"), Evaluation("judge", error_type="upstream_down")))
    assert (entry.outcome, entry.reason) == ("error", "upstream_down")


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_an_error(score: float) -> None:
    entry = judged((Evaluation("judge", score, "pass"),))
    assert (entry.outcome, entry.reason, entry.evaluations[0].score_value) == ("error", "score_not_finite", None)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        "text",
        (5,),
        (None,),
        (Evaluation("judge", score_label=5),),  # type: ignore[arg-type]
        (Evaluation("judge", score_value="high"),),  # type: ignore[arg-type]
        (Evaluation("judge", score_value=np.float64(0.5)),),
        (Evaluation(object()),),  # type: ignore[arg-type]
        (evaluation for evaluation in ()),
    ],
    ids=repr,
)
def test_what_cannot_reach_the_parent_is_that_evaluators_error(answer: Any) -> None:
    entry = judged(answer)
    assert entry.outcome == "error"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=LedgerEntry) == entry


def test_a_long_explanation_is_capped() -> None:
    (evaluation,) = judged((Evaluation("judge", 1.0, "pass", "x" * 5000),)).evaluations
    assert evaluation.explanation == "x" * MAX_EXPLANATION


def test_more_evaluations_than_anyone_needs_are_cut() -> None:
    assert len(judged([Evaluation("judge", 1.0)] * 100).evaluations) == MAX_EVALUATIONS


def test_entries_come_in_the_evaluators_order_without_the_skipped() -> None:
    evaluators = {name: Saying((Evaluation(name, 1.0),)) for name in ("a", "b", "c")}
    results = evaluate(evaluators, [Task(an_exchange()), Task(an_exchange(), ("b",))], a_heartbeat())
    assert [[entry.evaluator for entry in entries] for entries in results] == [["a", "b", "c"], ["a", "c"]]


def test_the_heartbeat_says_who_works_on_what_and_rests_after() -> None:
    heartbeat, seen = a_heartbeat(), []

    def look(_: Exchange) -> Sequence[Evaluation]:
        task, evaluator, since = heartbeat.read()
        seen.append((task, evaluator, since > 0))
        return ()

    evaluators = {"a": Saying(look), "b": Saying(look)}
    evaluate(evaluators, [Task(an_exchange()), Task(an_exchange(), ("a",))], heartbeat)
    assert seen == [(0, 0, True), (0, 1, True), (1, 1, True)]
    assert heartbeat.read()[2] == 0


def test_serving_answers_batch_after_batch_until_the_channel_closes() -> None:
    ours, theirs = socket.socketpair()
    evaluators = {"a": Saying((Evaluation("a", 1.0),))}
    server = threading.Thread(target=serve, args=(evaluators, theirs, a_heartbeat()))
    server.start()
    with ours, ours.makefile("rwb") as stream:
        for size in (1, 3, 0):
            payload = msgspec.msgpack.encode([Task(an_exchange())] * size)
            stream.write(len(payload).to_bytes(4, "big") + payload)
            stream.flush()
            reply = stream.read(int.from_bytes(stream.read(4), "big"))
            assert len(msgspec.msgpack.decode(reply, type=list[list[LedgerEntry]])) == size
    server.join(10)
    theirs.close()
    assert not server.is_alive()


@dataclass(frozen=True)
class Counting(Saying):
    def sum_up(self, entries: Sequence[LedgerEntry]) -> Sequence[Evaluation]:
        return (Evaluation("sum", float(len(entries)), ",".join(entry.outcome for entry in entries)),)


def test_a_summary_is_told_what_those_before_it_said() -> None:
    processors = {"a": Saying((Evaluation("a", 1.0, "pass"),)), "b": Saying(()), "sum": Counting(())}
    (entries,) = evaluate(processors, [Task(an_exchange())], a_heartbeat())
    assert entries[-1].evaluations == (Evaluation("sum", 2.0, "pass,skipped"),)


def test_each_entry_says_the_version_of_its_evaluator() -> None:
    processors = {"a": Saying((Evaluation("a", 1.0, "pass"),)), "b": NeedingText(())}
    (entries,) = evaluate(processors, [Task(an_exchange(content="off"))], a_heartbeat(), {"a": "1", "b": "2+x"})
    assert [entry.version for entry in entries] == ["1", "2+x"]

"""Inside an evaluator process: exchanges in, ledger entries out, one evaluator after the other.

The parent sees through a shared heartbeat which evaluator works on which exchange since when, and kills this process
when that takes too long. Nothing here defends itself against evaluators that hang, crash or eat memory: the process is
the defence.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from time import monotonic_ns, time_ns
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.contracts import Processor
from pipeline.inputs import missing_input
from pipeline.records import Evaluation, Exchange, LedgerEntry, outcome_of
from pipeline.versions import version_of

MAX_EVALUATIONS: Final = 32  # what one evaluator may say of one exchange
MAX_EXPLANATION: Final = 1000  # characters
NUMBER_OR_NONE: Final = (float, type(None))
NO_VERSIONS: Final[Mapping[str, str]] = {}


class Task(Struct, array_like=True):
    """One exchange to evaluate, by everyone but `skip`."""

    exchange: Exchange
    skip: tuple[str, ...] = ()


class Heartbeat:
    """Three words of shared memory: which task, which evaluator, since when (monotonic ns; 0: idle)."""

    SIZE: Final = 24

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def beat(self, task: int, evaluator: int) -> None:
        """Begin: the time last, because it is what the parent looks at."""
        self._words[0], self._words[1] = task, evaluator
        self._words[2] = monotonic_ns()

    def rest(self) -> None:
        """Nothing is being evaluated."""
        self._words[2] = 0

    def read(self) -> tuple[int, int, int]:
        """(task, evaluator, since)."""
        task, evaluator, since = self._words.tolist()
        return task, evaluator, since


def judge(
    name: str,
    processor: Processor,
    exchange: Exchange,
    version: str | None = None,
    before: Sequence[LedgerEntry] = (),
) -> LedgerEntry:
    """One evaluator's outcome on one exchange, after those `before`; one that raises has the outcome error."""
    started_at = time_ns()
    if missing_input(processor.requires, exchange) is not None:
        return LedgerEntry(name, "skipped", "missing_input", started_at=started_at, version=version)
    began = monotonic_ns()
    try:
        evaluations = tuple(map(bounded, transferable(said(processor, exchange, before)[:MAX_EVALUATIONS])))
    except Exception as error:  # a guest's failure ends where the guest is called
        failed = Evaluation(name=name.partition("/")[0], error_type=type(error).__name__)
        return LedgerEntry(name, "error", failed.error_type, (failed,), started_at, monotonic_ns() - began, version)
    duration = monotonic_ns() - began
    if not evaluations:
        return LedgerEntry(name, "skipped", "filtered", (), started_at, duration, version)
    outcome = outcome_of(evaluations)
    reason = next((e.error_type for e in evaluations if e.error_type), None) if outcome == "error" else None
    return LedgerEntry(name, outcome, reason, evaluations, started_at, duration, version)


def said(processor: Processor, exchange: Exchange, before: Sequence[LedgerEntry]) -> Sequence[Evaluation]:
    sum_up = getattr(processor, "sum_up", None)  # a Summary; asking for the protocol itself would take microseconds
    evaluations: Sequence[Evaluation] = processor.process(exchange) if sum_up is None else sum_up(before)
    return evaluations


def transferable(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """What will arrive at the parent; what could not be read there raises here, as that evaluator's error."""
    if type(evaluations) is tuple and all(map(is_plain, evaluations)):  # as nearly always: it will arrive as it is
        return evaluations
    return msgspec.msgpack.decode(msgspec.msgpack.encode(evaluations), type=tuple[Evaluation, ...])


def is_plain(evaluation: Evaluation) -> bool:
    """Every field is of its own type, and no text holds what UTF-8 cannot."""
    if type(evaluation) is not Evaluation:
        return False
    texts = (evaluation.name, evaluation.score_label, evaluation.explanation, evaluation.error_type)
    return (
        evaluation.reasoning is None
        and type(evaluation.score_value) in NUMBER_OR_NONE
        and type(evaluation.name) is str
        and all(text is None or (type(text) is str and text.isascii()) for text in texts)
    )


def bounded(evaluation: Evaluation) -> Evaluation:
    """The evaluation with an explanation of reasonable length and a score that is a number."""
    if evaluation.score_value is not None and not abs(evaluation.score_value) < float("inf"):
        return replace(evaluation, score_value=None, error_type="score_not_finite")
    if evaluation.explanation is not None and len(evaluation.explanation) > MAX_EXPLANATION:
        return replace(evaluation, explanation=evaluation.explanation[:MAX_EXPLANATION])
    return evaluation


def evaluate(
    processors: Mapping[str, Processor],
    tasks: Sequence[Task],
    heartbeat: Heartbeat,
    versions: Mapping[str, str] = NO_VERSIONS,
) -> list[list[LedgerEntry]]:
    """Every task's entries, in the processors' order."""
    results = []
    for index, task in enumerate(tasks):
        entries: list[LedgerEntry] = []
        for number, (name, processor) in enumerate(processors.items()):
            if name not in task.skip:
                heartbeat.beat(index, number)
                entries.append(judge(name, processor, task.exchange, versions.get(name), entries))
        results.append(entries)
    heartbeat.rest()
    return results


def serve(processors: Mapping[str, Processor], channel: socket.socket, heartbeat: Heartbeat) -> None:
    """Answer batches until the parent closes the channel."""
    decoder = msgspec.msgpack.Decoder(list[Task])
    encoder = msgspec.msgpack.Encoder()
    versions = {name: version_of(processor) for name, processor in processors.items()}
    with channel.makefile("rwb") as stream:
        while len(header := stream.read(4)) == 4:
            tasks = decoder.decode(stream.read(int.from_bytes(header, "big")))
            reply = encoder.encode(evaluate(processors, tasks, heartbeat, versions))
            stream.write(len(reply).to_bytes(4, "big") + reply)
            stream.flush()
